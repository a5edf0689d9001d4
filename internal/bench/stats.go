package main

import (
	"math"
	"slices"
	"time"
)

// percentile returns the value below which p of the sorted values lie, by the
// nearest rank. It is zero when there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// summary is what is told of one figure over all rounds.
type summary struct {
	median, min, max float64
}

// summarize returns the median and the range of values; false when there are
// none.
func summarize(values []float64) (summary, bool) {
	if len(values) == 0 {
		return summary{}, false
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + median) / 2
	}
	return summary{median: median, min: sorted[0], max: sorted[len(sorted)-1]}, true
}
