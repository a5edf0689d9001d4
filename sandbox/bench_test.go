package sandbox

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"portaria/messaging"
)

// BenchmarkTimer is what one call of a clock costs, set and made, with 100,000
// others waiting.
func BenchmarkTimer(b *testing.B) {
	s := newClocks(b, ClocksOptions{Now: func() time.Time { return epoch }})
	ctx := context.Background()
	if _, err := s.SetMode(ctx, workspace, Frozen); err != nil {
		b.Fatal(err)
	}
	c := s.For(workspace)
	for i := range 100_000 {
		c.At(epoch.Add(1000*time.Hour+time.Duration(i)), func() {})
	}
	made := 0
	f := func() { made++ }
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.At(c.Now().Add(time.Duration(n%10+1)*time.Microsecond), f)
		if n%1000 == 999 {
			if _, err := s.Advance(ctx, workspace, time.Millisecond); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkForgottenTimer is a timer that is set and forgotten, as most
// deadlines are.
func BenchmarkForgottenTimer(b *testing.B) {
	c := newClocks(b, ClocksOptions{}).For(workspace)
	f := func() {}
	due := c.Now().Add(time.Hour)
	for i := range 100_000 {
		c.Deadline(due.Add(time.Duration(i)), f)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Deadline(due.Add(time.Minute), f)()
	}
}

// discard is a reporter that counts.
type discard struct{ records atomic.Int64 }

func (d *discard) Report(_ context.Context, records ...messaging.Record) error {
	d.records.Add(int64(len(records)))
	return nil
}

// BenchmarkPump is one receipt from the clock's call to the journal.
func BenchmarkPump(b *testing.B) {
	var d discard
	p := newPump(&d, &memory{}, quiet())
	defer p.close()
	ctx := context.Background()
	const each = 64
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%each == 0 {
			if err := p.room(ctx); err != nil {
				b.Fatal(err)
			}
			p.collect(receipts(strconv.Itoa(n), each))
		}
	}
	if err := p.idle(ctx, workspace); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(d.records.Load())/b.Elapsed().Seconds(), "receipts/s")
}

// BenchmarkSend is one message from Send to its last receipt, in batches of
// 64, with a store and a journal that cost nothing.
func BenchmarkSend(b *testing.B) {
	var d discard
	store := &nowhere{}
	clocks := newClocks(b, ClocksOptions{})
	ctx := context.Background()
	if _, err := clocks.SetMode(ctx, workspace, Instant); err != nil {
		b.Fatal(err)
	}
	driver, err := New(Options{Store: store, Reporter: &d, Clocks: clocks, Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer driver.Close()
	channel := openChannel(b, driver, messaging.Instance{ID: instanceID, WorkspaceID: workspace, State: messaging.InstanceConnected})
	batch := make([]messaging.Outgoing, 64)
	for i := range batch {
		batch[i] = named(to("0006"), strconv.Itoa(i))
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(batch) == 0 {
			channel.Send(ctx, batch)
		}
	}
	if err := driver.Idle(ctx, workspace); err != nil {
		b.Fatal(err)
	}
}

// nowhere is a store that keeps nothing.
type nowhere struct{ memory }

func (*nowhere) Carry(_ context.Context, batch []Carried) ([]Taken, error) {
	taken := make([]Taken, len(batch))
	for i := range batch {
		taken[i] = Taken{Owed: true, CarriedAt: batch[i].CarriedAt}
	}
	return taken, nil
}

func (*nowhere) Settle(context.Context, []CarriageKey) error { return nil }
