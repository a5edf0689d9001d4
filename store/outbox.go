package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
	"portaria/outbox"
)

var _ outbox.Store = (*Store)(nil)

// nodeBits are the low bits of a place in the outbox; they tell processes on
// one database apart.
const nodeBits = 10

// nextPosition draws a place in the outbox: the time in microseconds, made
// rising within the process, and the process's own bits. Two processes that
// draw the same place for one lane all the same meet at the primary key, and the
// later one draws again. It is called by the committer alone.
func (s *Store) nextPosition() int64 {
	s.position = max(s.position+1, time.Now().UnixMicro())
	return s.position<<nodeBits | s.node
}

// seedPosition begins behind every place that was ever given, even if the
// machine's clock has gone back since.
func (s *Store) seedPosition(ctx context.Context) error {
	const q = `SELECT COALESCE(MAX(position), 0) FROM outbox`
	err := s.r.GetContext(ctx, &s.position, q)
	s.position >>= nodeBits
	return explain(err)
}

// Lanes lists the instances that have rows in the outbox.
func (s *Store) Lanes(ctx context.Context) (lanes []outbox.LaneRef, err error) {
	const q = `SELECT DISTINCT workspace_id, environment, instance_id FROM outbox`
	err = s.r.SelectContext(ctx, &lanes, q)
	return lanes, explain(err)
}

const selectDue = `SELECT o.position, o.attempts AS tries, ` + messageColumns + `
	FROM outbox o JOIN messages m
		ON m.workspace_id = o.workspace_id AND m.environment = o.environment AND m.id = o.message_id
	WHERE o.instance_id = $1 AND o.priority = $2 AND o.due_at <= $3
	ORDER BY o.position LIMIT $4`

// Due returns the rows of one lane and priority that are due at now.
func (s *Store) Due(ctx context.Context, lane outbox.LaneRef, p messaging.Priority, now time.Time, limit int) ([]outbox.Parcel, error) {
	var found []struct {
		Position int64 `db:"position"`
		Tries    int   `db:"tries"`
		messageRow
	}
	if err := s.r.SelectContext(ctx, &found, selectDue, lane.InstanceID, int64(p), micros(now), limit); err != nil {
		return nil, fmt.Errorf("due: %w", explain(err))
	}
	out := make([]outbox.Parcel, 0, len(found))
	for i := range found {
		m, err := found[i].message()
		if err != nil {
			return nil, fmt.Errorf("due: message %s: %w", found[i].ID, err)
		}
		out = append(out, outbox.NewParcel(&m, found[i].Position, found[i].Tries))
	}
	return out, nil
}

const selectLater = `SELECT o.message_id, o.priority, m.peer_wa_id, o.position, o.due_at,
		CASE WHEN o.parked OR m.status = 'sending' THEN 0 ELSE 1 END AS blocks,
		CASE WHEN m.status = 'sending' THEN 1 ELSE 0 END AS unacked
	FROM outbox o JOIN messages m
		ON m.workspace_id = o.workspace_id AND m.environment = o.environment AND m.id = o.message_id
	WHERE o.instance_id = $1 AND o.due_at > $2
	ORDER BY o.position`

// Later returns the rows of a lane that are not due at now.
func (s *Store) Later(ctx context.Context, lane outbox.LaneRef, now time.Time) ([]outbox.Waiter, error) {
	var found []struct {
		MessageID string `db:"message_id"`
		Priority  int8   `db:"priority"`
		WAID      string `db:"peer_wa_id"`
		Position  int64  `db:"position"`
		DueAt     int64  `db:"due_at"`
		Blocks    int    `db:"blocks"`
		Unacked   int    `db:"unacked"`
	}
	if err := s.r.SelectContext(ctx, &found, selectLater, lane.InstanceID, micros(now)); err != nil {
		return nil, fmt.Errorf("later: %w", explain(err))
	}
	out := make([]outbox.Waiter, len(found))
	for i, w := range found {
		out[i] = outbox.Waiter{
			MessageID: w.MessageID, Priority: messaging.Priority(w.Priority), WAID: w.WAID,
			Position: w.Position, Due: fromMicros(w.DueAt), Blocks: w.Blocks == 1, Unacked: w.Unacked == 1,
		}
	}
	return out, nil
}

const (
	selectExpired = `SELECT message_id FROM outbox WHERE instance_id = $1 AND expires_at <= $2 ORDER BY position LIMIT $3`

	selectNextDeadline = `SELECT
			COALESCE(MIN(CASE WHEN expires_at > $2 THEN expires_at END), 0),
			COALESCE(MIN(CASE WHEN due_at > $2 THEN due_at END), 0)
		FROM outbox WHERE instance_id = $1`
)

// Expired returns ids of messages of a lane whose time had run out at now, and
// when the lane must be looked at again.
func (s *Store) Expired(ctx context.Context, lane outbox.LaneRef, now time.Time, limit int) (ids []string, next time.Time, err error) {
	if err := s.r.SelectContext(ctx, &ids, selectExpired, lane.InstanceID, micros(now), limit); err != nil {
		return nil, next, fmt.Errorf("expired: %w", explain(err))
	}
	var expiry, due int64
	if err := s.r.QueryRowContext(ctx, selectNextDeadline, lane.InstanceID, micros(now)).Scan(&expiry, &due); err != nil {
		return nil, next, fmt.Errorf("next deadline: %w", explain(err))
	}
	if due != 0 && due < expiry {
		expiry = due
	}
	return ids, fromMicros(expiry), nil
}

// Unpark makes rows due that wait only for another message to the same recipient.
func (s *Store) Unpark(ctx context.Context, lane outbox.LaneRef, p messaging.Priority, waID string) error {
	const q = `UPDATE outbox SET due_at = 0, parked = FALSE
		WHERE instance_id = $1 AND priority = $2 AND parked AND message_id IN (
			SELECT o.message_id FROM outbox o JOIN messages m
				ON m.workspace_id = o.workspace_id AND m.environment = o.environment AND m.id = o.message_id
			WHERE o.instance_id = $1 AND o.priority = $2 AND o.parked AND m.peer_wa_id = $3)`
	return s.inWriteTx(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, q, lane.InstanceID, int64(p), waID)
		return err
	})
}
