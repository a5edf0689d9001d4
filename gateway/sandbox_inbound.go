package gateway

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox"
)

// What a contact can do besides writing a message. They stand where the kind of
// a message would.
const (
	contactEdits   = "edit"
	contactRevokes = "revoke"
	contactCalls   = "call"
)

// receiveMessage is the body of POST …/inbound: what a contact does. A member
// that means one thing of a message and another of a call is a type of its own.
type receiveMessage struct {
	contentInput

	Type      string     `json:"type,omitzero" enum:"text,image,video,audio,document,sticker,location,contacts,poll,reaction,edit,revoke,call" description:"Of a message, needed only when it cannot be told from the content."`
	Caption   *string    `json:"caption,omitzero" maxLength:"65536" description:"Of an image, a video or a document; of edit, the new one."`
	From      string     `json:"from,omitzero" description:"Who writes or calls: a number in international form, or a WhatsApp id. Not needed to edit or revoke: it is who wrote the message." example:"+55 11 91234-5678"`
	Group     groupInput `json:"group,omitzero"`
	Video     videoInput `json:"video,omitzero"`
	MessageID string     `json:"message_id,omitzero" description:"Of edit and revoke: the id, or the WhatsApp id, of a message that the contact sent to this instance."`

	from    messaging.Address
	content messaging.Content
	file    *mediaInput // still to be brought; nil: the content has none
}

// validate implements validator.
func (r *receiveMessage) validate(call *Call, fields *fault.Fields) error {
	return r.check(call.exchange.upload != nil, fields)
}

// check notes what is wrong with what a contact does. uploaded says that a file
// came with the request.
func (r *receiveMessage) check(uploaded bool, fields *fault.Fields) (err error) {
	r.contentInput.Type, r.contentInput.Video = r.Type, r.Video.file
	if r.Caption != nil {
		r.contentInput.Caption = *r.Caption
	}
	if uploaded && r.amends() || uploaded && r.Type == contactCalls {
		fields.Add("file", "requires", "is for messages that have a file")
	}
	switch r.Type {
	case contactEdits:
		r.checkEdit(fields)
	case contactRevokes:
		r.strays(fields, "message_id", "from")
		r.checkTarget(fields)
	case contactCalls:
		r.strays(fields, "from", "group", "video")
		r.checkCall(fields)
	default:
		r.checkMessage(fields)
		r.content, r.file, err = r.read(uploaded, fields)
	}
	return err
}

// amends reports whether a message that is there is changed.
func (r *receiveMessage) amends() bool { return r.Type == contactEdits || r.Type == contactRevokes }

// checkMessage checks what a message has besides its content.
func (r *receiveMessage) checkMessage(fields *fault.Fields) {
	if r.MessageID != "" {
		fields.Add("message_id", "requires", "is for type edit and type revoke; a reaction has its own")
	}
	if r.Video.isFlag {
		fields.Add("video", "type", "must be an object, unless type is call")
	}
	r.from = contactOf(r.From, fields)
	switch {
	case r.Group.isFlag:
		fields.Add("group", "type", "must be the WhatsApp id of a group, unless type is call")
	case r.Group.id != "":
		group, err := outbox.ParseRecipient(r.Group.id)
		if err != nil || group.Group() == "" {
			fields.Add("group", "format", "is not the WhatsApp id of a group, as 120363012345678901@g.us")
			return
		}
		r.from.Input = group.WAID // where an answer goes to, as of live messages
	}
}

// contactOf reads who writes. The address is written as that of a live message.
func contactOf(from string, fields *fault.Fields) messaging.Address {
	if strings.TrimSpace(from) == "" {
		fields.Add("from", "required", "is required: who writes, as +5511912345678")
		return messaging.Address{}
	}
	address, err := outbox.ParseRecipient(from)
	_, server, _ := strings.Cut(address.WAID, "@")
	if err != nil || server != messaging.UserServer && server != messaging.LIDServer {
		fields.Add("from", "format", "is not a person's number in international form, nor a person's WhatsApp id")
		return messaging.Address{}
	}
	address.Input = address.WAID
	if phone := address.Phone(); phone != "" {
		address.Input = "+" + phone
	}
	return address
}

