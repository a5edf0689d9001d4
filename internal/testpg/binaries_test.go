package testpg

import (
	"strings"
	"testing"

	"portaria/internal/testbin"
)

// TestMachineWithoutServerSaysWhatToInstall: a newcomer reads this sentence
// instead of a stack of failed tests.
func TestMachineWithoutServerSaysWhatToInstall(t *testing.T) {
	err := &testbin.MissingError{Program: postgres()}
	for _, words := range []string{"apt-get install postgresql", "dnf install", "brew install", EnvURL} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not mention %q", err, words)
		}
	}
}
