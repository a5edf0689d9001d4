package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"portaria/events/webhooks"
)

// Attempted records a try of a delivery, in a commit shared with other callers.
// Nothing changes when the delivery is gone, is finished, belongs to another node
// by now, or has been tried more often.
func (s *Store) Attempted(ctx context.Context, a webhooks.Attempt) error {
	if err := s.committer.submit(ctx, &job{station: stationAttempt, payload: &a, weight: 1}); err != nil {
		return fmt.Errorf("attempted: %w", err)
	}
	return nil
}

// A plan made while the table was empty is kept, and must be good ever after. The
// expression around state keeps PostgreSQL from going through all that is
// pending, and the sequence lets no index find more than a row or two.
var (
	updateAttempts = &rows{
		head: `UPDATE webhook_deliveries SET attempts = v.column4, state = v.column5, due_at = v.column6, attempted_at = v.column7,
			status_code = v.column8, duration_us = v.column9, error_class = v.column10, answer = v.column11 FROM `,
		form:    asTable,
		columns: slices.Concat(repeat(text, 3), repeat(number, 1), repeat(text, 1), repeat(number, 4), repeat(text, 2), repeat(number, 1)),
		tail: ` WHERE webhook_deliveries.webhook_id = v.column1 AND webhook_deliveries.id = v.column2 AND webhook_deliveries.sequence = v.column12
			AND webhook_deliveries.node = v.column3 AND webhook_deliveries.attempts <= v.column4 AND webhook_deliveries.state || '' = 'pending'`,
	}
	deleteUnwanted = &rows{
		head: `DELETE FROM webhook_deliveries WHERE state || '' = 'pending' AND (webhook_id, id, node, sequence) IN (
			SELECT v.column1, v.column2, v.column3, v.column4 FROM `,
		form:    asTable,
		columns: slices.Concat(repeat(text, 3), repeat(number, 1)),
		tail:    `)`,
	}
)

// applyAttempts writes each delivery once: of several results the one of the
// latest try. They go in the order of their keys, so that two processes never
// wait for each other.
func applyAttempts(ctx context.Context, b *batchConn, jobs []*job) error {
	attempts := make([]*webhooks.Attempt, len(jobs))
	for i, j := range jobs {
		attempts[i] = j.payload.(*webhooks.Attempt)
	}
	slices.SortStableFunc(attempts, func(a, b *webhooks.Attempt) int {
		return cmp.Or(strings.Compare(a.WebhookID, b.WebhookID), strings.Compare(a.ID, b.ID), cmp.Compare(b.Attempts, a.Attempts))
	})
	attempts = slices.CompactFunc(attempts, func(a, b *webhooks.Attempt) bool { return a.WebhookID == b.WebhookID && a.ID == b.ID })
	var updated, unwanted []any
	for _, a := range attempts {
		if a.Unwanted {
			unwanted = append(unwanted, a.WebhookID, a.ID, a.Node, a.Sequence)
			continue
		}
		updated = append(updated, a.WebhookID, a.ID, a.Node, int64(a.Attempts), string(a.State), micros(a.Due), micros(a.AttemptedAt),
			int64(a.StatusCode), a.Duration.Microseconds(), string(a.ErrorClass), storable(a.Answer), a.Sequence)
	}
	if err := b.write(ctx, updateAttempts, updated); err != nil {
		return fmt.Errorf("update deliveries: %w", err)
	}
	if err := b.write(ctx, deleteUnwanted, unwanted); err != nil {
		return fmt.Errorf("delete deliveries: %w", err)
	}
	return nil
}

// storable makes of a stranger's text one that both engines take: valid UTF-8
// without NUL.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
