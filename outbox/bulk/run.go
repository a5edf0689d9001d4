package bulk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/pace"
)

// run is one bulk that has not ended. It gives rows their turn while lanes have
// room for them.
//
//	rows on the disk ──► rowReader ──► turn (one commit) ──► lanes
//	                                     ▲ room: Tell, Wake, clocks
//
// Its goroutine exists only while there is something to look at. The lock guards
// memory alone; nothing waits for I/O under it.
type run struct {
	s        *Service
	bulk     messaging.Bulk // as it was accepted or found; its state and counts may be others by now
	template *Template
	clock    messaging.Clock
	quiet    *pace.QuietHours // nil: none
	rules    *pace.Rules      // of the bulk; nil: none
	rows     rowReader        // for whoever has the token

	// token is held by a turn, and by whoever changes the bulk's state: between
	// the two there is an order.
	token chan struct{}

	mu        sync.Mutex
	state     messaging.BulkState
	next      int64 // the first row that has not had its first turn
	again     bool  // rows may wait for another turn
	feeds     []*feed
	heldUntil time.Time // the end of the quiet hours for which lanes were told to hold
	reached   time.Time // what a clock in instant mode has skipped to
	alarm     alarm     // for the next thing to do
	nightfall alarm     // for the begin of quiet hours
	meter     meter

	loaded   bool     // what waits in lanes was read
	doubtful bool     // the state may be another
	broken   bool     // its rows cannot be read: none has a turn in this process
	optOuts  []optOut // since it was last looked at

	dirty   bool // there may be something to do
	running bool
	closed  bool // the bulk has ended
}

// alarm is one call that a clock has been asked for.
type alarm struct {
	at     time.Time
	forget func()
}

func (a *alarm) stop() {
	if a.forget != nil {
		a.forget()
	}
	*a = alarm{}
}

// newRun makes the run of a bulk as it was accepted or found. A bulk whose template
// cannot be read, which was read when it was accepted, has one that sends nothing.
func (s *Service) newRun(b messaging.Bulk) *run {
	r := &run{
		s: s, bulk: b, clock: s.clocks(worldOf(&b)), quiet: quietOf(&b), rules: rulesOf(&b),
		token: make(chan struct{}, 1), state: b.State, next: b.Next, again: b.Next > 1,
	}
	r.rows = rowReader{store: passing{s.store}, bulkID: b.ID}
	for _, id := range b.InstanceIDs {
		r.feeds = append(r.feeds, &feed{instance: id, stale: true, waiting: make(map[string]inLane)})
	}
	var err error
	if r.template, err = Compile(b.Template); err != nil {
		r.giveUp(fmt.Errorf("template: %w", err))
	}
	return r
}

func worldOf(b *messaging.Bulk) messaging.World {
	return messaging.World{WorkspaceID: b.WorkspaceID, Environment: b.Environment}
}

func quietOf(b *messaging.Bulk) *pace.QuietHours {
	q := b.Options.QuietHours
	if q == nil {
		return nil
	}
	return pace.ReadQuietHours(q.From, q.To, q.TimeZone)
}

func rulesOf(b *messaging.Bulk) *pace.Rules {
	p := b.Options.Pace
	if p == nil || *p == (messaging.BulkPace{}) {
		return nil
	}
	return &pace.Rules{MinGap: p.MinGap, Jitter: p.Jitter, PerHour: p.PerHour}
}

func (r *run) lane(f *feed) outbox.LaneRef {
	return outbox.LaneRef{WorkspaceID: r.bulk.WorkspaceID, Environment: r.bulk.Environment, InstanceID: f.instance}
}

func (r *run) feed(instance string) *feed {
	for _, f := range r.feeds {
		if f.instance == instance {
			return f
		}
	}
	return nil
}

// acquire takes the token.
func (r *run) acquire(ctx context.Context) error {
	select {
	case r.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) release() { <-r.token }

// wake has the run look whether there is something to do.
func (r *run) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = true
	r.start()
}

// start runs the goroutine if there may be something to do. r.mu is held.
func (r *run) start() {
	if !r.running && r.dirty && !r.closed {
		r.running = r.s.goRun(r)
	}
}

// work does one thing after the other until nothing is left to do.
func (r *run) work(ctx context.Context) {
	for r.goOn(ctx) {
		more, err := r.step(ctx)
		var lost unreadable
		switch {
		case errors.As(err, &lost):
			r.giveUp(err)
			err = nil
		case err != nil:
			r.setback(ctx, err)
		}
		if more || err != nil {
			r.mu.Lock()
			r.dirty = true
			r.mu.Unlock()
		}
	}
}

// goOn ends the goroutine if there is nothing to do.
func (r *run) goOn(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil && r.dirty && !r.closed {
		r.dirty = false
		return true
	}
	r.running = false
	r.reached = time.Time{} // what was waited for is not there any more
	r.s.runDone(r)
	return false
}

// setbackPause is the wait before another try.
const setbackPause = 200 * time.Millisecond

// setback logs what kept a run from working and waits a little.
func (r *run) setback(ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	r.s.log.Error("bulk set back, trying again", "bulk", r.bulk.ID, "error", err)
	select {
	case <-time.After(setbackPause):
	case <-ctx.Done():
	}
}

// giveUp leaves the bulk out until the next process: another try would end the
// same way.
func (r *run) giveUp(err error) {
	r.s.log.Error("bulk cannot be read, it sends nothing until the next start", "bulk", r.bulk.ID, "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = true
}

// now is the world's time, or what its clock has skipped to. r.mu is held.
func (r *run) now() time.Time { return pace.Later(r.clock.Now(), r.reached) }

// callAt asks the clock for the next thing to do. r.mu is held.
func (r *run) callAt(due time.Time) {
	if r.alarm.forget != nil && r.alarm.at.Equal(due) {
		return
	}
	r.alarm.stop()
	r.alarm = alarm{at: due, forget: r.clock.At(due, func() { r.came(due) })}
}

// came is what the clock calls. A call that was given up meanwhile means nothing.
func (r *run) came(due time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.alarm.forget == nil || !r.alarm.at.Equal(due) {
		return
	}
	r.alarm, r.reached = alarm{}, due
	r.dirty = true
	r.start()
}

// close ends the run of a bulk that has ended.
func (r *run) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.alarm.stop()
	r.nightfall.stop()
	for _, f := range r.feeds {
		r.s.waiting.forget(f.waiting)
	}
}
