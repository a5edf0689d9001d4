package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// micro takes what Go benchmarks beside the code measure better than any load:
// a key's memory, and what a verified key costs a request.
func (b *bench) micro(ctx context.Context) (sample, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^(BenchmarkAuthenticateHit|BenchmarkMemoryOfAKey)$",
		"-benchtime", "500ms", "-count", "3", "portaria/auth")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	s := make(sample)
	for what, row := range map[quantity]struct{ benchmark, unit string }{
		hitNanos:  {"BenchmarkAuthenticateHit", "ns/op"},
		hitAllocs: {"BenchmarkAuthenticateHit", "allocs/op"},
		bytesKey:  {"BenchmarkMemoryOfAKey/locked", "B/key"},
	} {
		values, ok := summarize(benchmarkValues(string(out), row.benchmark, row.unit))
		if !ok {
			return nil, fmt.Errorf("no %s of %s in:\n%s", row.unit, row.benchmark, out)
		}
		s[what] = values.median
	}
	return s, nil
}

// benchmarkValues returns the values of one unit in the lines of a benchmark.
func benchmarkValues(out, benchmark, unit string) []float64 {
	var values []float64
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) == 0 || withoutProcs(fields[0]) != benchmark {
			continue
		}
		for i := 1; i < len(fields); i++ {
			if v, err := strconv.ParseFloat(fields[i-1], 64); err == nil && fields[i] == unit {
				values = append(values, v)
			}
		}
	}
	return values
}

// withoutProcs takes the -8 of GOMAXPROCS off a benchmark's name.
func withoutProcs(name string) string {
	base, procs, ok := strings.Cut(name, "-")
	if _, err := strconv.Atoi(procs); ok && err == nil {
		return base
	}
	return name
}
