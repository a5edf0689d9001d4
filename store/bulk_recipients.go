package store

import (
	"context"
	"fmt"
	"strconv"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
)

// recipientsPage is how many rows are read at once, and recipientChunks how many
// chunks.
const (
	recipientsPage  = 1000
	recipientChunks = 4
)

// statusSkipped is the status of a row that is no message and never will be.
const statusSkipped = "skipped"

// whySkipped are the sentences for rows that were skipped at their turn. What was
// found when the bulk was accepted has a sentence in its row.
var whySkipped = map[string]string{
	messaging.SkippedOptedOut:  "The recipient wants no more of these messages.",
	messaging.SkippedRecent:    "The recipient had a message of another bulk within dedupe_window.",
	messaging.SkippedFrequency: "The recipient has had as many messages as frequency_cap allows.",
}

// BulkRecipients lists rows in their order, up to one more than page.Limit,
// behind page.Cursor, a row's number in decimal. status narrows them; empty: all.
// Fault: fault.ErrBadRequest for a cursor that is none.
func (s *Store) BulkRecipients(
	ctx context.Context, b messaging.Bulk, status string, page messaging.Page,
) (out []messaging.BulkRecipient, err error) {
	behind := int64(0)
	if page.Cursor != "" {
		if behind, err = strconv.ParseInt(page.Cursor, 10, 64); err != nil || behind < 0 {
			return nil, fault.ErrBadRequest.Saying("This cursor cannot be used.")
		}
	}
	waits, err := s.waitingStatus(ctx, &b)
	if err != nil {
		return nil, err
	}
	for len(out) <= page.Limit {
		want := recipientsPage
		if status == "" {
			want = min(want, page.Limit+1-len(out))
		}
		rows, err := s.storedRows(ctx, b.ID, behind, want)
		if err != nil || len(rows) == 0 {
			return out, err
		}
		if out, err = s.appendRecipients(ctx, out, &b, rows, waits, status); err != nil {
			return nil, err
		}
		behind = rows[len(rows)-1].Number
	}
	return out[:page.Limit+1], nil
}

// waitingStatus is the status of the rows that wait in a bulk.
func (s *Store) waitingStatus(ctx context.Context, b *messaging.Bulk) (messaging.Status, error) {
	const q = `SELECT state FROM bulks WHERE workspace_id = $1 AND environment = $2 AND id = $3`
	var state messaging.BulkState
	if err := s.r.GetContext(ctx, &state, q, b.WorkspaceID, string(b.Environment), b.ID); err != nil {
		return "", fmt.Errorf("bulk: %w", explain(err))
	}
	if state == messaging.BulkCanceled {
		return messaging.StatusCanceled, nil
	}
	return messaging.StatusQueued, nil
}

// storedRows reads the next rows of a bulk as they were accepted, at most limit.
func (s *Store) storedRows(ctx context.Context, bulkID string, behind int64, limit int) (rows []bulk.StoredRow, err error) {
	for len(rows) < limit {
		chunks, err := s.Chunks(ctx, bulkID, behind+1, recipientChunks)
		if err != nil || len(chunks) == 0 {
			return rows, err
		}
		for i := range chunks {
			decoded, err := chunks[i].Decode()
			if err != nil {
				return nil, fmt.Errorf("recipients of %s: %w", bulkID, err)
			}
			for _, row := range decoded {
				if row.Number > behind && len(rows) < limit {
					rows = append(rows, row)
					behind = row.Number
				}
			}
		}
	}
	return rows, nil
}

// turnedRow is a row of bulk_recipients with the state of its message.
type turnedRow struct {
	Row        int64  `db:"row_number"`
	InstanceID string `db:"instance_id"`
	MessageID  string `db:"message_id"`
	Reason     string `db:"reason"`
	Again      bool   `db:"again"`
	stateRow
}

const selectTurned = `SELECT r.row_number, r.instance_id, r.message_id, r.reason, r.again,
		COALESCE(m.status, '') AS status, COALESCE(m.error_code, '') AS error_code, COALESCE(m.error_message, '') AS error_message,
		COALESCE(m.attempts, 0) AS attempts, COALESCE(m.sent_at, 0) AS sent_at, COALESCE(m.delivered_at, 0) AS delivered_at,
		COALESCE(m.read_at, 0) AS read_at, COALESCE(m.played_at, 0) AS played_at, COALESCE(m.failed_at, 0) AS failed_at
	FROM bulk_recipients r LEFT JOIN messages m
		ON m.workspace_id = r.workspace_id AND m.environment = r.environment AND m.id = r.message_id AND r.message_id <> ''
	WHERE r.bulk_id = $1 AND r.row_number >= $2 AND r.row_number <= $3`

// appendRecipients appends the rows that have a status, as they stand.
func (s *Store) appendRecipients(
	ctx context.Context, out []messaging.BulkRecipient, b *messaging.Bulk, rows []bulk.StoredRow, waits messaging.Status, status string,
) ([]messaging.BulkRecipient, error) {
	var found []turnedRow
	err := s.r.SelectContext(ctx, &found, selectTurned, b.ID, rows[0].Number, rows[len(rows)-1].Number)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", explain(err))
	}
	turned := make(map[int64]*turnedRow, len(found))
	for i := range found {
		turned[found[i].Row] = &found[i]
	}
	for i := range rows {
		r := recipient(b.ID, &rows[i], turned[rows[i].Number], waits)
		if status == "" || r.Status == status {
			out = append(out, r)
		}
	}
	return out, nil
}

// recipient merges a row as it was accepted with what became of it at its turn;
// nil: it has not had it.
func recipient(bulkID string, row *bulk.StoredRow, t *turnedRow, waits messaging.Status) messaging.BulkRecipient {
	r := messaging.BulkRecipient{
		ID: messaging.NewRecipientID(bulkID, row.Number), Row: row.Number, To: messaging.Address{Input: row.Input, WAID: row.WAID},
		Variables: []byte(row.Variables), Status: string(waits), State: messaging.State{Status: waits},
	}
	switch {
	case row.Reason != "":
		skip(&r, row.Reason, row.Why)
	case t == nil, t.Again:
	case t.MessageID == "":
		skip(&r, t.Reason, whySkipped[t.Reason])
	default:
		r.MessageID, r.InstanceID, r.State = t.MessageID, t.InstanceID, t.state()
		r.Status, r.Error = string(r.State.Status), r.State.Error
	}
	return r
}

func skip(r *messaging.BulkRecipient, reason, why string) {
	r.Status, r.State = statusSkipped, messaging.State{}
	r.Error = &messaging.SendError{Code: reason, Message: why}
}

const selectAgain = `SELECT row_number FROM bulk_recipients
		INDEXED BY bulk_recipients_again -- only: sqlite
	WHERE bulk_id = $1 AND again ORDER BY row_number LIMIT $2`

// Again lists rows that failed and wait for another turn, in order, at most
// limit.
func (s *Store) Again(ctx context.Context, bulkID string, limit int) (rows []int64, err error) {
	if err := s.r.SelectContext(ctx, &rows, s.engine.sql(selectAgain), bulkID, limit); err != nil {
		return nil, fmt.Errorf("rows to be retried: %w", explain(err))
	}
	return rows, nil
}
