package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

// A row of pace_sends counts what a number sent in one step of time. It has a
// row for each step of the last day, and one for the step that has begun.
const (
	paceStep  = 5 * time.Minute
	paceSlots = int64(24*time.Hour/paceStep) + 2
)

var (
	upsertPaceSends = &rows{
		head:    insertInto + `pace_sends (workspace_id, environment, instance_id, phone, slot, step, messages, last_at) `,
		columns: slices.Concat(repeat(text, 4), repeat(number, 4)),
		tail: ` ON CONFLICT (workspace_id, environment, instance_id, phone, slot) DO UPDATE SET
			messages = excluded.messages + CASE WHEN pace_sends.step = excluded.step THEN pace_sends.messages ELSE 0 END,
			last_at = CASE WHEN pace_sends.step = excluded.step AND pace_sends.last_at > excluded.last_at
				THEN pace_sends.last_at ELSE excluded.last_at END,
			step = excluded.step`,
	}
	insertPaceNumbers = &rows{
		head:    insertInto + `pace_numbers (workspace_id, environment, instance_id, phone, began_at) `,
		columns: append(repeat(text, 4), number),
		tail:    ` ON CONFLICT DO NOTHING`,
	}
)

// savePace adds what paced instances have sent to the counts. The rows are
// written in the order of their keys, so that two processes never wait for each
// other.
func (r *recording) savePace(ctx context.Context) error {
	if len(r.spent) == 0 {
		return nil
	}
	slices.SortStableFunc(r.spent, func(a, b messaging.PaceSpent) int {
		return cmp.Or(cmp.Compare(a.WorkspaceID, b.WorkspaceID), cmp.Compare(a.Environment, b.Environment),
			cmp.Compare(a.InstanceID, b.InstanceID), cmp.Compare(a.Phone, b.Phone), cmp.Compare(paceSlot(a.At), paceSlot(b.At)), a.At.Compare(b.At))
	})
	var sends, numbers []any
	for n, c := range r.spent {
		if c.First {
			numbers = append(numbers, c.WorkspaceID, string(c.Environment), c.InstanceID, c.Phone, micros(c.At))
		}
		if n > 0 && samePaceRow(r.spent[n-1], c) { // PostgreSQL does not touch a row twice in one statement
			row := sends[len(sends)-len(upsertPaceSends.columns):]
			row[5], row[6], row[7] = stepOf(c.At), row[6].(int64)+int64(c.Messages), micros(c.At)
			continue
		}
		sends = append(sends, c.WorkspaceID, string(c.Environment), c.InstanceID, c.Phone,
			paceSlot(c.At), stepOf(c.At), int64(c.Messages), micros(c.At))
	}
	if err := r.b.write(ctx, upsertPaceSends, sends); err != nil {
		return fmt.Errorf("count for the pace: %w", err)
	}
	if err := r.b.write(ctx, insertPaceNumbers, numbers); err != nil {
		return fmt.Errorf("note a number's first message: %w", err)
	}
	return nil
}

func stepOf(t time.Time) int64   { return micros(t) / paceStep.Microseconds() }
func paceSlot(t time.Time) int64 { return stepOf(t) % paceSlots }

func samePaceRow(a, b messaging.PaceSpent) bool {
	return a.WorkspaceID == b.WorkspaceID && a.Environment == b.Environment && a.InstanceID == b.InstanceID &&
		a.Phone == b.Phone && paceSlot(a.At) == paceSlot(b.At)
}

const (
	selectPaceNumber = `SELECT began_at FROM pace_numbers
		WHERE workspace_id = $1 AND environment = $2 AND instance_id = $3 AND phone = $4`

	selectPaceSends = `SELECT last_at, messages FROM pace_sends
		WHERE workspace_id = $1 AND environment = $2 AND instance_id = $3 AND phone = $4 ORDER BY last_at`
)

// Spent returns what a number has sent through an instance within about the
// last day, and when it first sent; zero if it never did. The messages of one
// step are told together, at the time of their last.
func (s *Store) Spent(ctx context.Context, lane outbox.LaneRef, phone string) (spent []outbox.Spent, began time.Time, err error) {
	var first int64
	err = s.r.GetContext(ctx, &first, selectPaceNumber, lane.WorkspaceID, string(lane.Environment), lane.InstanceID, phone)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, began, nil
	}
	if err != nil {
		return nil, began, fmt.Errorf("pace: %w", explain(err))
	}
	var found []struct {
		LastAt   int64 `db:"last_at"`
		Messages int   `db:"messages"`
	}
	if err := s.r.SelectContext(ctx, &found, selectPaceSends, lane.WorkspaceID, string(lane.Environment), lane.InstanceID, phone); err != nil {
		return nil, began, fmt.Errorf("pace: %w", explain(err))
	}
	spent = make([]outbox.Spent, len(found))
	for i, f := range found {
		spent[i] = outbox.Spent{At: fromMicros(f.LastAt), Messages: f.Messages}
	}
	return spent, fromMicros(first), nil
}

// Waiting returns how many messages of an instance wait.
func (s *Store) Waiting(ctx context.Context, lane outbox.LaneRef) (n int, err error) {
	const q = `SELECT COUNT(*) FROM outbox WHERE instance_id = $1 AND workspace_id = $2 AND environment = $3`
	if err := s.r.GetContext(ctx, &n, q, lane.InstanceID, lane.WorkspaceID, string(lane.Environment)); err != nil {
		return 0, fmt.Errorf("waiting: %w", explain(err))
	}
	return n, nil
}
