package main

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestStatIsReadBehindTheName: a process may call itself anything, and fields
// counted from the left would then be somebody else's.
func TestStatIsReadBehindTheName(t *testing.T) {
	const rest = " S 41 42 42 0 -1 4194560 8000 900 0 0 150 50 7 3 20 0 9 0 100 1000 200 18446744073709551615"
	want := stat{parent: 41, own: 2 * time.Second, reaped: 100 * time.Millisecond}
	for _, name := range []string{"postgres", "a b", "x) S 1 2 (", ""} {
		got, err := parseStat([]byte("42 (" + name + ")" + rest))
		want.name = name
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if diff := cmp.Diff(want, got, cmp.AllowUnexported(stat{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
	for _, broken := range []string{"", "42 (x", "42 (x) S 1 2", "42 (x) S a 42 42 0 -1 0 0 0 0 0 1 2 3 4", "42 (x) S 1 42 42 0 -1 0 0 0 0 0 1 b 3 4"} {
		if _, err := parseStat([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

// TestMeterSeesWorkDone: the CPU column would otherwise be a decoration.
func TestMeterSeesWorkDone(t *testing.T) {
	m := meter{pid: os.Getpid()}
	before, err := m.read()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for sum := 0; ; sum++ {
		if sum%1_000_000 != 0 {
			continue
		}
		after, err := m.read()
		if err != nil {
			t.Fatal(err)
		}
		if after-before >= 2*tick {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a minute of counting cost %s", after-before)
		}
	}
}

// TestMeterAddsTheDatabase counts children of the postmaster: here this
// process plays the server, and its parent the postmaster.
func TestMeterAddsTheDatabase(t *testing.T) {
	parent, err := readStat(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	own, err := meter{pid: os.Getpid()}.read()
	if err != nil {
		t.Fatal(err)
	}
	both, err := meter{pid: os.Getpid(), postmaster: os.Getppid()}.read()
	if err != nil {
		t.Fatal(err)
	}
	if least := 2*own + parent.own; both < least {
		t.Errorf("%s together, want at least %s", both, least)
	}
}

// TestPostmasterMustBeOurs: with another server the CPU column would be wrong
// without a word.
func TestPostmasterMustBeOurs(t *testing.T) {
	for _, address := range []string{"postgres://me@127.0.0.1:1/postgres", "://"} {
		if pid, err := findPostmaster(address); err == nil {
			t.Errorf("%s is served by %d", address, pid)
		}
	}
}
