package store

import (
	"context"
	"fmt"
	"time"

	"portaria/messaging"
	"portaria/outbox"
)

var insertOutbox = &rows{
	head:    `INSERT INTO outbox (instance_id, priority, position, workspace_id, environment, message_id, due_at, expires_at) VALUES `,
	columns: repeat("?", 8),
}

// Accept stores a message, its place in the outbox, its first event and its
// idempotency claim in one commit, shared with other callers. accepted is
// called after that commit, in the order of the commits, with the message's
// place; it must not block.
//
// Fault: ErrIdempotencyRace when another request has stored the same claim.
func (s *Store) Accept(_ context.Context, a outbox.Acceptance, accepted func(position int64)) error {
	p := &acceptance{Acceptance: a}
	return s.committer.submit(stationAccept, p, func() { accepted(p.position) })
}

type acceptance struct {
	outbox.Acceptance
	position int64
}

// applyAcceptances inserts what its jobs accept. The claims go first: a job
// that lost its claim to another writes nothing.
func applyAcceptances(ctx context.Context, b *batchConn, jobs []*job, events *eventLog) error {
	messages := make([]any, 0, len(jobs)*len(insertMessages.columns))
	places := make([]any, 0, len(jobs)*8)
	for _, j := range jobs {
		a := j.payload.(*acceptance)
		if a.Claim != nil {
			won, err := claim(ctx, b, a.Message.WorkspaceID, a.Message.Environment, a.Claim)
			if err != nil {
				return err
			}
			if !won {
				j.err = ErrIdempotencyRace
				continue
			}
		}
		a.position = b.store.nextPosition()
		row, err := messageArgs(messages, a.Message, a.position)
		if err != nil {
			j.err = fmt.Errorf("accept: %w", err)
			continue
		}
		messages = row
		places = append(places, a.Message.InstanceID, int64(a.Message.Priority), a.position,
			a.Message.WorkspaceID, string(a.Message.Environment), a.Message.ID, micros(a.Message.SendAt), micros(a.Message.ExpiresAt))
		events.addStatus(a.Message.WorkspaceID, a.Message.Environment, a.Message.InstanceID, a.Message.ID,
			a.Message.Status, a.Message.State, a.Message.CreatedAt)
	}
	if err := b.write(ctx, insertMessages, messages); err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if err := b.write(ctx, insertOutbox, places); err != nil {
		return fmt.Errorf("insert outbox: %w", err)
	}
	return nil
}

// addStatus notes the event of a message's new status, if that is an event.
func (l *eventLog) addStatus(workspace string, env messaging.Environment, instance, message string, status messaging.Status, state messaging.State, at time.Time) {
	typ, ok := messaging.MessageEvent(status)
	if !ok {
		return
	}
	l.add(messaging.Event{
		Type: typ, WorkspaceID: workspace, Environment: env, InstanceID: instance, MessageID: message,
		State: state, Timestamp: at,
	})
}
