package instances_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"portaria/instances"
)

// A reason without a sentence leaves people with a code. The reasons are read
// from where they are declared, so that none can be forgotten.
func TestEveryReasonHasASentence(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../messaging/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons, said := 0, make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		reasons++
		text := instances.Sentence(reason)
		if !strings.HasSuffix(text, ".") || said[text] != "" {
			t.Errorf("%s says %q, as does %q", reason, text, said[text])
		}
		said[text] = reason
		return false
	})
	if reasons < 10 {
		t.Errorf("only %d reasons were found", reasons)
	}
	if got := instances.Sentence("unheard_of"); got != "" {
		t.Errorf("an unknown reason says %q", got)
	}
}
