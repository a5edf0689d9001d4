package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// operatorOnly are the codes of the machine room, which the command line prints
// and no caller of the API ever sees: the door answers UNAVAILABLE instead.
func operatorOnly(code string) bool {
	return strings.HasPrefix(code, "DATABASE_") || strings.HasPrefix(code, "DATA_DIR_")
}

// Brazilian callers get every sentence in their language. The codes are read
// from the source, so that a new fault cannot be forgotten.
func TestEveryCodeHasItsPortugueseSentence(t *testing.T) {
	codes := declaredCodes(t)
	if len(codes) < 20 {
		t.Fatalf("only %d codes found in the source", len(codes))
	}
	for code, where := range codes {
		if _, known := portuguese(code); !known && !operatorOnly(code) {
			t.Errorf("%s, declared in %s, has no Portuguese sentence: add it to gateway/catalogue.go", code, where)
		}
	}
}

// declaredCodes finds every fault.New in the house but those of the command
// line and of the simulated WhatsApp, which are no part of the API.
func declaredCodes(t *testing.T) map[string]string {
	t.Helper()
	codes := make(map[string]string)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && (entry.Name() == "cmd" || entry.Name() == "wasim") {
			return fs.SkipDir
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) != 3 {
				return true
			}
			selector, ok := call.Fun.(*ast.SelectorExpr)
			name, isIdent := call.Fun.(*ast.Ident)
			if (ok && selector.Sel.Name == "New") || (isIdent && name.Name == "New") {
				if literal, ok := call.Args[1].(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if code, err := strconv.Unquote(literal.Value); err == nil {
						codes[code] = path
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return codes
}
