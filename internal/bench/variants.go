package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The variants that are of no engine in particular. The no-op needs no database
// worth the name; the others run on SQLite, which everybody has.
const (
	variantNoop     = "no-op"
	variantStart    = "start"
	variantFirstRun = "first run"
	variantBogus    = "bogus tokens"
	variantMemory   = "memory"
	variantMicro    = "go benchmarks"
)

func acceptOn(engine string) string    { return "accept, " + engine }
func lifecycleOn(engine string) string { return "life cycle, " + engine }
func thousandOn(engine string) string  { return "1,000 instances, " + engine }

func liveOn(engine string, n int) string { return several(n) + "live, " + engine }
func bareOn(engine string, n int) string { return several(n) + "whatsmeow, " + engine }
func linksOn(engine string) string       { return "links, " + engine }
func bareLinksOn(engine string) string   { return "links of whatsmeow, " + engine }
func weighOn(engine string) string       { return "live memory, " + engine }

func toldLifecycleOn(engine string) string    { return "life cycle with a webhook, " + engine }
func toldOn(engine string, n int) string      { return several(n) + "webhook deliveries, " + engine }
func barePostsOn(engine string, n int) string { return several(n) + "bare posts, " + engine }

func bulkOn(engine string) string         { return "bulk, " + engine }
func bareRowsOn(engine string) string     { return "bare rows, " + engine }
func urgentOn(engine string) string       { return "urgent beside a bulk, " + engine }
func drainOn(engine string, n int) string { return several(n) + "bulk to read, " + engine }

func steadyOn(engine string, dead bool) string {
	if dead {
		return "9 webhooks and a dead one, " + engine
	}
	return "10 webhooks, " + engine
}

func several(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprint(n, " ")
}

// variant is one thing that is measured, in a process of its own.
type variant struct {
	name string
	run  func(context.Context) (sample, error)
	once bool // one round is enough: it depends little on the neighbours, or takes minutes
}

// variants lists them in the order of their turns.
func (b *bench) variants() []variant {
	all := []variant{{name: variantNoop, run: b.noop}}
	for _, engine := range []string{sqlite, postgres} {
		all = append(all, []variant{
			{name: acceptOn(engine), run: func(ctx context.Context) (sample, error) { return b.accepts(ctx, engine) }},
			{name: lifecycleOn(engine), run: func(ctx context.Context) (sample, error) { return b.lifecycle(ctx, engine, 1) }},
			{name: toldLifecycleOn(engine), run: func(ctx context.Context) (sample, error) { return b.toldLifecycle(ctx, engine) }},
			{name: thousandOn(engine), run: func(ctx context.Context) (sample, error) { return b.lifecycle(ctx, engine, 1000) }},
		}...)
	}
	for _, engine := range []string{sqlite, postgres} {
		all = append(all, b.webhookVariants(engine)...)
	}
	for _, engine := range []string{sqlite, postgres} {
		all = append(all, b.bulkVariants(engine)...)
	}
	for _, engine := range []string{sqlite, postgres} {
		all = append(all, b.liveVariants(engine)...)
	}
	return append(all, []variant{
		{name: variantStart, run: b.start},
		{name: variantFirstRun, run: b.firstRun},
		{name: variantBogus, run: b.bogus},
		{name: variantMemory, run: b.memory, once: true},
		{name: variantMicro, run: b.micro, once: true},
	}...)
}

// needed returns the variants that the metrics are made of.
func (b *bench) needed(wanted []metric) []variant {
	return slices.DeleteFunc(b.variants(), func(v variant) bool {
		return !slices.ContainsFunc(wanted, func(m metric) bool {
			return m.of.variant == v.name || m.by != nil && m.by.variant == v.name
		})
	})
}

// rounds lets the variants take turns.
func (b *bench) rounds(ctx context.Context, wanted []metric) ([]round, error) {
	var rounds []round
	turns := b.needed(wanted)
	for n := range b.o.rounds {
		r := make(round)
		for _, v := range turns {
			if v.once && n > 0 {
				continue
			}
			began := time.Now()
			s, err := v.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			r[v.name] = s
			fmt.Fprintf(b.progress, "%s  round %d of %d  %-26s %s  (%.1f s)\n",
				time.Now().Format(time.TimeOnly), n+1, b.o.rounds, v.name, s, time.Since(began).Seconds())
		}
		rounds = append(rounds, r)
	}
	return rounds, nil
}
