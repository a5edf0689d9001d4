package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
	"portaria/sandbox"
)

// MessageActs does with messages what is no sending, on the network and at once.
// Faults besides those named: instances.ErrNotConnected,
// messaging.ErrActRefused, and temporary ones.
type MessageActs interface {
	// Edit changes a message's text or caption. Faults: fault.ErrNotFound,
	// fault.ErrValidation, fault.ErrConflict, messaging.ErrTooOld.
	Edit(ctx context.Context, tenancy messaging.Tenancy, messageID string, edit messaging.Edit) (messaging.Message, error)
	// Revoke deletes a message for everyone. Faults: fault.ErrNotFound,
	// fault.ErrConflict, messaging.ErrTooOld.
	Revoke(ctx context.Context, tenancy messaging.Tenancy, messageID string) (messaging.Message, error)
	Type(ctx context.Context, instance messaging.Instance, to messaging.Address, typing messaging.Typing) error
	// MarkRead takes inbound messages of the instance.
	MarkRead(ctx context.Context, instance messaging.Instance, messages []messaging.Message) error
}

// editMessage is the body of an edit: another text, or another caption.
type editMessage struct {
	Type    string     `json:"type,omitzero" enum:"text,image,video,document" description:"Must be that of the message; needed nowhere."`
	Text    *textInput `json:"text,omitzero"`
	Caption *string    `json:"caption,omitzero" maxLength:"65536" description:"Of an image, a video or a document; empty takes it away."`
}

// validate implements validator.
func (e *editMessage) validate(_ *Call, fields *fault.Fields) error {
	switch e.Type {
	case "", string(messaging.KindText), string(messaging.KindImage), string(messaging.KindVideo), string(messaging.KindDocument):
	default:
		fields.Add("type", "enum", "must be text, image, video or document: other messages cannot be edited")
	}
	switch {
	case e.Text == nil && e.Caption == nil:
		fields.Add("text", "required", "is required, or caption")
	case e.Text != nil && e.Caption != nil:
		fields.Add("caption", "requires", "cannot stand beside text: a message has one content")
	case e.Text != nil:
		e.Text.check(fields)
	case len(*e.Caption) > messaging.MaxTextBytes:
		fields.Add("caption", "max_bytes", "must not be longer than 65536 bytes")
	}
	return nil
}

func (e *editMessage) edit() messaging.Edit {
	if e.Text == nil {
		return messaging.Edit{Caption: e.Caption}
	}
	return messaging.Edit{Text: &messaging.Text{Body: e.Text.Body, PreviewURL: e.Text.PreviewURL}}
}

// editMessage changes what a sent message says.
func (s *Server) editMessage(ctx context.Context, call *Call, req editMessage) (messageJSON, error) {
	m, err := s.visibleMessage(ctx, call)
	if err != nil {
		return messageJSON{}, err
	}
	if req.Type != "" && req.Type != string(m.Content.Kind) {
		return messageJSON{}, fault.Fields{{Field: "type", Rule: "requires", Message: "is not the type of the message, which is " + string(m.Content.Kind)}}.Err()
	}
	m, err = s.acts.Edit(ctx, call.Tenancy, call.ID, req.edit())
	return messageJSON{m}, err
}

// revokeMessage deletes a sent message for everyone.
func (s *Server) revokeMessage(ctx context.Context, call *Call, _ nothing) (messageJSON, error) {
	if _, err := s.visibleMessage(ctx, call); err != nil {
		return messageJSON{}, err
	}
	m, err := s.acts.Revoke(ctx, call.Tenancy, call.ID)
	return messageJSON{m}, err
}

// showTyping is what a chat is to be shown.
type showTyping struct {
	To    string           `json:"to" required:"true" minLength:"1" description:"A number in international form, or the WhatsApp id of a person or a group." example:"+55 11 91234-5678"`
	State messaging.Typing `json:"state" required:"true" enum:"typing,recording,paused"`
}

// validate implements validator.
func (t *showTyping) validate(_ *Call, fields *fault.Fields) error {
	if strings.TrimSpace(t.To) == "" {
		fields.Add("to", "required", "is required")
	}
	switch t.State {
	case messaging.TypingText, messaging.TypingRecording, messaging.TypingPaused:
	case "":
		fields.Add("state", "required", "is required")
	default:
		fields.Add("state", "enum", "must be typing, recording or paused")
	}
	return nil
}

// typingView is what a chat is shown.
type typingView struct {
	To    addressView      `json:"to"`
	State messaging.Typing `json:"state" enum:"typing,recording,paused"`
}

// showTyping shows a chat what is about to be sent.
func (s *Server) showTyping(ctx context.Context, call *Call, req showTyping) (typingView, error) {
	to, err := outbox.ParseRecipient(req.To)
	test := call.Tenancy.Environment() == messaging.Test
	switch {
	case err != nil:
		return typingView{}, err
	case !test && to.IsSandboxNumber():
		return typingView{}, outbox.ErrSandboxRecipient
	case test && sandbox.RefusesAtOnce(to):
		return typingView{}, outbox.ErrInvalidRecipient
	case strings.HasSuffix(to.WAID, "@"+messaging.NewsletterServer):
		return typingView{}, fault.Fields{{Field: "to", Rule: "format", Message: "is not a person or a group"}}.Err()
	}
	err = s.acts.Type(ctx, call.Instance, to, req.State)
	return typingView{To: addressView{Input: to.Input, WAID: to.WAID}, State: req.State}, err
}

// maxReadMessages is how many messages one request may mark as read.
const maxReadMessages = 100

// markRead is the body that names messages which were read.
type markRead struct {
	MessageIDs []string `json:"message_ids" required:"true" minItems:"1" maxItems:"100" nullable:"false" description:"Ids of inbound messages, as msg_01jd00000000000000000000aa."`
}

// validate implements validator.
func (r *markRead) validate(_ *Call, fields *fault.Fields) error {
	switch {
	case len(r.MessageIDs) == 0:
		fields.Add("message_ids", "required", "must name at least one message")
	case len(r.MessageIDs) > maxReadMessages:
		fields.Add("message_ids", "max", "must name at most 100 messages")
	}
	return nil
}

// readView lists the messages that were marked as read.
type readView struct {
	MessageIDs []string `json:"message_ids" nullable:"false"`
}

// markMessagesRead tells contacts that their messages were read. Who sends may
// name messages that it may not see: nothing of them is answered.
func (s *Server) markMessagesRead(ctx context.Context, call *Call, req markRead) (readView, error) {
	var fields fault.Fields
	messages := make([]messaging.Message, 0, len(req.MessageIDs))
	for i, id := range req.MessageIDs {
		m, err := s.inboundMessage(ctx, call, id)
		if errors.Is(err, fault.ErrNotFound) {
			fields.Add("message_ids["+strconv.Itoa(i)+"]", "not_found", "is not an inbound message of this instance")
			continue
		}
		if err != nil {
			return readView{}, err
		}
		messages = append(messages, m)
	}
	if err := fields.Err(); err != nil {
		return readView{}, err
	}
	return readView(req), s.acts.MarkRead(ctx, call.Instance, messages)
}

// inboundMessage finds an inbound message of the row's instance.
func (s *Server) inboundMessage(ctx context.Context, call *Call, id string) (messaging.Message, error) {
	if !messaging.ValidID(messaging.MessagePrefix, id) {
		return messaging.Message{}, fault.ErrNotFound
	}
	m, err := s.reader.Message(ctx, call.Tenancy, id)
	if err == nil && (m.InstanceID != call.InstanceID || m.Direction != messaging.Inbound) {
		err = fault.ErrNotFound
	}
	return m, err
}
