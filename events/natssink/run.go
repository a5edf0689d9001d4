package natssink

import (
	"context"
	"time"

	"portaria/messaging"
)

// worker is what Run's goroutine alone knows.
type worker struct {
	*Sink

	known   bool      // the sink's beginning in this database has been settled
	lookAt  time.Time // when the store is looked at, news or not
	looking backoff

	session   *session // nil: there is no connection
	connectAt time.Time
	connects  backoff

	pending []*world // those with news, in turn
}

// Run implements messaging.Sink. It never gives up, and returns nil.
func (s *Sink) Run(ctx context.Context) error {
	w := &worker{Sink: s, looking: s.backoff(), connects: s.backoff()}
	s.change(func() { s.phase = starting })
	defer func() {
		w.hangUp()
		s.change(func() { s.phase = down })
	}()
	for ctx.Err() == nil {
		w.round(ctx)
		w.rest(ctx)
	}
	return nil
}

// round does what is due. Each world with news has one page published, so that
// none waits for another's backlog.
func (w *worker) round(ctx context.Context) {
	stranger := w.take()
	if now := time.Now(); stranger && w.looking.failures == 0 || !now.Before(w.lookAt) {
		w.look(ctx)
		w.take()
	}
	if !w.reach(ctx) {
		return
	}
	turn := w.pending
	w.pending = w.pending[len(w.pending):]
	for i, of := range turn {
		if ctx.Err() != nil || !w.reach(ctx) { // the world before may have cost the connection
			w.pending = append(w.pending, turn[i:]...)
			return
		}
		if time.Now().Before(of.due) || w.serve(ctx, of) {
			w.pending = append(w.pending, of)
		}
	}
}

// take takes over what was told, and reports whether there was news of a world
// that is not known yet.
func (w *worker) take() (stranger bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, w.told...)
	clear(w.told)
	w.told = w.told[:0]
	stranger, w.stranger = w.stranger, false
	return stranger
}

// rest waits until something is due, or there is news.
func (w *worker) rest(ctx context.Context) {
	next, lost := w.lookAt, (<-chan struct{})(nil)
	if w.session == nil {
		next = earlier(next, w.connectAt)
	} else {
		lost = w.session.lost
		for _, of := range w.pending {
			next = earlier(next, of.due)
		}
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-lost:
	case <-timer.C:
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// reach reports whether the stream can be published to, and connects when it is
// time to.
func (w *worker) reach(ctx context.Context) bool {
	if w.session != nil && w.session.isLost() {
		w.fail(ctx, errLost)
	}
	if w.session == nil {
		if time.Now().Before(w.connectAt) {
			return false
		}
		session, err := w.connect(ctx)
		if err != nil {
			w.fail(ctx, err)
			return false
		}
		w.session = session
	}
	if w.session.ready {
		return true
	}
	if err := w.openStream(ctx, w.session); err != nil {
		w.fail(ctx, err)
		return false
	}
	w.session.ready = true
	w.change(func() { w.phase = up })
	return true
}

// fail ends the connection, and says when to try again.
func (w *worker) fail(ctx context.Context, err error) {
	w.hangUp()
	if ctx.Err() != nil {
		return
	}
	wait := w.connects.next()
	w.connectAt = time.Now().Add(wait)
	w.change(func() { w.phase = down })
	w.log.Warn("NATS cannot be used; events wait in the database", "address", w.address.hosts, "error", err, "retry_in", wait)
}

func (w *worker) hangUp() {
	if w.session != nil {
		w.session.close()
		w.session = nil
	}
}

// serve publishes the next page of a world, and reports whether it has more to
// publish, or has to try again.
func (w *worker) serve(ctx context.Context, of *world) (more bool) {
	w.mu.Lock()
	of.news = false
	cursor, limit := of.cursor, pageSize
	if of.failing { // a look whether it goes again is enough
		limit = 1
	}
	w.mu.Unlock()
	full, err := w.publishAfter(ctx, of, cursor, limit)
	if ctx.Err() != nil {
		return true
	}
	if err != nil {
		w.refused(ctx, of, err)
		return true
	}
	w.connects.reset()
	of.retries.reset()
	if !full {
		of.due = time.Now().Add(w.options.Gather)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	of.failing = false
	of.queued = full || of.news
	return of.queued
}

// publishAfter publishes what is behind a cursor, up to limit events, and then
// moves the cursor.
func (w *worker) publishAfter(ctx context.Context, of *world, cursor int64, limit int) (full bool, err error) {
	events, err := w.options.Store.EventsAfter(ctx, of.name, cursor, limit)
	if err != nil || len(events) == 0 {
		return false, err
	}
	if err := w.publish(ctx, w.session, events); err != nil {
		return false, err
	}
	last := events[len(events)-1].Sequence
	// What was acknowledged is noted even while the process ends.
	if err := w.moveCursor(context.WithoutCancel(ctx), of.name, last); err != nil {
		return false, err
	}
	w.change(func() { of.cursor = max(of.cursor, last) })
	return len(events) == limit, nil
}

// refused has a world wait after a failure, while the others go on. When the
// connection is to blame, all of them wait for another one.
func (w *worker) refused(ctx context.Context, of *world, err error) {
	if isConnection(err) {
		w.fail(ctx, err)
		return
	}
	w.session.ready = false // the stream may be gone
	wait := of.retries.next()
	of.due = time.Now().Add(wait)
	w.change(func() { of.failing = true })
	w.log.Warn("events not published; they will be again", "workspace", of.name.WorkspaceID,
		"environment", of.name.Environment, "error", err, "retry_in", wait)
}

// moveCursor bounds how long a database that does not answer may hold up the end
// of the process.
func (w *worker) moveCursor(ctx context.Context, name messaging.World, sequence int64) error {
	ctx, cancel := context.WithTimeout(ctx, w.options.AckWait)
	defer cancel()
	return w.options.Store.MoveSinkCursor(ctx, cursorName, name, sequence)
}
