package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"portaria/internal/testpg"
)

// TestMain makes this test binary serve as the real program too: in the tests,
// "portaria" on the PATH is a copy of it that runs main.
func TestMain(m *testing.M) {
	testscript.Main(testpg.Around(m), map[string]func(){"portaria": main})
}
