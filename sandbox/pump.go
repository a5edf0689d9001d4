package sandbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

const (
	// maxReport is about how many records go to the journal at once.
	maxReport = 1024
	// maxBacklog is how many records may be due before senders have to wait:
	// a journal that is slower than the network must slow the network down.
	maxBacklog = 8 * maxReport

	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// pump takes what becomes due from the clocks, which must not be blocked, and
// reports it in batches, in the order in which it became due. One goroutine
// does it, which exists only while there is something to report.
type pump struct {
	reporter messaging.Reporter
	store    Store
	log      *slog.Logger
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	pending []*bundle
	backlog int              // records pending and in hand
	inHand  map[string]int   // the same by workspace, and by instance
	eras    map[string]int64 // how often a workspace was forgotten
	active  bool             // the goroutine exists
	closed  bool
	eased   chan struct{} // closed when a wait may be over; nil when nobody waits

	finished []CarriageKey // the goroutine's own: debts to be settled
}

func newPump(reporter messaging.Reporter, store Store, log *slog.Logger) *pump {
	p := &pump{reporter: reporter, store: store, log: log, inHand: make(map[string]int), eras: make(map[string]int64)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// collect takes a bundle that is due. It does not block.
func (p *pump) collect(b *bundle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || b.era != p.eras[b.workspace] {
		return
	}
	p.pending = append(p.pending, b)
	p.backlog += b.size()
	p.inHand[b.workspace] += b.size()
	p.inHand[b.instance] += b.size()
	if !p.active {
		p.active = true
		p.running.Go(p.run)
	}
}

// idle waits until nothing of a workspace, or of an instance, is due and
// unreported.
func (p *pump) idle(ctx context.Context, id string) error {
	return p.wait(ctx, func() bool { return p.inHand[id] == 0 })
}

// era counts how often a workspace was forgotten so far.
func (p *pump) era(workspace string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.eras[workspace]
}

// forget drops what was made for a workspace and is not in hand.
func (p *pump) forget(workspace string) {
	p.mu.Lock()
	p.eras[workspace]++
	kept := p.pending[:0:0]
	var dropped []*bundle
	for _, b := range p.pending {
		if b.era == p.eras[b.workspace] {
			kept = append(kept, b)
		} else {
			dropped = append(dropped, b)
		}
	}
	p.pending = kept
	p.mu.Unlock()
	p.ease(dropped)
}

// room waits until the backlog allows more to be sent.
func (p *pump) room(ctx context.Context) error {
	return p.wait(ctx, func() bool { return p.backlog < maxBacklog })
}

// wait blocks until met, which is asked under mu.
func (p *pump) wait(ctx context.Context, met func() bool) error {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return fault.ErrShuttingDown
		}
		if met() {
			p.mu.Unlock()
			return nil
		}
		if p.eased == nil {
			p.eased = make(chan struct{})
		}
		eased := p.eased
		p.mu.Unlock()
		select {
		case <-eased:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return fault.ErrShuttingDown
		}
	}
}

// close lets the report in hand end and forgets the rest, which the store
// still knows to be owed.
func (p *pump) close() {
	p.mu.Lock()
	p.closed = true
	p.pending = nil
	p.mu.Unlock()
	p.cancel()
	p.running.Wait()
}

// run reports until nothing is due.
func (p *pump) run() {
	for {
		batch := p.take()
		if len(batch) == 0 {
			p.settle()
			if p.rest() {
				return
			}
			continue
		}
		var records []messaging.Record // the journal may keep them
		for _, b := range batch {
			records = b.appendRecords(records)
		}
		if p.deliver(records) {
			p.finish(batch)
		}
		p.ease(batch)
		if len(p.finished) >= maxReport {
			p.settle()
		}
	}
}

// take returns the bundles that have been due longest, about maxReport records.
func (p *pump) take() []*bundle {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for size := 0; n < len(p.pending) && (n == 0 || size+p.pending[n].size() <= maxReport); n++ {
		size += p.pending[n].size()
	}
	batch := p.pending[:n:n]
	p.pending = p.pending[n:]
	if len(p.pending) == 0 {
		p.pending = nil
	}
	return batch
}

// rest ends the goroutine unless something has become due.
func (p *pump) rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active = len(p.pending) > 0
	return !p.active
}

// deliver reports records until they are durable, and says whether they are.
// They are not when the pump is closed. A record that the journal refuses for
// good is given up: it must not stand in the way of all others.
func (p *pump) deliver(records []messaging.Record) bool {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := p.reporter.Report(p.ctx, records...)
		if err == nil {
			return true
		}
		if p.ctx.Err() != nil {
			return false
		}
		f := fault.As(err)
		switch {
		case f == nil || f.Kind().Temporary():
			p.log.Warn("sandbox report failed, trying again", "records", len(records), "pause", pause, "error", err)
		case len(records) == 1:
			p.log.Error("sandbox report refused", "error", err)
			return true
		default:
			half := len(records) / 2
			return p.deliver(records[:half]) && p.deliver(records[half:])
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
			return false
		}
	}
}

// finish notes the messages for which nothing is owed any more.
func (p *pump) finish(batch []*bundle) {
	for _, b := range batch {
		for _, it := range b.items {
			it.debt.left--
			if it.debt.left == 0 {
				p.finished = append(p.finished, it.debt.key)
			}
		}
	}
}

// ease counts a batch as done and wakes whoever may have waited for it.
func (p *pump) ease(batch []*bundle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := false
	for _, b := range batch {
		p.backlog -= b.size()
		for _, id := range []string{b.workspace, b.instance} {
			if p.inHand[id] -= b.size(); p.inHand[id] == 0 {
				delete(p.inHand, id)
				done = true
			}
		}
	}
	if p.eased != nil && (done || p.backlog < maxBacklog) {
		close(p.eased)
		p.eased = nil
	}
}

// settle tells the store what is not owed any more. What cannot be told now is
// told with the next; at worst a restart reports it once more.
func (p *pump) settle() {
	if len(p.finished) == 0 || p.ctx.Err() != nil {
		return
	}
	if err := p.store.Settle(p.ctx, p.finished); err != nil {
		if p.ctx.Err() == nil {
			p.log.Warn("sandbox debts cannot be settled", "messages", len(p.finished), "error", err)
		}
		return
	}
	p.finished = nil
}
