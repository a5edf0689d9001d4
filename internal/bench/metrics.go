package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// quantity names one figure of a sample.
type quantity string

// The quantities. Times are in the unit that their name ends in.
const (
	rate          quantity = "per second"
	rateFar       quantity = "per second at 80 ms"
	p99Far        quantity = "p99 ms at 80 ms"
	linkSeconds   quantity = "s to link"
	backSeconds   quantity = "s to reconnect"
	bytesLive     quantity = "live bytes"
	p50           quantity = "p50 ms"
	p99           quantity = "p99 ms"
	cpu           quantity = "CPU µs" // of the server and its database, for one request
	quietP99      quantity = "quiet p99 ms"
	refused       quantity = "refused per second"
	behindSeconds quantity = "s behind at the end"
	firstAccept   quantity = "ms to accept"
	bytesIdle     quantity = "idle bytes"
	bytesUsed     quantity = "used bytes"
	bytesKey      quantity = "key bytes"
	hitNanos      quantity = "hit ns"
	hitAllocs     quantity = "hit allocs"
	megabytes     quantity = "MB"

	// Of R, which took turns with the variant.
	rawRate quantity = "R per second"
	rawP50  quantity = "R p50 ms"
	rawP99  quantity = "R p99 ms"
	rawCPU  quantity = "R CPU µs"
)

// yardsticks are the figures of R by those of a variant beside it.
func yardsticks() map[quantity]quantity {
	return map[quantity]quantity{rate: rawRate, p50: rawP50, p99: rawP99, cpu: rawCPU}
}

// sample is what one variant measured in one round.
type sample map[quantity]float64

// String lists the figures, for whoever watches the rounds.
func (s sample) String() string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(s)) {
		parts = append(parts, fmt.Sprintf("%s %s", what, number(s[what])))
	}
	return strings.Join(parts, ", ")
}

// round is what all variants measured when it was their turn.
type round map[string]sample

// figure points at one number of a round.
type figure struct {
	variant string
	what    quantity
}

func (f figure) in(r round) (float64, bool) {
	v, ok := r[f.variant][f.what]
	return v, ok
}

// metric is a row of the table: a figure, or the ratio of two.
type metric struct {
	section string
	engine  string // empty: of no engine in particular
	name    string
	of      figure
	by      *figure // nil: the figure stands for itself
	unit    string
	must    float64 // zero: no goal is set
	aim     float64
	remark  func(value float64) string // of a figure without a goal, in place of a verdict
	more    bool                       // more is better
}

// in returns the metric's value in a round.
func (m metric) in(r round) (float64, bool) {
	v, ok := m.of.in(r)
	if m.by == nil || !ok {
		return v, ok
	}
	by, ok := m.by.in(r)
	if !ok || by == 0 {
		return 0, false
	}
	return v / by, true
}

// verdict says how a value stands to the goals.
func (m metric) verdict(value float64) string {
	reaches := func(goal float64) bool {
		if m.more {
			return value >= goal
		}
		return value <= goal
	}
	switch {
	case m.must == 0 && m.remark != nil:
		return m.remark(value)
	case m.must == 0:
		return ""
	case reaches(m.aim):
		return "aim reached"
	case reaches(m.must):
		return "ok"
	default:
		return "MISSED"
	}
}

// The sections of -only.
const (
	sectionAuth      = "auth"
	sectionNoop      = "noop"
	sectionAccepts   = "accepts"
	sectionLifecycle = "lifecycle"
	sectionInstances = "instances"
	sectionStartup   = "startup"
	sectionMemory    = "memory"
	sectionBogus     = "bogus"
	sectionWebhooks  = "webhooks"
	sectionBulk      = "bulk"
	sectionLive      = "live"
	sectionLive50    = "live50"
	sectionLinks     = "links"
)

// sections lists them in the order of the table.
func sections() []string {
	var names []string
	for _, m := range metrics() {
		if !slices.Contains(names, m.section) {
			names = append(names, m.section)
		}
	}
	return names
}

