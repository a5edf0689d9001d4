package main

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPercentileIsTheNearestRank: an interpolated p99 could be a latency that
// nobody had.
func TestPercentileIsTheNearestRank(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{hundred, 0.50, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
		{hundred, 0, 1},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{1, 2, 3}, 0.99, 3},
		{nil, 0.5, 0},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile(%d values, %v) = %d, want %d", len(c.values), c.p, got, c.want)
		}
	}
}

// TestMedianIsNotMovedByOneBadRound is why medians are told and not means.
func TestMedianIsNotMovedByOneBadRound(t *testing.T) {
	got, ok := summarize([]float64{0.4, 0.42, 0.05, 0.41, 0.43})
	if want := (summary{median: 0.41, min: 0.05, max: 0.43}); !ok || got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if even, _ := summarize([]float64{4, 1, 3, 2}); even.median != 2.5 {
		t.Errorf("median of four: %v, want 2.5", even.median)
	}
	if _, ok := summarize(nil); ok {
		t.Error("a summary of nothing")
	}
}

// TestMedianHasHalfOnEachSide holds for any number of rounds.
func TestMedianHasHalfOnEachSide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 1, 20).Draw(t, "values")
		before := slices.Clone(values)
		s, _ := summarize(values)
		if !slices.Equal(values, before) {
			t.Fatal("the rounds were reordered")
		}
		var below, above int
		for _, v := range values {
			if v < s.median {
				below++
			}
			if v > s.median {
				above++
			}
		}
		if half := len(values) / 2; below > half || above > half || s.min > s.median || s.max < s.median {
			t.Fatalf("%v of %v: %d below, %d above", s, values, below, above)
		}
	})
}
