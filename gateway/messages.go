package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

// sendMessage is the body and query of a new message.
type sendMessage struct {
	contentInput

	To        string              `json:"to" required:"true" minLength:"1" description:"A number in international form, or a WhatsApp id." example:"+55 11 91234-5678"`
	SendAt    string              `json:"send_at,omitzero" format:"date-time" description:"At most a year ahead; a time that has passed means at once."`
	ExpiresIn string              `json:"expires_in,omitzero" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"How long the message may wait for the network: 1s to 30d." example:"24h"`
	Priority  string              `json:"priority,omitzero" enum:"high,normal,low"`
	Metadata  *metadata           `json:"metadata,omitzero"`
	Sandbox   *messaging.Override `json:"sandbox,omitzero"`

	Wait    string `json:"-" query:"wait" enum:"sent,delivered" description:"Answer once the message has got so far, or to an end."`
	Timeout string `json:"-" query:"timeout" pattern:"^[0-9]+(ms|s|m|h|d)$" description:"How long to wait: 10s by default, at most 30s."`

	content   messaging.Content
	file      *mediaInput // still to be brought; nil: the content has none
	sendAt    time.Time
	expiresIn time.Duration
	timeout   time.Duration
}

// The bounds of a message's times.
const (
	maxAhead       = 366 * 24 * time.Hour
	minExpiry      = time.Second
	maxExpiry      = 30 * 24 * time.Hour
	defaultTimeout = 10 * time.Second
	maxTimeout     = 30 * time.Second
)

// readQuery implements queryReader.
func (m *sendMessage) readQuery(q *query) {
	m.Wait = q.enum("wait", string(messaging.StatusSent), string(messaging.StatusDelivered))
	m.Timeout, m.timeout = q.text("timeout"), defaultTimeout
	if m.Timeout == "" {
		return
	}
	d, err := messaging.ParseDuration(m.Timeout)
	switch {
	case err != nil:
		q.wrong.Add("timeout", "duration", "must be a whole number with a unit, as in 10s")
	case d > maxTimeout:
		q.wrong.Add("timeout", "max", "must be at most 30s")
	default:
		m.timeout = d
	}
}

// validate implements validator.
func (m *sendMessage) validate(call *Call, fields *fault.Fields) error {
	var err error
	if m.content, m.file, err = m.read(call.exchange.upload != nil, fields); err != nil {
		return err
	}
	if strings.TrimSpace(m.To) == "" {
		fields.Add("to", "required", "is required")
	}
	switch m.Priority {
	case "", "high", "normal", "low":
	default:
		fields.Add("priority", "enum", "must be high, normal or low")
	}
	m.checkTimes(call, fields)
	m.Metadata.check(fields)
	if m.Sandbox != nil {
		if call.Tenancy.Environment() != messaging.Test {
			fields.Add("sandbox", "environment", "is for test keys only")
			return nil
		}
		*fields = append(*fields, sandbox.ValidateOverride(m.Sandbox)...)
	}
	return nil
}

func (m *sendMessage) checkTimes(call *Call, fields *fault.Fields) {
	if m.SendAt != "" {
		at, err := time.Parse(time.RFC3339, m.SendAt)
		switch {
		case err != nil:
			fields.Add("send_at", "time", "must be an RFC 3339 time with a zone, as 2026-01-31T12:00:00Z")
		case at.After(call.Now().Add(maxAhead)):
			fields.Add("send_at", "max", "must be at most a year ahead")
		default:
			m.sendAt = at
		}
	}
	if m.ExpiresIn != "" {
		d, err := messaging.ParseDuration(m.ExpiresIn)
		switch {
		case err != nil:
			fields.Add("expires_in", "duration", "must be a whole number with a unit, as in 24h")
		case d < minExpiry || d > maxExpiry:
			fields.Add("expires_in", "range", "must lie between 1s and 30d")
		default:
			m.expiresIn = d
		}
	}
}

// priorityOf reads a checked priority.
func priorityOf(name string) messaging.Priority {
	switch name {
	case "high":
		return messaging.High
	case "low":
		return messaging.Low
	default:
		return messaging.Normal
	}
}

// sendMessage accepts a message, and waits for its status when asked to.
func (s *Server) sendMessage(ctx context.Context, call *Call, req sendMessage) (messageJSON, error) {
	if req.plain() {
		return s.accept(ctx, call, &req)
	}
	ctx, done := unhurried(ctx, call, req.file != nil && req.file.URL != "")
	defer done()
	return s.compose(ctx, call, &req)
}

// compose makes the content of a message whole and hands it to the queue.
func (s *Server) compose(ctx context.Context, call *Call, req *sendMessage) (messageJSON, error) {
	to, err := outbox.ParseRecipient(req.To)
	if err != nil {
		return messageJSON{}, err // before anything is fetched for it
	}
	if err := s.referAll(ctx, call, req, to); err != nil {
		return messageJSON{}, err
	}
	var kept *messaging.MediaInfo
	if req.file != nil {
		if kept, err = s.attach(ctx, call, req.file, req.content.Media); err != nil {
			return messageJSON{}, err
		}
	}
	answer, err := s.accept(ctx, call, req)
	if err != nil {
		s.dropUnused(ctx, kept, err)
	}
	return answer, err
}

// referAll finds the messages that a new one points at.
func (s *Server) referAll(ctx context.Context, call *Call, req *sendMessage, to messaging.Address) (err error) {
	if req.ReplyTo != "" {
		if req.content.ReplyTo, err = s.refer(ctx, call, req.ReplyTo, "reply_to"); err != nil {
			return err
		}
	}
	if reaction := req.content.Reaction; reaction != nil {
		reaction.Message, err = s.react(ctx, call, req.Reaction.MessageID, to)
	}
	return err
}

