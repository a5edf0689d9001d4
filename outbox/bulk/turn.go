package bulk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

// step does what there is to do, if anything. It reports whether there may be
// more.
func (r *run) step(ctx context.Context) (more bool, err error) {
	if err := r.acquire(ctx); err != nil {
		return false, err
	}
	defer r.release()
	gone, err := r.lookUp(ctx)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	state, closed := r.state, r.closed
	r.mu.Unlock()
	switch {
	case closed || state.Ended():
		return false, nil
	case gone:
		return false, r.record(ctx, messaging.BulkCanceled)
	case state == messaging.BulkScheduled:
		return r.begin(ctx)
	case state == messaging.BulkRunning:
		return r.feedLanes(ctx)
	}
	return false, nil
}

// record reports another state of the bulk.
func (r *run) record(ctx context.Context, to messaging.BulkState) error {
	if err := r.s.reporter.Report(context.WithoutCancel(ctx), r.change(to)); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	r.become(to)
	return nil
}

func (r *run) change(to messaging.BulkState) messaging.BulkChange {
	return messaging.BulkChange{
		WorkspaceID: r.bulk.WorkspaceID, Environment: r.bulk.Environment, BulkID: r.bulk.ID, State: to, At: r.clock.Now(),
	}
}

func (r *run) become(state messaging.BulkState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
	r.heldUntil = time.Time{}
	r.dirty = true
	r.start()
}

// begin starts a scheduled bulk when its time has come.
func (r *run) begin(ctx context.Context) (more bool, err error) {
	at := r.bulk.Options.SendAt
	r.mu.Lock()
	early := at.After(r.now())
	if early {
		r.callAt(at)
	}
	r.mu.Unlock()
	if early {
		return false, nil
	}
	return true, r.record(ctx, messaging.BulkRunning)
}

// feedLanes gives rows their turn, unless it is quiet.
func (r *run) feedLanes(ctx context.Context) (more bool, err error) {
	if quiet, err := r.keepQuiet(ctx); quiet || err != nil {
		return false, err
	}
	if err := r.openBooks(ctx); err != nil {
		return false, err
	}
	open, at := r.openings()
	if len(open) == 0 {
		if !at.IsZero() && r.hasRows() {
			r.mu.Lock()
			r.callAt(at)
			r.mu.Unlock()
		}
		return false, nil
	}
	rows, retry, err := r.pick(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	t, err := r.turn(rows, open, retry)
	if err != nil {
		return false, err
	}
	return true, r.give(ctx, t)
}

// hasRows reports whether rows wait for a turn.
func (r *run) hasRows() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.again || r.next <= r.bulk.Counts.Total
}

