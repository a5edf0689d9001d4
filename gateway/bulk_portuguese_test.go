package gateway

import (
	"testing"

	"portaria/internal/sheet"
)

// A Brazilian who uploads a file with a mistake has to find it.
func TestThePlaceInAFileSurvivesTranslation(t *testing.T) {
	for _, c := range []struct {
		at   sheet.Error
		want string
	}{
		{sheet.Error{Row: 3, Line: 5, Column: "Nome: todo", Code: sheet.CodeNotUTF8, Message: "Bad."}, "registro 3 (linha 5), coluna \"Nome: todo\": "},
		{sheet.Error{Row: 3, Line: 5, Code: sheet.CodeTooManyCells, Message: "Bad: very."}, "registro 3 (linha 5): "},
		{sheet.Error{Line: 1, Column: "a", Code: sheet.CodeDuplicateHeader, Message: "Bad."}, "cabeçalho (linha 1), coluna \"a\": "},
		{sheet.Error{Code: sheet.CodeEmpty, Message: "Empty: it is."}, ""},
	} {
		if got := portuguesePlace(c.at.Error()); got != c.want {
			t.Errorf("%q begins with %q, want %q", c.at.Error(), got, c.want)
		}
		if portugueseRules[c.at.Code] == "" {
			t.Errorf("%s has no Portuguese sentence", c.at.Code)
		}
	}
}
