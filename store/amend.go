package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"portaria/messaging"
)

const (
	updateContent = `UPDATE messages SET kind = $1, content = $2, edited_at = $3
		WHERE workspace_id = $4 AND environment = $5 AND id = $6`
	updateRevoked = `UPDATE messages SET revoked_at = $1 WHERE workspace_id = $2 AND environment = $3 AND id = $4`
)

// applyEdit changes the content of a message. An edit to the content that the
// message has already is no news, nor is one that comes behind a later one or
// behind the message's end.
func (r *recording) applyEdit(ctx context.Context, c messaging.MessageEdit) error {
	c.At = clip(c.At)
	w, err := r.written(ctx, c.WorkspaceID, c.Environment, c.InstanceID, c.WAMessageID, author{c.Author, c.AuthorLID})
	if err != nil || w == nil || w.row.RevokedAt != 0 || w.row.EditedAt > micros(c.At) {
		return err
	}
	w.message.Content = edited(w.message.Content, c.Content)
	w.message.EditedAt = c.At
	kind := string(w.message.Content.Kind)
	content, err := encodeContent(w.message.Content)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if content == w.row.Content && kind == w.row.Kind {
		return nil
	}
	// Written at once: a second edit in this batch has to meet the first.
	if _, err := r.b.exec(ctx, updateContent, kind, content, micros(c.At), w.row.WorkspaceID, w.row.Environment, w.row.ID); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	r.amend(messaging.EventMessageEdited, w, c.At)
	return nil
}

// edited is a content after an edit. An edit of a caption need not bring the
// file again, and no edit changes what a message answers.
func edited(before, after messaging.Content) messaging.Content {
	if after.Kind == before.Kind && after.Media != nil && before.Media != nil && after.Media.ID == "" {
		media := *before.Media
		media.Caption = after.Media.Caption
		after.Media = &media
	}
	if after.ReplyTo == nil {
		after.ReplyTo = before.ReplyTo
	}
	after.ViewOnce = before.ViewOnce
	return after
}

// applyRevoke notes that a message was deleted for everyone. What it said stays
// readable: whoever answers for what was received has to know it.
func (r *recording) applyRevoke(ctx context.Context, c messaging.MessageRevoke) error {
	c.At = clip(c.At)
	w, err := r.written(ctx, c.WorkspaceID, c.Environment, c.InstanceID, c.WAMessageID, author{c.Author, c.AuthorLID})
	if err != nil || w == nil || w.row.RevokedAt != 0 {
		return err
	}
	w.message.RevokedAt = c.At
	if _, err := r.b.exec(ctx, updateRevoked, micros(c.At), w.row.WorkspaceID, w.row.Environment, w.row.ID); err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	r.amend(messaging.EventMessageRevoked, w, c.At)
	return nil
}

// amend notes the event of what an author did to a message.
func (r *recording) amend(typ messaging.EventType, w *written, at time.Time) {
	m := r.join(&w.row)
	w.message.State = m.state
	m.changed = true
	m.events = append(m.events, r.events.add(messaging.Event{
		Type: typ, WorkspaceID: m.workspace, Environment: m.environment, InstanceID: m.instance, MessageID: m.id,
		State: m.state, Message: &w.message, Timestamp: at,
	}))
}

// written is a message that was found by its WhatsApp id.
type written struct {
	row     writtenRow
	message messaging.Message
}

// writtenRow is a row of messages with its place and events.
type writtenRow struct {
	Position int64  `db:"position"`
	Events   string `db:"events"`
	messageRow
}

// The directions stand in the texts, so that the index of each is seen to fit.
// What is read is locked where writers run side by side.
const (
	selectWritten = `SELECT ` + messageColumns + `, m.position, m.events FROM messages m WHERE m.instance_id = $1 AND m.wa_message_id = $2`
	lockWritten   = `
		FOR UPDATE -- only: postgres
		`
	selectReceived = selectWritten + " AND " + isInbound + lockWritten
	selectSent     = selectWritten + " AND " + isOutboundLive + lockWritten
)

// The conditions of the partial indexes over WhatsApp ids.
const (
	isInbound      = `m.direction = 'inbound'`
	isOutboundLive = `m.direction = 'outbound' AND m.environment = 'live'`
)

// written finds a message by its WhatsApp id if its author is who acts on it;
// nil when there is none. Without an author, the act was done by us or on the
// instance's own phone, and the message is one of ours.
func (r *recording) written(
	ctx context.Context, workspace string, env messaging.Environment, instance, waID string, by author,
) (*written, error) {
	text := selectReceived
	switch {
	case by.WAID != "":
	case env == messaging.Test:
		text = selectCarried
	default:
		text = selectSent
	}
	found, err := r.b.query(ctx, text, instance, waID)
	if err != nil {
		return nil, fmt.Errorf("by WhatsApp id: %w", err)
	}
	var rows []writtenRow
	if err := errorsJoinClose(sqlx.StructScan(found, &rows), found); err != nil {
		return nil, fmt.Errorf("by WhatsApp id: %w", err)
	}
	if len(rows) == 0 || rows[0].WorkspaceID != workspace || rows[0].Environment != string(env) {
		return nil, nil
	}
	m, err := rows[0].message()
	if err != nil {
		return nil, fmt.Errorf("by WhatsApp id: %w", err)
	}
	if by.WAID != "" && !by.wrote(&m) {
		return nil, nil
	}
	return &written{rows[0], m}, nil
}

// author is who acts on a message: by the number when it is known, and then
// perhaps by the LID as well.
type author struct {
	messaging.Address
	lid string
}

// wrote reports whether the author sent a message, in the chat in which the act
// was done. A message can have come under the LID before the number was known.
// An author whose number is not known did not write what came under a number:
// in a group everybody sees the ids of messages, and could name that of another.
func (a author) wrote(m *messaging.Message) bool {
	if a.Group() != m.Peer.Group() {
		return false
	}
	return a.WAID == m.Peer.WAID || a.lid != "" && a.lid == m.Peer.WAID
}

// join puts a message that was read among those of the batch. One that came in
// this very batch has its event still to be written.
func (r *recording) join(row *writtenRow) *recorded {
	if m, ok := r.messages[row.ID]; ok {
		return m
	}
	m := &recorded{
		workspace: row.WorkspaceID, environment: messaging.Environment(row.Environment), id: row.ID, instance: row.InstanceID,
		bulk: row.BulkID, priority: int64(row.Priority), position: row.Position, state: row.state(), sequences: row.Events,
	}
	r.messages[m.id] = m
	r.order = append(r.order, m)
	if i := slices.IndexFunc(r.received, func(in received) bool { return in.message.ID == m.id }); i >= 0 {
		m.events = append(m.events, r.received[i].event)
		r.received = slices.Delete(r.received, i, i+1)
	}
	return m
}