// keepQuiet reports whether it is quiet now. What waits in lanes when that begins
// is held until it ends.
func (r *run) keepQuiet(ctx context.Context) (quiet bool, err error) {
	if r.quiet == nil {
		return false, nil
	}
	r.mu.Lock()
	now := r.now()
	quiet = r.quiet.Holds(now)
	end := r.quiet.End(now)
	told := r.heldUntil.Equal(end)
	if quiet {
		r.callAt(end)
	} else {
		r.callAtNightfall(now)
	}
	r.mu.Unlock()
	if !quiet || told {
		return quiet, nil
	}
	if _, err := r.s.outbox.Amend(ctx, r.amendment(messaging.StatusHeld, end)); err != nil {
		return true, fmt.Errorf("quiet hours: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heldUntil = end
	return true, nil
}

// callAtNightfall has the clock call when quiet hours begin. No mode of a clock
// skips that: what is skipped is waiting, and this ends work. r.mu is held.
func (r *run) callAtNightfall(now time.Time) {
	if r.nightfall.forget != nil || len(r.feeds) == 0 {
		return
	}
	begin := r.quiet.Begin(now)
	if begin.IsZero() {
		return
	}
	r.nightfall = alarm{at: begin, forget: r.clock.Deadline(begin, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.nightfall = alarm{}
		r.dirty = true
		r.start()
	})}
}

// amendment is about everything of the bulk that waits in lanes.
func (r *run) amendment(to messaging.Status, due time.Time) outbox.Amendment {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := outbox.Amendment{Status: to, Due: due}
	if to == messaging.StatusCanceled {
		a.Error = &messaging.SendError{Code: "CANCELED", Message: "The bulk was canceled."}
	}
	for _, f := range r.feeds {
		if len(f.waiting) == 0 {
			continue
		}
		ids := make([]string, 0, len(f.waiting))
		for id := range f.waiting {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		a.Messages = append(a.Messages, outbox.LaneMessages{Lane: r.lane(f), IDs: ids})
	}
	return a
}

// pick returns the rows that are next: those that are retried, then those that
// have not had a turn.
func (r *run) pick(ctx context.Context) (rows []StoredRow, retry bool, err error) {
	r.mu.Lock()
	again, next := r.again, r.next
	r.again = false // unless somebody says so again meanwhile
	r.mu.Unlock()
	if again {
		rows, err = r.failed(ctx)
		if err != nil || len(rows) > 0 {
			r.mu.Lock()
			r.again = true
			r.mu.Unlock()
			return rows, true, err
		}
	}
	if next > r.bulk.Counts.Total {
		return nil, false, nil
	}
	rows, err = r.rows.from(ctx, next)
	return rows, false, err
}

// failed returns rows that failed and are to have another turn.
func (r *run) failed(ctx context.Context) ([]StoredRow, error) {
	numbers, err := r.s.store.Again(ctx, r.bulk.ID, turnRows)
	if err != nil {
		return nil, fmt.Errorf("rows to retry: %w", err)
	}
	rows := make([]StoredRow, 0, len(numbers))
	for _, n := range numbers {
		row, err := r.rows.one(ctx, n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, *row)
	}
	return rows, nil
}

// turn makes a batch of rows, as many as there is room for. Each goes where there
// is the most room, so that a fast instance gets more than a slow one.
func (r *run) turn(rows []StoredRow, open []opening, retry bool) (*Turn, error) {
	t := &Turn{Bulk: r.bulk, At: r.clock.Now()}
	for i := range rows {
		if len(t.Rows) == turnRows {
			break
		}
		row := &rows[i]
		if row.Reason != "" {
			t.Rows = append(t.Rows, Candidate{Row: row.Number, Skipped: true})
			continue
		}
		to := widest(open)
		if to.room == 0 {
			break
		}
		c, err := r.candidate(row, to.feed, t.At)
		if err != nil {
			return nil, err
		}
		to.room--
		t.Rows = append(t.Rows, c)
	}
	if !retry {
		t.Next = t.Rows[len(t.Rows)-1].Row + 1
	}
	return t, nil
}

// candidate makes the message of a row.
func (r *run) candidate(row *StoredRow, f *feed, at time.Time) (Candidate, error) {
	values, err := row.values(r.template.Variables())
	if err != nil {
		return Candidate{}, err
	}
	b := &r.bulk
	at = at.Truncate(time.Microsecond)
	life := b.Options.ExpiresIn
	if life == 0 {
		life = outbox.DefaultExpiry
	}
	m := &messaging.Message{
		ID: r.s.ids.Next(messaging.MessagePrefix, time.Now()), WorkspaceID: b.WorkspaceID, Environment: b.Environment,
		InstanceID: f.instance, Direction: messaging.Outbound, Peer: messaging.Address{Input: row.Input, WAID: row.WAID},
		Content: r.template.Render(values), Metadata: b.Metadata, Priority: b.Options.Priority,
		WAMessageID: messaging.NewWAMessageID(), KeyID: b.KeyID, Lineage: b.Lineage, BulkID: b.ID, Sandbox: b.Options.Sandbox,
		CreatedAt: at, ExpiresAt: at.Add(life), State: messaging.State{Status: messaging.StatusQueued},
	}
	return Candidate{Row: row.Number, Person: messaging.Person(row.WAID), Message: m}, nil
}

// give has the store make messages of a turn's rows, and hands these to their
// lanes. They are noted before, so that one that is sent at once is not missed.
func (r *run) give(ctx context.Context, t *Turn) error {
	r.note(t)
	var done Turned
	err := r.s.store.Turn(context.WithoutCancel(ctx), *t, func(turned Turned) {
		done = turned
		for i, position := range turned.Positions {
			if position != 0 {
				r.s.outbox.Take(t.Rows[i].Message, position)
			}
		}
	})
	if err != nil {
		r.unnote(t, nil)
		return fmt.Errorf("turn: %w", err)
	}
	r.unnote(t, done.Positions)
	if done.Stopped {
		return r.reload(ctx)
	}
	r.spend(t, done.Positions)
	return nil
}

// note adds a turn's messages to what is in lanes.
func (r *run) note(t *Turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range t.Rows {
		if m := t.Rows[i].Message; m != nil {
			r.feed(m.InstanceID).take(m.ID)
			r.s.waiting.add(r, m.ID)
		}
	}
}

// unnote takes back what became no message.
func (r *run) unnote(t *Turn, positions []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range t.Rows {
		m := t.Rows[i].Message
		if m == nil || i < len(positions) && positions[i] != 0 {
			continue
		}
		r.feed(m.InstanceID).leave(m.ID)
		r.s.waiting.remove(m.ID)
	}
}

// spend notes what a turn has used of the rows, and of the bulk's pace.
func (r *run) spend(t *Turn, positions []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = time.Time{}
	if t.Next > r.next {
		r.next = t.Next
	}
	if r.rules == nil {
		return
	}
	now := r.clock.Now()
	for i := range t.Rows {
		if i < len(positions) && positions[i] != 0 {
			f := r.feed(t.Rows[i].Message.InstanceID)
			f.book.Settle(now)
			f.book.Add(now, 1)
		}
	}
}
