package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

// insertOutbox gives messages their places in the outbox.
var insertOutbox = &rows{
	head: insertInto + `outbox (instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at) `,
	columns: []kind{
		text.of(byInstance), number.of(byCaller), number, text.of(byWorld), text.of(byWorld), text, number.of(byCaller), number,
	},
}

// Accept stores a message, its place in the outbox, its first event and its
// idempotency claim in one commit, shared with other callers. accepted is
// called after that commit, in the order of the commits, with the message's
// place; it must not block.
//
// Fault: ErrIdempotencyRace when another request has stored the same claim.
func (s *Store) Accept(ctx context.Context, a outbox.Acceptance, accepted func(position int64)) error {
	m, err := newStoredMessage(a.Message)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	p := &acceptance{message: m, claim: a.Claim}
	return s.committer.submit(ctx, &job{station: stationAccept, payload: p, weight: 1, after: func() { accepted(p.position) }})
}

type acceptance struct {
	message  storedMessage
	claim    *messaging.Claim
	position int64
	event    int // its index in the event log
}

// applyAcceptances plans what its jobs accept. The claims go first: a job that
// lost its claim to another writes nothing.
func applyAcceptances(ctx context.Context, b *batchConn, jobs []*job, events *eventLog) (writer, error) {
	winners := make([]*acceptance, 0, len(jobs))
	for _, j := range jobs {
		a := j.payload.(*acceptance)
		m := a.message
		if a.claim != nil {
			won, err := claim(ctx, b, m.WorkspaceID, m.Environment, a.claim)
			if err != nil {
				return nil, err
			}
			if !won {
				j.err = ErrIdempotencyRace
				continue
			}
		}
		a.plan(b.store.nextPosition(), events)
		winners = append(winners, a)
	}
	return func(ctx context.Context) error { return writeAcceptances(ctx, b, winners, events) }, nil
}

// plan gives a message its place and its first event.
func (a *acceptance) plan(position int64, events *eventLog) {
	m := &a.message
	a.position = position
	a.event = events.addStatus(m.WorkspaceID, m.Environment, m.InstanceID, m.ID, m.Status, m.State, m.CreatedAt)
}

// writeAcceptances inserts planned messages and their places in the outbox.
func writeAcceptances(ctx context.Context, b *batchConn, winners []*acceptance, events *eventLog) error {
	messages := make([]any, 0, len(winners)*len(insertMessages.columns))
	places := make([]any, 0, len(winners)*len(insertOutbox.columns))
	for _, a := range winners {
		m, sequence := &a.message, strconv.FormatInt(events.sequence(a.event), 10)
		messages = m.args(messages, a.position, sequence)
		places = append(places, &m.InstanceID, int64(m.Priority), a.position,
			&m.WorkspaceID, (*string)(&m.Environment), &m.ID, micros(m.SendAt), micros(m.ExpiresAt))
		b.left = append(b.left, left{m.ID, known{
			tenancyKey{m.WorkspaceID, string(m.Environment)}, m.InstanceID, m.BulkID, int64(m.Priority), a.position, m.State, sequence,
		}})
	}
	if err := b.write(ctx, insertMessages, messages); err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if err := b.write(ctx, insertOutbox, places); err != nil {
		return fmt.Errorf("insert outbox: %w", err)
	}
	return nil
}

// noEvent is the index of a change that is not an event.
const noEvent = -1

// addStatus notes the event of a message's new status, and returns its index in
// the log; noEvent if that status is not an event.
func (l *eventLog) addStatus(workspace string, env messaging.Environment, instance, message string, status messaging.Status, state messaging.State, at time.Time) int {
	typ, ok := messaging.MessageEvent(status)
	if !ok {
		return noEvent
	}
	return l.add(messaging.Event{
		Type: typ, WorkspaceID: workspace, Environment: env, InstanceID: instance, MessageID: message,
		State: state, Timestamp: at,
	})
}
