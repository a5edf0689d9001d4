package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"portaria/instances/whatsapp"
	"portaria/internal/testpg"
	"portaria/wasim"
)

// TestMain makes this test binary serve as the real program too: in the tests,
// "portaria" on the PATH is a copy of it that runs main.
func TestMain(m *testing.M) {
	testscript.Main(rehearsed{testpg.Around(m)}, map[string]func(){"portaria": main})
}

// rehearsed prepares whatsmeow for tests that have the gateway, and the simulated
// server, in this process.
type rehearsed struct{ testpg.Runner }

// Run implements testpg.Runner.
func (r rehearsed) Run() int {
	// Most tests here wait for other processes, or for time to pass.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	rootKey := wasim.RootKey()
	whatsapp.Prepare(whatsapp.Process{RootKey: &rootKey})
	return r.Runner.Run()
}
