package sheet_test

import (
	"encoding/csv"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/sheet"
)

// What strangers send never panics, and is read whole or refused in words.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"", "\ufeff", "to,name\n1,Ana\n", "to;name\r\n1;\"A\r\nb\"\r\n", "to,name\n1,\"A", "to,name\n1,\"A\"x\n", "to\tx\n1\t\n", "a,a\n", ",\n",
		"\xff\xfet\x00o\x00", "to,n\n1,Jo\xe3o\n", "to\rx", "PK\x03\x04", "to,name\n1\n", "to,name\n1,2,3\n", "\"\"\n", "a\n\"\n\"\n", "\n\n a|b\n1|2",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := read(text)
		if err != nil {
			refused, ok := errors.AsType[*sheet.Error](err)
			if !ok || refused.Code == "" || refused.Message == "" || !utf8.ValidString(refused.Error()) {
				t.Errorf("refused with %#v", err)
			}
			return
		}
		if len(got.Header) == 0 {
			t.Error("no header")
		}
		for _, row := range got.Rows {
			if len(row) != len(got.Header) {
				t.Errorf("a row has %d cells and the header %d", len(row), len(got.Header))
			}
			if !utf8.ValidString(strings.Join(row, "")) {
				t.Errorf("%q is not UTF-8", row)
			}
		}
	})
}

// What others write is read as they meant it.
func FuzzCellsComeBackAsTheyWereWritten(f *testing.F) {
	f.Add("Ana", "São Paulo", `"`, uint8(0))
	f.Add("", "\n", "a,b;c|d\t", uint8(1))
	f.Add(" ", "a\r\nb", "\ufeff", uint8(2))
	f.Add("\r", `""`, `\.`, uint8(7))
	f.Fuzz(func(t *testing.T, a, b, c string, form uint8) {
		for _, cell := range []string{a, b, c} {
			if !utf8.ValidString(cell) || strings.Contains(cell, "\x00") || len(cell) > sheet.MaxCellBytes {
				return
			}
		}
		want := [][]string{{a, b, c}, {c, a, b}, {"1", "2", "3"}}
		var text strings.Builder
		w := csv.NewWriter(&text)
		w.Comma = []rune(",;\t|")[form%4]
		w.UseCRLF = form&4 != 0
		if err := w.WriteAll(append([][]string{{"to", "x y", "z"}}, want...)); err != nil {
			t.Fatal(err)
		}
		got, err := read(text.String())
		if err != nil {
			t.Fatalf("%v in\n%q", err, text.String())
		}
		for _, row := range want {
			for i := range row { // the one change that is promised; the writer itself makes it too, with UseCRLF
				row[i] = lineBreaks(row[i], w.UseCRLF)
			}
		}
		if diff := cmp.Diff(want, got.Rows); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text.String(), diff)
		}
	})
}

// lineBreaks is a cell as it comes back: encoding/csv drops every CR when it
// writes lines with CR LF.
func lineBreaks(cell string, crlf bool) string {
	if crlf {
		return strings.ReplaceAll(cell, "\r", "")
	}
	return strings.ReplaceAll(cell, "\r\n", "\n")
}
