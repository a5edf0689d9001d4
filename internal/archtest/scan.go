package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// file is what the rules need to know of one Go file.
type file struct {
	path          string // from the module's root, with slashes
	test          bool
	imports       []string
	buildsTenancy bool // names messaging.NewTenancy, called or not
}

// scan parses every Go file of the module. Build constraints are ignored on
// purpose: the rules hold on every system.
func scan(root fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if skipped(name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(root, name)
		files = append(files, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("archtest: %w", err)
	}
	return files, nil
}

// skipped reports whether the go command would not look into a folder either.
func skipped(folder string) bool {
	base := path.Base(folder)
	return folder != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "vendor")
}

func parse(root fs.FS, name string) (file, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{path: name, test: strings.HasSuffix(name, "_test.go")}
	nouns := "" // what this file calls the package messaging
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, imported)
		if imported == module+"/"+nounsRoom {
			nouns = localName(spec, nounsRoom)
		}
	}
	f.buildsTenancy = nouns != "" && namesTenancyMaker(tree, nouns)
	return f, nil
}

func localName(spec *ast.ImportSpec, fallback string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return fallback
}

// namesTenancyMaker looks for nouns.NewTenancy, or the bare name behind a dot
// import. A mention is enough: a function kept in a variable is called later.
func namesTenancyMaker(tree *ast.File, nouns string) (found bool) {
	const maker = "NewTenancy"
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			found = found || ok && x.Name == nouns && n.Sel.Name == maker
		case *ast.Ident:
			found = found || nouns == "." && n.Name == maker
		}
		return !found
	})
	return found
}
