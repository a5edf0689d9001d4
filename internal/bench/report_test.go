package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNumbersHaveThreeDigitsThatMeanSomething(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 3: "3", 0.404: "0.40", 2.666: "2.67", 14.04: "14.0", 119.6: "120", 1500: "1,500", 52_318.4: "52,318",
		1_000_000: "1,000,000", -1234: "-1,234",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}

// TestPageIsWrittenOnlyBetweenItsMarks: the method around the table is written
// by people.
func TestPageIsWrittenOnlyBetweenItsMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("before\n"+beginMark+"old\n"+endMark+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc := document{
		when: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), took: 61 * time.Second,
		options: options{rounds: 1, conns: 64, measure: 3 * time.Second},
		machine: machine{cpu: "Z80", cores: 1, memory: "0.1 GiB", kernel: "7", load: "0.1", versions: []string{"go9"}},
		rows: []row{
			{
				metric:  metric{name: "accepts ÷ R", engine: sqlite, must: 0.25, aim: 0.4, more: true},
				summary: summary{0.41, 0.3, 0.5}, known: true,
			},
			{metric: metric{name: "key", unit: "B", must: 512, aim: 256}},
		},
		absolutes: []absolute{
			{variant: "R", values: map[quantity]summary{rate: {median: 50_000}, p50: {median: 1.2}, p99: {median: 4}, cpu: {median: 16}}},
			{variant: "start", values: map[quantity]summary{firstAccept: {median: 100}}},
		},
	}
	for range 2 { // twice: what was written can be replaced
		if err := doc.writeInto(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + beginMark + `
Measured on 2026-01-31, 1 round of 3s each, 64 connections, in 1m1s.

- machine: Z80, 1 core, 0.1 GiB, Linux 7; fsync of 4 KiB takes 0s (median); load 0.1 when it began
- versions: go9

| figure      | database | median       | min–max   | must   | aim    |             |
|-------------|----------|--------------|-----------|--------|--------|-------------|
| accepts ÷ R | sqlite   | 0.41         | 0.30–0.50 | ≥ 0.25 | ≥ 0.40 | aim reached |
| key         |          | not measured |           | ≤ 512  | ≤ 256  |             |

Medians of the same rounds in absolute numbers, for a feeling of the machine:

| variant | per second | 80 ms away | p50 ms | p99 ms | CPU µs each |
|---------|------------|------------|--------|--------|-------------|
| R       | 50,000     |            | 1.20   | 4      | 16          |

` + endMark + "after\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPageWithoutMarksIsRefusedAtOnce: nobody wants to hear of it after many
// minutes.
func TestPageWithoutMarksIsRefusedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("no marks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-markdown", path}, io.Discard, &stderr); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if !strings.Contains(stderr.String(), "bench: begin") {
		t.Errorf("said %q, want the missing mark", &stderr)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{"-only", "accepts,nonsense"},
		{"-engines", "oracle"},
		{"-rounds", "0"},
		{"-duration", "0s"},
		{"-nonsense"},
		{"stray"},
	} {
		if code := run(t.Context(), args, io.Discard, io.Discard); code != exitUsage {
			t.Errorf("%v: exit code %d, want %d", args, code, exitUsage)
		}
	}
	if _, err := parse([]string{"-help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sections(), o.only); diff != "" || o.rounds < 5 || o.conns != 64 {
		t.Errorf("defaults: %+v %s", o, diff)
	}
}

// TestBenchmarkLinesAreRead follows the format of go test -bench.
func TestBenchmarkLinesAreRead(t *testing.T) {
	const out = `goos: linux
BenchmarkAuthenticateHit-2   	 1000000	       712.5 ns/op	       0 B/op	       0 allocs/op
BenchmarkAuthenticateHitOther-2   	 1000000	       9 ns/op
BenchmarkAuthenticateHit   	 1000000	       800 ns/op	       0 B/op	       1 allocs/op
BenchmarkMemoryOfAKey/locked-2         	      12	  94 ns/op	       484.9 B/key
PASS
`
	for _, c := range []struct {
		name, unit string
		want       []float64
	}{
		{"BenchmarkAuthenticateHit", "ns/op", []float64{712.5, 800}},
		{"BenchmarkAuthenticateHit", "allocs/op", []float64{0, 1}},
		{"BenchmarkMemoryOfAKey/locked", "B/key", []float64{484.9}},
		{"BenchmarkAbsent", "ns/op", nil},
	} {
		if diff := cmp.Diff(c.want, benchmarkValues(out, c.name, c.unit)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.name, c.unit, diff)
		}
	}
}