// metrics is the table. The goals are those of the issue that asked for them,
// and for the rows that it does not name those of the performance notes.
func metrics() []metric {
	all := []metric{
		{section: sectionAuth, name: "authentication on a hit", of: figure{variantMicro, hitNanos}, unit: "ns", must: 1500, aim: 750},
		{section: sectionAuth, name: "allocations of a hit", of: figure{variantMicro, hitAllocs}, must: 1, aim: 1},
		{
			section: sectionNoop, name: "authenticated no-op ÷ R",
			of: figure{variantNoop, rate}, by: &figure{variantNoop, rawRate}, must: 0.80, aim: 0.95, more: true,
		},
	}
	for _, engine := range []string{sqlite, postgres} {
		all = append(all, engineMetrics(engine)...)
		all = append(all, webhookMetrics(engine)...)
		all = append(all, bulkMetrics(engine)...)
		all = append(all, liveMetrics(engine)...)
	}
	return append(
		all,
		metric{section: sectionStartup, name: "exec of serve to first accept", of: figure{variantStart, firstAccept}, unit: "ms", must: 1000, aim: 300},
		metric{section: sectionStartup, name: "the same on the first run", of: figure{variantFirstRun, firstAccept}, unit: "ms", must: 1000, aim: 300},
		metric{section: sectionMemory, name: "idle test instance", of: figure{variantMemory, bytesIdle}, unit: "B", must: 8 << 10, aim: 4 << 10},
		metric{section: sectionMemory, name: "idle test instance that has sent", of: figure{variantMemory, bytesUsed}, unit: "B", must: 8 << 10, aim: 4 << 10},
		metric{section: sectionMemory, name: "key with its bucket", of: figure{variantMicro, bytesKey}, unit: "B", must: 512, aim: 256},
		metric{
			section: sectionBogus, name: "p99 of valid callers under bogus tokens ÷ quiet",
			of: figure{variantBogus, p99}, by: &figure{variantBogus, quietP99}, must: 10, aim: 3,
		},
		metric{section: sectionBogus, name: "bogus tokens refused meanwhile", of: figure{variantBogus, refused}, unit: "/s", must: 10_000, aim: 10_000, more: true},
	)
}

// engineMetrics are the rows that each database has.
func engineMetrics(engine string) []metric {
	accept, life, many := acceptOn(engine), lifecycleOn(engine), thousandOn(engine)
	all := []metric{
		{section: sectionAccepts, name: "durable accepts ÷ R", of: figure{accept, rate}, by: &figure{accept, rawRate}, must: 0.25, aim: 0.40, more: true},
		{section: sectionAccepts, name: "CPU per accept ÷ CPU of R", of: figure{accept, cpu}, by: &figure{accept, rawCPU}, must: 4.5, aim: 2.8},
		{section: sectionAccepts, name: "p99 of accepts ÷ p99 of R", of: figure{accept, p99}, by: &figure{accept, rawP99}, must: 6, aim: 3},
		{section: sectionAccepts, name: "p50 of accepts ÷ p50 of R", of: figure{accept, p50}, by: &figure{accept, rawP50}},
		{section: sectionLifecycle, name: "life cycle to read ÷ accepts alone", of: figure{life, rate}, by: &figure{accept, rate}, must: 0.40, aim: 0.65, more: true},
		{section: sectionInstances, name: "1,000 instances ÷ 1, life cycle", of: figure{many, rate}, by: &figure{life, rate}, must: 0.80, aim: 0.95, more: true},
	}
	for i := range all {
		all[i].engine = engine
	}
	return all
}

// webhookMetrics are the rows of webhooks on one database. The performance notes
// set them no goal.
func webhookMetrics(engine string) []metric {
	life, toldLife := lifecycleOn(engine), toldLifecycleOn(engine)
	one, bareOne := toldOn(engine, 1), barePostsOn(engine, 1)
	ten, bareTen := toldOn(engine, tenEndpoints), barePostsOn(engine, tenEndpoints)
	alive, dead := steadyOn(engine, false), steadyOn(engine, true)
	all := []metric{
		{name: "life cycle with a webhook ÷ without", of: figure{toldLife, rate}, by: &figure{life, rate}, more: true},
		{name: "CPU per message with a webhook ÷ without", of: figure{toldLife, cpu}, by: &figure{life, cpu}},
		{name: "deliveries to a webhook ÷ bare posts", of: figure{one, rate}, by: &figure{bareOne, rate}, more: true},
		{name: "CPU per delivery ÷ CPU of a bare post", of: figure{one, cpu}, by: &figure{bareOne, cpu}},
		{name: "deliveries to ten webhooks ÷ bare posts", of: figure{ten, rate}, by: &figure{bareTen, rate}, more: true},
		{name: "1,000 events/s to 10 webhooks, one dead: nine behind", of: figure{dead, behindSeconds}, unit: "s", remark: saysKeepUp},
		{name: "the same with the tenth alive", of: figure{alive, behindSeconds}, unit: "s", remark: saysKeepUp},
		{name: "events a second told to the nine, one dead", of: figure{dead, rate}, unit: "/s", more: true},
		{name: "p99 from event to receipt, one dead", of: figure{dead, p99}, unit: "ms"},
		{name: "p99 from event to receipt, one dead ÷ alive", of: figure{dead, p99}, by: &figure{alive, p99}},
	}
	for i := range all {
		all[i].section, all[i].engine = sectionWebhooks, engine
		if all[i].remark == nil {
			all[i].remark = func(float64) string { return "no target" }
		}
	}
	return all
}

