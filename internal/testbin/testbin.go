// Package testbin brings to the tests the programs that are not written in Go:
// database servers, brokers, interpreters.
//
// Find looks for a program on the machine, or installs its Debian package when
// it may, or fails with a sentence that says what to install. Child runs a
// server that never outlives the process that started it.
package testbin

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Program is what a test needs of the machine.
type Program struct {
	Name    string   // of its file, as nats-server
	Beside  []string // other programs that must lie in the same folder
	Package string   // of Debian
	// Paths are patterns (filepath.Match) of where else it may be. The first that
	// fits counts, and of what fits one pattern the newest version.
	Paths []string
	// Otherwise is what a person may do where there is no such package. It goes
	// on where the sentence "Install it (…)" ends.
	Otherwise string
}

// Find returns the path of a program. Root, and who may use sudo without a
// password, get its package installed when it is absent. The context bounds the
// installation, which takes seconds to minutes. Error: MissingError.
func Find(ctx context.Context, p Program) (string, error) {
	return machine().find(ctx, p)
}

// MissingError says that a program is not here, and what to do.
type MissingError struct {
	Program Program
	Cause   error // why installing it failed; nil: it was not tried
}

// Error implements error.
func (e *MissingError) Error() string {
	s := fmt.Sprintf("testbin: there is no %s on this machine: install it (Debian, Ubuntu: apt-get install %s)%s",
		e.Program.Name, e.Program.Package, e.Program.Otherwise)
	if e.Cause != nil {
		s += fmt.Sprintf(" (installing it failed: %v)", e.Cause)
	}
	return s
}

// Unwrap returns why installing the program failed, or nil.
func (e *MissingError) Unwrap() error { return e.Cause }

// finder looks for programs on a machine.
type finder struct {
	path    []string                                   // the folders of PATH
	install func(ctx context.Context, p Program) error // nil when nothing may be installed
	lock    string                                     // a file that lets one process install at a time
}

// machine returns the finder of the machine that the tests run on.
func machine() finder {
	f := finder{
		path: filepath.SplitList(os.Getenv("PATH")),
		// Each user has a file of their own: /tmp does not let one open another's.
		lock: filepath.Join(os.TempDir(), fmt.Sprintf("portaria-testbin-%d.lock", os.Geteuid())),
	}
	if apt := aptGet(); apt != nil {
		f.install = apt.install
	}
	return f
}

func (f finder) find(ctx context.Context, p Program) (string, error) {
	if path, ok := f.look(p); ok {
		return path, nil
	}
	if f.install == nil {
		return "", &MissingError{Program: p}
	}
	unlock, err := lockFile(ctx, f.lock)
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, ok := f.look(p); ok { // another test process was faster
		return path, nil
	}
	if err := f.install(ctx, p); err != nil {
		return "", &MissingError{Program: p, Cause: err}
	}
	if path, ok := f.look(p); ok {
		return path, nil
	}
	return "", &MissingError{Program: p, Cause: fmt.Errorf("the package %s does not have it", p.Package)}
}

// look searches the user's own choice first, which is PATH.
func (f finder) look(p Program) (string, bool) {
	var candidates []string
	for _, dir := range f.path {
		candidates = append(candidates, filepath.Join(dir, p.Name))
	}
	for _, pattern := range p.Paths {
		found, _ := filepath.Glob(pattern) // a malformed pattern finds nothing
		slices.SortFunc(found, newerFirst)
		candidates = append(candidates, found...)
	}
	i := slices.IndexFunc(candidates, p.isAt)
	if i < 0 {
		return "", false
	}
	return candidates[i], true
}

// isAt reports whether the program can be run there, with those beside it.
func (p Program) isAt(path string) bool {
	return executable(path) && !slices.ContainsFunc(p.Beside, func(name string) bool {
		return !executable(filepath.Join(filepath.Dir(path), name))
	})
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// newerFirst orders paths by the versions in them. These are numbers: 9 comes
// after 15.
func newerFirst(a, b string) int {
	for _, pair := range pairs(runs(a), runs(b)) {
		m, errM := strconv.ParseUint(pair[0], 10, 64)
		n, errN := strconv.ParseUint(pair[1], 10, 64)
		order := cmp.Compare(n, m)
		if errM != nil || errN != nil {
			order = strings.Compare(pair[0], pair[1])
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}

// runs cuts a text where digits begin or end.
func runs(s string) (out []string) {
	start, digits := 0, false
	for i, r := range s {
		if d := unicode.IsDigit(r); d != digits {
			out, start, digits = append(out, s[start:i]), i, d
		}
	}
	return append(out, s[start:])
}

// pairs puts two lists side by side, as far as the shorter one goes.
func pairs(a, b []string) (out [][2]string) {
	for i := range min(len(a), len(b)) {
		out = append(out, [2]string{a[i], b[i]})
	}
	return out
}
