package wasim

import (
	"net/http"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// receivedView is a message that a contact has decrypted.
type receivedView struct {
	ID     string `json:"id"`
	From   string `json:"from"`
	Device uint16 `json:"device"`
	To     string `json:"to"`
	Group  string `json:"group,omitzero"`
	Kind   string `json:"kind"`
	Text   string `json:"text,omitzero"` // or the caption, the emoji, the name of a place, those of contacts, the question of a poll
	MIME   string `json:"mime_type,omitzero"`
	Size   uint64 `json:"size,omitzero"`
	File   string `json:"filename,omitzero"`

	Location *Place   `json:"location,omitzero"`
	Cards    []string `json:"cards,omitzero"` // vCards
	Poll     *Poll    `json:"poll,omitzero"`

	About   string    `json:"about,omitzero"` // the message that it answers, edits, revokes or reacts to
	At      time.Time `json:"at"`
	Order   uint64    `json:"order"`
	Retries int       `json:"retries"`
	Copies  int       `json:"copies"`
}

func viewReceived(r Received) receivedView {
	v := receivedView{
		ID: r.WAMessageID, From: r.From, Device: r.Device, To: r.To, Group: r.Group,
		At: r.At.UTC().Truncate(time.Millisecond), Order: r.Order, Retries: r.Retries, Copies: r.Copies,
	}
	v.describe(unwrapped(r.Message))
	return v
}

// unwrapped takes a message out of what says that it is shown once, or that it
// is an edit.
func unwrapped(m *waE2E.Message) *waE2E.Message {
	for {
		var inside *waE2E.Message
		switch {
		case m.GetViewOnceMessage() != nil:
			inside = m.GetViewOnceMessage().GetMessage()
		case m.GetViewOnceMessageV2() != nil:
			inside = m.GetViewOnceMessageV2().GetMessage()
		case m.GetDocumentWithCaptionMessage() != nil:
			inside = m.GetDocumentWithCaptionMessage().GetMessage()
		case m.GetEditedMessage() != nil:
			inside = m.GetEditedMessage().GetMessage()
		}
		if inside == nil {
			return m
		}
		m = inside
	}
}

// describe says what is in a message.
func (v *receivedView) describe(m *waE2E.Message) {
	switch {
	case m.GetImageMessage() != nil:
		part := m.GetImageMessage()
		v.file("image", part, part.GetCaption())
	case m.GetVideoMessage() != nil:
		part := m.GetVideoMessage()
		v.file("video", part, part.GetCaption())
	case m.GetAudioMessage() != nil:
		part := m.GetAudioMessage()
		kind := "audio"
		if part.GetPTT() {
			kind = "ptt"
		}
		v.file(kind, part, "")
	case m.GetDocumentMessage() != nil:
		part := m.GetDocumentMessage()
		v.file("document", part, part.GetCaption())
		v.File = part.GetFileName()
	case m.GetStickerMessage() != nil:
		v.file("sticker", m.GetStickerMessage(), "")
	case m.GetReactionMessage() != nil:
		v.Kind, v.Text = "reaction", m.GetReactionMessage().GetText()
		v.About = m.GetReactionMessage().GetKey().GetID()
	case m.GetProtocolMessage() != nil:
		v.describeProtocol(m.GetProtocolMessage())
	case m.GetExtendedTextMessage() != nil:
		v.Kind, v.Text = "text", m.GetExtendedTextMessage().GetText()
		v.About = m.GetExtendedTextMessage().GetContextInfo().GetStanzaID()
	case m.Conversation != nil:
		v.Kind, v.Text = "text", m.GetConversation()
	default:
		if !v.describeOther(m) {
			v.Kind = "other"
		}
	}
}

func (v *receivedView) describeProtocol(p *waE2E.ProtocolMessage) {
	v.About = p.GetKey().GetID()
	switch {
	case p.GetEditedMessage() != nil:
		about := v.About
		v.describe(p.GetEditedMessage())
		v.Kind, v.About = "edit", about
	case p.GetType() == waE2E.ProtocolMessage_REVOKE:
		v.Kind = "revoke"
	default:
		v.Kind = "protocol"
	}
}

// filePart is what all messages with a file have in common.
type filePart interface {
	GetMimetype() string
	GetFileLength() uint64
	GetContextInfo() *waE2E.ContextInfo
}

func (v *receivedView) file(kind string, part filePart, caption string) {
	v.Kind, v.Text, v.MIME, v.Size = kind, caption, part.GetMimetype(), part.GetFileLength()
	v.About = part.GetContextInfo().GetStanzaID()
}

// contactView is how a contact behaves; in a request, what is absent stays.
type contactView struct {
	Number   string  `json:"number,omitzero"`
	Exists   *bool   `json:"exists,omitzero"`
	Delivers *bool   `json:"delivers,omitzero"`
	Reads    *bool   `json:"reads,omitzero"`
	Plays    *bool   `json:"plays,omitzero"`
	Blocked  *bool   `json:"blocked,omitzero"`
	Name     *string `json:"name,omitzero"`
	Answers  *string `json:"answers,omitzero"` // what it answers to every message; empty: nothing
}

func (s *Server) controlContact(r *http.Request, _ none) (any, error) {
	a := s.account(r.PathValue("number"))
	if a == nil {
		return nil, ErrNumber
	}
	b := a.behaves()
	not := func(b bool) *bool { b = !b; return &b }
	return contactView{
		Number: a.number, Exists: not(b.missing), Delivers: not(b.off), Reads: not(b.unread), Plays: &b.plays,
		Blocked: &b.blocks, Name: &b.name, Answers: &b.fixed,
	}, nil
}

func (s *Server) controlSetContact(r *http.Request, in contactView) (any, error) {
	a := s.account(r.PathValue("number"))
	if a == nil || (in.Number != "" && digits(in.Number) != a.number) {
		return nil, ErrNumber
	}
	c := &Contact{a}
	set(in.Exists, c.Exists)
	set(in.Reads, c.Reads)
	set(in.Plays, c.Plays)
	set(in.Blocked, c.Blocked)
	set(in.Name, c.Named)
	set(in.Answers, c.Answers)
	set(in.Delivers, c.Delivers) // last: what was held is read and answered as has just been said
	return s.controlContact(r, none{})
}

func set[T any](value *T, setter func(T) *Contact) {
	if value != nil {
		setter(*value)
	}
}

// digits takes the plus sign from a number.
func digits(number string) string { return strings.TrimPrefix(number, "+") }
