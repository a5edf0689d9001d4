package bulk

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

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
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("rows from %d on are not there", next)
	}
	return rows, false, rowsFault(err)
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
			return nil, rowsFault(err)
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
		return Candidate{}, rowsFault(err)
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
	r.advance(t.Next)
	return nil
}

// note adds a turn's messages to what is in lanes.
func (r *run) note(t *Turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range t.Rows {
		if m := t.Rows[i].Message; m != nil {
			r.feed(m.InstanceID).take(m.ID, t.Rows[i].Person)
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

// advance notes up to where the rows have had their turn.
func (r *run) advance(next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = time.Time{}
	r.next = max(r.next, next)
}