// accept hands a message whose content is whole to the queue.
func (s *Server) accept(ctx context.Context, call *Call, req *sendMessage) (messageJSON, error) {
	draft := outbox.Draft{
		Tenancy:   call.Tenancy,
		Instance:  call.Instance,
		KeyID:     call.Grant.KeyID,
		Lineage:   call.Grant.Lineage,
		To:        req.To,
		Content:   req.content,
		Metadata:  req.Metadata.bytes(),
		Priority:  priorityOf(req.Priority),
		SendAt:    req.sendAt,
		ExpiresIn: req.expiresIn,
		Sandbox:   req.Sandbox,
	}
	if call.Grant.Messages != nil || call.Idempotent() {
		draft.ClaimFor = func(m messaging.Message) (*messaging.Claim, error) { return acceptOnce(call, m) }
	}
	m, err := s.sender.Accept(ctx, draft)
	if err != nil || req.Wait == "" {
		return messageJSON{m}, err
	}
	return s.waitFor(ctx, call, m, messaging.Status(req.Wait), req.timeout), nil
}

// acceptOnce runs when the recipient has been checked and before anything is
// stored: only recipients that are accepted spend the key's message tokens.
func acceptOnce(call *Call, m messaging.Message) (*messaging.Claim, error) {
	if err := call.SpendMessages(1); err != nil || !call.Idempotent() {
		return nil, err
	}
	return call.Claim(messageJSON{m})
}

// waitFor answers 200 once the message has reached want or an end, and 202
// with the message as it stands when the time is up. The message is accepted:
// nothing that goes wrong here may look like a refusal.
func (s *Server) waitFor(
	ctx context.Context, call *Call, m messaging.Message, want messaging.Status, timeout time.Duration,
) messageJSON {
	ctx, cancel := call.Patiently(ctx, timeout)
	defer cancel()
	later, err := s.awaiter.Await(ctx, call.Tenancy, m.ID, want)
	if err != nil {
		s.logger.Warn("wait for a message", "message_id", m.ID, "error", err)
		return messageJSON{m}
	}
	if later.Status.Reached(want) {
		call.Answer(http.StatusOK)
	}
	return messageJSON{later}
}

// listMessages is the query of GET /v1/messages.
type listMessages struct {
	pageQuery

	Direction string `query:"direction" enum:"outbound,inbound"`
	Status    string `query:"status" enum:"scheduled,queued,held,sending,sent,delivered,read,played,failed,expired,canceled,received"`
	To        string `query:"to" description:"A number in international form, or a WhatsApp id."`
	Bulk      string `query:"bulk"`
	Since     string `query:"since" format:"date-time"`
	Until     string `query:"until" format:"date-time"`

	filter messaging.MessageFilter
}

// readQuery implements queryReader.
func (l *listMessages) readQuery(q *query) {
	l.page = q.page(isID(messaging.MessagePrefix))
	l.filter.Direction = messaging.Direction(q.enum("direction", string(messaging.Outbound), string(messaging.Inbound)))
	if status := messaging.Status(q.text("status")); status != "" {
		if !status.Valid() {
			q.wrong.Add("status", "enum", "is not a status")
		}
		l.filter.Status = status
	}
	if to := q.text("to"); to != "" {
		address, err := outbox.ParseRecipient(to)
		if err != nil {
			q.wrong.Add("to", "format", "is not a number in international form, nor a WhatsApp id")
		}
		l.filter.To = address.WAID
	}
	l.filter.BulkID = q.text("bulk")
	l.filter.Since, l.filter.Until = q.time("since"), q.time("until")
}

// listMessages lists messages, newest first.
func (s *Server) listMessages(ctx context.Context, call *Call, req listMessages) (List[messageJSON], error) {
	filter := req.filter
	filter.InstanceID, filter.Lineage = call.InstanceID, call.Lineage
	rows, err := s.reader.Messages(ctx, call.Tenancy, filter, req.page)
	return listOf(rows, req.page, viewMessage, func(m messaging.Message) string { return m.ID }), err
}

// getMessage shows a message.
func (s *Server) getMessage(ctx context.Context, call *Call, _ nothing) (messageJSON, error) {
	m, err := s.visibleMessage(ctx, call)
	return messageJSON{m}, err
}

// cancelMessage ends a message that waits.
func (s *Server) cancelMessage(ctx context.Context, call *Call, _ nothing) (messageJSON, error) {
	if _, err := s.visibleMessage(ctx, call); err != nil {
		return messageJSON{}, err
	}
	m, err := s.sender.Cancel(ctx, call.Tenancy, call.ID)
	return messageJSON{m}, err
}

// visibleMessage finds the message of the path, if the caller may see it.
func (s *Server) visibleMessage(ctx context.Context, call *Call) (messaging.Message, error) {
	if !messaging.ValidID(messaging.MessagePrefix, call.ID) {
		return messaging.Message{}, fault.ErrNotFound
	}
	m, err := s.reader.Message(ctx, call.Tenancy, call.ID)
	if err != nil {
		return messaging.Message{}, err
	}
	return m, call.sees(m)
}

// listMessageEvents lists what happened to a message.
func (s *Server) listMessageEvents(ctx context.Context, call *Call, req listPage) (List[eventView], error) {
	m, err := s.visibleMessage(ctx, call)
	if err != nil {
		return List[eventView]{}, err
	}
	return s.eventsPage(ctx, call, messaging.EventFilter{MessageID: m.ID}, req.page)
}
