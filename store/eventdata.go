package store

import (
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"portaria/messaging"
)

// amendedData is what the event of an edit holds: the message's state, and its
// content as it was then.
type amendedData struct {
	messaging.State
	Kind    string `json:"kind"`
	Content string `json:"content"`
}

// eventData is what an event changed: a message's state or content, an instance,
// a call, a bulk or a webhook.
func eventData(e *messaging.Event) (string, error) {
	var v any = &e.State
	switch {
	case isPlainState(e):
		return writeState(&e.State), nil
	case e.Instance != nil:
		v = e.Instance
	case e.Call != nil:
		v = e.Call
	case e.Bulk != nil:
		row, err := newBulkRow(e.Bulk)
		if err != nil {
			return "", fmt.Errorf("event data: %w", err)
		}
		v = &row
	case e.Webhook != nil:
		row := newWebhookRow(e.Webhook)
		v = &row
	case e.Type == messaging.EventMessageEdited && e.Message != nil:
		content, err := encodeContent(e.Message.Content)
		if err != nil {
			return "", fmt.Errorf("event data: %w", err)
		}
		v = amendedData{e.State, string(e.Message.Content.Kind), content}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("event data: %w", err)
	}
	return string(b), nil
}

// isPlainState reports whether an event tells a message's state, and no error: as
// all events of nearly every message do. That is written without reflection.
func isPlainState(e *messaging.Event) bool {
	return e.MessageID != "" && e.Type != messaging.EventMessageEdited && e.State.Status.Valid() && e.State.Error == nil
}

func writeState(s *messaging.State) string {
	b := append(make([]byte, 0, 160), `{"status":"`...)
	b = append(append(b, s.Status...), `","attempts":`...)
	b = strconv.AppendInt(b, int64(s.Attempts), 10)
	for _, t := range [...]struct {
		name string
		at   time.Time
	}{
		{"sent_at", s.SentAt}, {"delivered_at", s.DeliveredAt}, {"read_at", s.ReadAt}, {"played_at", s.PlayedAt}, {"failed_at", s.FailedAt},
	} {
		if !t.at.IsZero() {
			b = append(append(append(b, `,"`...), t.name...), `":"`...)
			b = append(t.at.AppendFormat(b, time.RFC3339Nano), '"')
		}
	}
	return string(append(b, '}'))
}

// event reads an event back: what it changed, and of a message what never
// changes.
func (r *eventRow) event() (messaging.Event, error) {
	e := messaging.Event{
		ID: r.ID, Sequence: r.Sequence, Type: messaging.EventType(r.Type),
		WorkspaceID: r.Workspace, Environment: messaging.Environment(r.Environment),
		InstanceID: r.Instance, MessageID: r.MessageID, Timestamp: fromMicros(r.OccurredAt),
	}
	var err error
	switch {
	case e.Type.Matches("bulk.*"):
		err = r.readBulk(&e)
	case r.MessageID != "":
		err = r.readMessage(&e)
	case e.Type == messaging.EventCallReceived:
		e.Call = new(messaging.Call)
		err = json.Unmarshal([]byte(r.Data), e.Call)
	case e.Type == messaging.EventWebhookDisabled || e.Type == messaging.EventWebhookTest:
		err = r.readWebhook(&e)
	default:
		e.Instance = new(messaging.Instance)
		err = json.Unmarshal([]byte(r.Data), e.Instance)
	}
	if err != nil {
		return e, fmt.Errorf("event %s: %w", r.ID, err)
	}
	return e, nil
}

func (r *eventRow) readWebhook(e *messaging.Event) error {
	var row webhookRow
	if err := json.Unmarshal([]byte(r.Data), &row); err != nil {
		return err
	}
	w, err := row.webhook()
	e.Webhook = &w
	return err
}

// readBulk fills in the bulk as it stood; its id stands where that of a message
// does.
func (r *eventRow) readBulk(e *messaging.Event) error {
	var row bulkRow
	if err := json.Unmarshal([]byte(r.Data), &row); err != nil {
		return err
	}
	b, err := row.bulk()
	e.Bulk, e.MessageID = &b, ""
	return err
}

// readMessage fills in the message as it stood after the event. What its author
// did to it later does not show; only its present content is known, however,
// unless the event is the edit itself.
func (r *eventRow) readMessage(e *messaging.Event) error {
	m, err := r.message()
	if err != nil {
		return err
	}
	var data amendedData
	if err := json.Unmarshal([]byte(r.Data), &data); err != nil {
		return err
	}
	if data.Kind != "" {
		if m.Content, err = decodeContent(data.Kind, data.Content); err != nil {
			return err
		}
		m.EditedAt = e.Timestamp
	}
	if m.EditedAt.After(e.Timestamp) {
		m.EditedAt = time.Time{}
	}
	if m.RevokedAt.After(e.Timestamp) {
		m.RevokedAt = time.Time{}
	}
	m.State, e.State, e.Message = data.State, data.State, &m
	return nil
}