// liveMetrics are the rows of live instances on one database.
func liveMetrics(engine string) []metric {
	one, many, links := liveOn(engine, 1), liveOn(engine, together50), linksOn(engine)
	bareOne, bareMany, bareLinks := bareOn(engine, 1), bareOn(engine, together50), bareLinksOn(engine)
	all := []metric{
		{section: sectionLive, name: "live sends ÷ whatsmeow's loop", of: figure{one, rate}, by: &figure{bareOne, rate}, must: 0.85, aim: 0.95, more: true},
		{section: sectionLive, name: "live sends ÷ whatsmeow's loop, 80 ms away", of: figure{one, rateFar}, by: &figure{bareOne, rateFar}, must: 0.85, aim: 0.95, more: true},
		{section: sectionLive50, name: "50 live instances ÷ 50 loops", of: figure{many, rate}, by: &figure{bareMany, rate}, must: 0.85, aim: 0.95, more: true},
		{section: sectionLive50, name: "50 live instances ÷ 50 loops, 80 ms away", of: figure{many, rateFar}, by: &figure{bareMany, rateFar}, must: 0.85, aim: 0.95, more: true},
		{section: sectionLive, name: "p99 of live accepts 80 ms away ÷ near", of: figure{one, p99Far}, by: &figure{one, p99}, must: 1.5, aim: 1.5},
		{section: sectionLinks, name: "linking 100 phones ÷ whatsmeow alone", of: figure{links, linkSeconds}, by: &figure{bareLinks, linkSeconds}, must: 2, aim: 2},
		{section: sectionLinks, name: "100 back after a restart of the network", of: figure{links, backSeconds}, unit: "s"},
		{section: sectionLinks, name: "100 of whatsmeow alone back", of: figure{bareLinks, backSeconds}, unit: "s"},
		{section: sectionLinks, name: "memory of a live instance ÷ whatsmeow's client", of: figure{weighOn(engine), bytesLive}, by: &figure{bareLinks, bytesLive}, must: 1.5, aim: 1.15},
		{section: sectionLinks, name: "memory of a live instance", of: figure{weighOn(engine), bytesLive}, unit: "B"},
	}
	for i := range all {
		all[i].engine = engine
	}
	return all
}

// selectMetrics returns the rows that the options ask for.
func selectMetrics(o options) []metric {
	return slices.DeleteFunc(metrics(), func(m metric) bool {
		return !slices.Contains(o.only, m.section) || m.engine != "" && !slices.Contains(o.engines, m.engine)
	})
}

// row is a metric with what the rounds gave.
type row struct {
	metric
	summary

	known bool // some round has it
}

// evaluate fills the rows.
func evaluate(wanted []metric, rounds []round) []row {
	var rows []row
	for _, m := range wanted {
		var values []float64
		for _, r := range rounds {
			if v, ok := m.in(r); ok {
				values = append(values, v)
			}
		}
		s, known := summarize(values)
		rows = append(rows, row{metric: m, summary: s, known: known})
	}
	return rows
}

// absolute is one number of a variant, for the reader who wants a feeling for
// the machine.
type absolute struct {
	variant string
	values  map[quantity]summary
}

// absolutes returns the medians of every variant, in the order of the turns, and
// those of R behind the variant that it took turns with.
func (b *bench) absolutes(rounds []round) []absolute {
	var all []absolute
	for _, v := range b.variants() {
		values := medians(rounds, v.name)
		if len(values) == 0 {
			continue
		}
		all = append(all, absolute{variant: v.name, values: values})
		raw := absolute{variant: "R beside it", values: make(map[quantity]summary)}
		for what, ofRaw := range yardsticks() {
			if s, ok := values[ofRaw]; ok {
				raw.values[what] = s
			}
		}
		if len(raw.values) > 0 {
			all = append(all, raw)
		}
	}
	return all
}

// medians are those of one variant's figures.
func medians(rounds []round, variant string) map[quantity]summary {
	values := make(map[quantity][]float64)
	for _, r := range rounds {
		for what, number := range r[variant] {
			values[what] = append(values[what], number)
		}
	}
	all := make(map[quantity]summary)
	for what, numbers := range values {
		all[what], _ = summarize(numbers)
	}
	return all
}
