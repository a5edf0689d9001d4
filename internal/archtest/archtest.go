// Package archtest keeps the house in order: its test reads the source of every
// package and fails when an import points up or sideways, when a library is
// used outside its room, or when a tenancy is built where none may be.
//
// The rules are data in floors.go. Tests, and packages whose name ends in
// "test" (storetest, gatewaytest), are free of the floors, for tests use real
// parts; in return nothing but tests and the like may import such a package.
package archtest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Check reads the Go files of a module's folder and returns one sentence for
// each breach of the rules, sorted.
func Check(root fs.FS) ([]string, error) {
	files, err := scan(root)
	if err != nil {
		return nil, err
	}
	var breaches []string
	for _, f := range files {
		room, ok := roomOf(f.folder())
		if !ok {
			breaches = append(breaches, fmt.Sprintf("%s: folder %s has no floor: add it to internal/archtest/floors.go", f.path, f.folder()))
			continue
		}
		for _, imported := range f.imports {
			if why := f.breach(room, imported); why != "" {
				breaches = append(breaches, fmt.Sprintf("%s: imports %s: %s", f.path, imported, why))
			}
		}
		if f.buildsTenancy && !f.free() && !slices.Contains(tenancyMakers, room) {
			breaches = append(breaches, fmt.Sprintf("%s: uses messaging.NewTenancy: only %s may", f.path, strings.Join(tenancyMakers, ", ")))
		}
	}
	slices.Sort(breaches)
	return breaches, nil
}

// breach says why the file may not import that; "" when it may.
func (f file) breach(room, imported string) string {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		return f.breachOfFloors(room, own)
	}
	if room == nounsRoom && !f.test {
		if !standard(imported) {
			return "messaging knows only the standard library and " + nounsMayUse
		}
		if within(imported, inputOutput) {
			return "messaging does no I/O"
		}
	}
	if f.test && floors[room] == top { // stories look at the whole product
		return ""
	}
	for _, fence := range fences {
		if within(imported, fence.imports) && !within(f.folder(), fence.folders) {
			return fence.what + " stays in " + strings.Join(fence.folders, ", ")
		}
	}
	return ""
}

// breachOfFloors judges an import of our own.
func (f file) breachOfFloors(room, imported string) string {
	other, ok := roomOf(imported)
	switch {
	case !ok:
		return "it has no floor: add it to internal/archtest/floors.go"
	case f.free():
		return ""
	case isHelper(imported):
		return "a helper of tests is for tests"
	case other == room:
		return ""
	case room == nounsRoom && other != nounsMayUse:
		return "messaging knows only the standard library and " + nounsMayUse
	}
	from, to := floors[room], floors[other]
	switch {
	case from == apart && other == toolbox:
		return ""
	case to == apart && from != top:
		return other + " stands apart: only the top floor and tests may use it"
	case from == apart && to != 1:
		return room + " stands apart: it may use the ground floor only"
	case from == apart, to < from:
		return ""
	case to == from:
		return fmt.Sprintf("%s and %s are both on floor %d: rooms of one floor do not know each other", room, other, from)
	default:
		return fmt.Sprintf("%s is on floor %d, above %s on floor %d: give %s an interface of its own", other, to, room, from, room)
	}
}

// free reports whether the file is a test or a helper of tests.
func (f file) free() bool { return f.test || isHelper(f.folder()) }

func (f file) folder() string { return path.Dir(f.path) }

// isHelper reports whether a package is there for tests alone.
func isHelper(folder string) bool {
	name := path.Base(folder)
	return strings.HasSuffix(name, "test") && name != "archtest"
}

// roomOf finds the room that a folder belongs to.
func roomOf(folder string) (room string, ok bool) {
	for at := folder; at != "."; at = path.Dir(at) {
		if _, ok := floors[at]; ok {
			return at, true
		}
	}
	return "", false
}

// within reports whether name is one of the paths or below one.
func within(name string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

// standard reports whether an import path is the standard library's: only
// those of others have a dot in their first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}