// checkCall checks a call.
func (r *receiveMessage) checkCall(fields *fault.Fields) {
	r.from = contactOf(r.From, fields)
	if r.Video.file != nil {
		fields.Add("video", "type", "must be true or false of a call")
	}
	if r.Group.id != "" {
		fields.Add("group", "type", "must be true or false of a call")
	}
}

// checkEdit checks a changed text or caption.
func (r *receiveMessage) checkEdit(fields *fault.Fields) {
	r.strays(fields, "message_id", "from", "text", "caption")
	r.checkTarget(fields)
	switch {
	case r.Text != nil && r.Caption != nil:
		fields.Add("caption", "requires", "cannot stand beside text: a message has one content")
	case r.Text != nil:
		r.Text.check(fields)
	case r.Caption == nil:
		fields.Add("text", "required", "is required, or caption")
	case len(*r.Caption) > messaging.MaxTextBytes:
		fields.Add("caption", "max_bytes", "must not be longer than 65536 bytes")
	}
}

// checkTarget checks which message is changed, and by whom.
func (r *receiveMessage) checkTarget(fields *fault.Fields) {
	switch {
	case strings.TrimSpace(r.MessageID) == "":
		fields.Add("message_id", "required", "is required")
	case !couldBeMessage(r.MessageID):
		fields.Add("message_id", "format", "is not the id of a message")
	}
	if r.From != "" {
		r.from = contactOf(r.From, fields)
	}
}

// strays refuses what does not go with a type that is no message.
func (r *receiveMessage) strays(fields *fault.Fields, allowed ...string) {
	given := map[string]bool{
		"message_id": r.MessageID != "", "group": r.Group.id != "" || r.Group.isFlag, "video": r.Video.isFlag,
		"caption": r.Caption != nil, "reply_to": r.ReplyTo != "", "mentions": !r.Mentions.none(), "view_once": r.ViewOnce,
	}
	for _, m := range r.members() {
		given[string(m.kind)] = given[string(m.kind)] || m.given
	}
	for _, name := range allowed {
		delete(given, name)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] {
			fields.Add(name, "requires", "does not go with type "+r.Type)
		}
	}
}

// inboundView is what a contact has done: a message, or a call.
type inboundView struct {
	message messaging.Message
	call    *messaging.Call // nil: it is the message
}

// answer describes the envelope.
func (inboundView) answer() any { return dataAnswer[inboundView]{} }

// MarshalJSONTo implements json.MarshalerTo.
func (a inboundView) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if a.call != nil {
		return json.MarshalEncode(encoder, viewCall(a.call))
	}
	return json.MarshalEncode(encoder, messageJSON{a.message})
}

// JSONSchemaAnyOf describes the type in the OpenAPI document.
func (inboundView) JSONSchemaAnyOf() []any { return []any{messageView{}, callView{}} }

// receiveMessage has a contact do something.
func (s *Server) receiveMessage(ctx context.Context, call *Call, req receiveMessage) (inboundView, error) {
	ctx, done := unhurried(ctx, call, req.file != nil && req.file.URL != "")
	defer done()
	if req.amends() {
		call.Answer(http.StatusOK)
	}
	return s.receive(ctx, call, &req)
}

// receive does what a contact does to the call's instance.
func (s *Server) receive(ctx context.Context, call *Call, req *receiveMessage) (inboundView, error) {
	test, ok := call.Instance.Test()
	if !ok {
		return inboundView{}, auth.ErrWrongEnvironment
	}
	switch {
	case req.Type == contactCalls:
		rings := messaging.Call{From: req.from, Video: req.Video.flag, Group: req.Group.flag, Rejected: rejectsCalls(call.Instance.Settings)}
		rings, err := s.contacts.ReceiveCall(ctx, test, rings)
		return inboundView{call: &rings}, err
	case req.amends():
		return s.amend(ctx, call, test, req)
	default:
		return s.receiveContent(ctx, call, test, req)
	}
}

// rejectsCalls reports whether an instance's settings reject calls, as a live
// instance does by them.
func rejectsCalls(settings []byte) bool {
	var set settingsObject
	return len(settings) > 0 && json.Unmarshal(settings, &set) == nil && set.RejectCalls != nil && *set.RejectCalls
}
