package webhooks

import (
	"context"
	"math"
	"time"
)

// An endpoint that has been failing for a minute is shown as such; one that has
// been for five days is switched off. Both by its world's time.
const (
	noteAfter = time.Minute
	giveUp    = 5 * 24 * time.Hour
)

// allLoads is later than every read of all endpoints.
const allLoads = math.MaxInt64

// health is what a lane knows of how its endpoint does. The lane's lock guards
// it.
type health struct {
	failures int       // in a row
	since    time.Time // the first of them; zero: the last try succeeded
	noted    time.Time // since, as the store has it
	noting   bool      // the store is being told
	telling  time.Time // what it is being told
	overrun  bool      // noted has changed meanwhile: the answer says nothing of what the store has
	unsure   bool      // what the store has is not known: it is told once more
	triedFor int64     // a read of all endpoints up to this one may be older than what the last try has found

	off    bool  // the endpoint is being switched off, or has been: no other try
	offFor int64 // until a read of all endpoints that began after this one says otherwise
}

// sideBySide is how many deliveries may be tried at once.
func (h *health) sideBySide() int {
	if h.failures >= failuresToDoubt {
		return 1
	}
	return sideBySide
}

// follow takes what another process, or the one before, has found out.
func (h *health) follow(before, now *target, load int64) {
	if load > h.offFor {
		h.off = false
	}
	ours := before != nil && before.URL == now.URL
	if ours && h.says(now.FailingSince) {
		return // it is no news: ours may be newer
	}
	h.noted, h.overrun = now.FailingSince, h.noting
	if ours && load <= h.triedFor && h.since.IsZero() != h.noted.IsZero() {
		return // ours is newer, and the store is to be told
	}
	h.since, h.failures = h.noted, 0
	if !h.since.IsZero() {
		h.failures = failuresToDoubt
	}
}

// says reports whether the store has, or will have, a time of failure from here.
func (h *health) says(since time.Time) bool {
	return since.Equal(h.noted) || h.noting && since.Equal(h.telling)
}

// succeeded notes a success. loads is how many reads of all endpoints have begun.
func (h *health) succeeded(loads int64) { h.failures, h.since, h.triedFor = 0, time.Time{}, loads }

// failed notes a failure at a time of the world. It reports whether the
// endpoint is to be given up.
func (h *health) failed(at time.Time, loads int64) (hopeless bool) {
	h.failures++
	h.triedFor = loads
	if h.since.IsZero() {
		h.since = at
	}
	return at.Sub(h.since) >= giveUp
}

// toNote is what the store should say at a time of the world.
func (h *health) toNote(at time.Time) time.Time {
	if h.since.IsZero() || at.Sub(h.since) < noteAfter && !h.noted.Equal(h.since) {
		return time.Time{}
	}
	return h.since
}

// note has the store say since when the endpoint has been failing, if that has
// changed. l.mu is held.
func (l *lane) note() {
	if l.health.noting || l.target == nil || l.health.noted.Equal(l.health.toNote(l.clock.Now())) {
		return
	}
	l.health.noting = true
	l.d.work.Go(l.tellHealth)
}

// tellHealth tells the store until it says what the lane knows, so that a
// failure and a success that are near each other are told in their order.
func (l *lane) tellHealth() {
	for wait := l.d.timings.Retry; ; {
		t, want, news := l.toTell()
		if !news {
			return
		}
		err := l.d.queue.SetFailing(l.d.recording, t.Endpoint, want)
		if l.noted(want, err); err == nil {
			continue
		}
		l.d.log.Error("health of a webhook not noted, trying again", "webhook", l.id, "error", err)
		pause(l.d.recording, wait)
		wait = min(2*wait, maxRetry)
	}
}

// noted takes what the store has answered when it was told. After an error, and
// when another has told it something meanwhile, it is open what it has.
func (l *lane) noted(want time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	h.unsure, h.overrun = err != nil || h.overrun, false
	if !h.unsure {
		h.noted = want
	}
}

// toTell returns what the store does not say yet. When there is nothing, or the
// dispatcher ends, the telling ends.
func (l *lane) toTell() (t *target, want time.Time, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	want = l.health.toNote(l.clock.Now())
	if l.target != nil && (l.health.unsure || !l.health.noted.Equal(want)) && l.d.recording.Err() == nil {
		l.health.telling = want
		return l.target, want, true
	}
	l.health.noting, l.health.unsure, l.health.overrun = false, false, false
	l.ring()
	return nil, time.Time{}, false
}

// switchOff disables the endpoint for a reason.
func (l *lane) switchOff(t *target, reason string) {
	err := l.d.persist("webhook not disabled, trying again", l.id, func(ctx context.Context) error {
		return l.d.queue.Disable(ctx, t.Endpoint, reason, l.clock.Now())
	})
	if err == nil {
		l.d.log.Warn("webhook disabled", "webhook", l.id, "reason", reason)
	}
	l.mu.Lock()
	l.health.offFor = l.d.loads.Load()
	l.mu.Unlock()
	l.d.Changed(l.id)
}

// maxRetry bounds the wait between two tries to tell the store something.
const maxRetry = 5 * time.Second

// persist does something until it succeeds, more slowly the more often it
// fails. It returns the last error when the dispatcher ends first.
func (d *Dispatcher) persist(what, webhook string, do func(context.Context) error) error {
	for wait := d.timings.Retry; ; wait = min(2*wait, maxRetry) {
		err := do(d.recording)
		if err == nil || d.recording.Err() != nil {
			return err
		}
		d.log.Error(what, "webhook", webhook, "error", err)
		pause(d.recording, wait)
	}
}
