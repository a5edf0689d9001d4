package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRatiosAreOfOneRound: a slow minute of the machine slows a variant and
// its yardstick, and must not change their ratio.
func TestRatiosAreOfOneRound(t *testing.T) {
	m := metric{name: "accepts", of: figure{"accept", rate}, by: &figure{"accept", rawRate}, must: 0.25, aim: 0.4, more: true}
	rounds := []round{
		{"accept": {rate: 20_000, rawRate: 50_000}},
		{"accept": {rate: 2_000, rawRate: 5_000}},
		{"accept": {rawRate: 50_000}}, // no rate: the round is left out
		{"accept": {rate: 1, rawRate: 0}},
	}
	rows := evaluate([]metric{m, {name: "absent", of: figure{"other", rate}}}, rounds)
	if got := rows[0].summary; got != (summary{0.4, 0.4, 0.4}) || !rows[0].known {
		t.Errorf("got %v, want 0.4 in each round", got)
	}
	if rows[1].known {
		t.Error("a figure that no round has is known")
	}
}

func TestVerdictComparesInTheRightDirection(t *testing.T) {
	more := metric{must: 0.25, aim: 0.40, more: true}
	less := metric{must: 6, aim: 3}
	for _, c := range []struct {
		metric metric
		value  float64
		want   string
	}{
		{more, 0.24, "MISSED"},
		{more, 0.25, "ok"},
		{more, 0.40, "aim reached"},
		{less, 6.1, "MISSED"},
		{less, 6, "ok"},
		{less, 2.9, "aim reached"},
		{metric{}, 1, ""}, // no goal, no verdict
	} {
		if got := c.metric.verdict(c.value); got != c.want {
			t.Errorf("verdict(%v) of must %v = %q, want %q", c.value, c.metric.must, got, c.want)
		}
	}
}

// TestEveryFigureHasItsVariant: a typing error in the table would only show as
// "not measured" after minutes.
func TestEveryFigureHasItsVariant(t *testing.T) {
	var names []string
	for _, v := range new(bench).variants() {
		if slices.Contains(names, v.name) {
			t.Errorf("two variants are called %s", v.name)
		}
		names = append(names, v.name)
	}
	for _, m := range metrics() {
		if !slices.Contains(names, m.of.variant) || m.by != nil && !slices.Contains(names, m.by.variant) {
			t.Errorf("%s (%s) is of a variant that does not exist", m.name, m.engine)
		}
		if m.must != 0 && m.more != (m.aim >= m.must) && m.aim != m.must {
			t.Errorf("%s: the aim %v is easier than the must %v", m.name, m.aim, m.must)
		}
	}
}

// TestSectionsRunOnlyWhatTheyNeed keeps "-only startup" at seconds.
func TestSectionsRunOnlyWhatTheyNeed(t *testing.T) {
	for _, c := range []struct {
		o    options
		want []string
	}{
		{options{only: []string{sectionStartup}, engines: []string{sqlite}}, []string{variantStart, variantFirstRun}},
		{options{only: []string{sectionAccepts}, engines: []string{sqlite}}, []string{acceptOn(sqlite)}},
		{
			options{only: []string{sectionLifecycle, sectionInstances}, engines: []string{postgres}},
			[]string{acceptOn(postgres), lifecycleOn(postgres), thousandOn(postgres)},
		},
	} {
		var got []string
		for _, v := range new(bench).needed(selectMetrics(c.o)) {
			got = append(got, v.name)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("-only %v (-want +got):\n%s", c.o.only, diff)
		}
	}
}
