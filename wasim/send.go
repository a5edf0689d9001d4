package wasim

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"portaria/internal/fault"
)

// ErrNotLinked says that an account has no client that could receive anything.
var ErrNotLinked = fault.New(fault.NotFound, "WASIM_NOT_LINKED", "No client is linked to this account.")

// maxSent bounds the messages that a contact can send again when asked to.
const maxSent = 4096

// sentMessage is a message of a contact, kept for clients that cannot open it
// and for what becomes of it.
type sentMessage struct {
	to        *account // nil in a group
	group     *Group   // nil outside of groups
	plain     []byte
	kind      string
	mediaType string
	edit      string // which change to another message it is
	category  string // "peer" between the devices of one account
	retries   int
	status    Sent
}

// Sent is what has become of a message of a contact.
type Sent struct {
	ID        string
	To        string // a number, or the address of a group
	Delivered bool   // a client has taken it
	Read      bool
	Played    bool
}

func (a *account) sendText(ctx context.Context, to, text string) (string, error) {
	return a.sendMessage(ctx, to, &waE2E.Message{Conversation: proto.String(text)})
}

// sendMessage encrypts a message for every client of an account and queues it
// for those that are offline.
func (a *account) sendMessage(ctx context.Context, to string, message *waE2E.Message) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	recipient := a.srv.account(to)
	if recipient == nil {
		return "", ErrNumber
	}
	devices := recipient.companions()
	if len(devices) == 0 {
		return "", ErrNotLinked
	}
	plain, err := proto.Marshal(message)
	if err != nil {
		return "", fmt.Errorf("write a message: %w", err)
	}
	sent := newSent(message, plain, recipient.number)
	sent.to = recipient
	a.keepSent(sent)
	a.outgoing.Lock()
	defer a.outgoing.Unlock()
	for _, d := range devices {
		if err := a.sendTo(d, sent, false, d.takeBundle); err != nil {
			return "", err
		}
	}
	return sent.status.ID, nil
}

// sendTo encrypts a message for one device and delivers it.
func (a *account) sendTo(d *device, m sentMessage, renew bool, take func() bundle) error {
	text, err := a.party.seal(peer(d.account.number, d.id), m.plain, renew, take)
	if err != nil {
		return err
	}
	enc := waBinary.Attrs{"v": "2", "type": text.kind, "mediatype": m.mediaType}
	if m.retries > 0 {
		enc["count"] = strconv.Itoa(m.retries)
	}
	d.deliver(waBinary.Node{Tag: "message", Attrs: a.stanzaAttrs(d, m), Content: []waBinary.Node{{
		Tag: "enc", Attrs: enc, Content: text.data,
	}}})
	return nil
}

// newSent is a message that is about to be sent.
func newSent(message *waE2E.Message, plain []byte, to string) sentMessage {
	m := sentMessage{plain: plain, edit: editKind(message), status: Sent{ID: newMessageID(), To: to}}
	m.kind, m.mediaType = kindOf(message)
	return m
}

// stanzaAttrs says who sends a message to a device, and in which chat.
func (a *account) stanzaAttrs(d *device, m sentMessage) waBinary.Attrs {
	attrs := waBinary.Attrs{
		"id": m.status.ID, "t": now(), "type": m.kind, "edit": m.edit, "category": m.category, "notify": a.behaves().name,
	}
	switch {
	case m.group != nil:
		attrs["from"], attrs["addressing_mode"] = m.group.id, "lid"
		attrs["participant"], attrs["participant_pn"] = a.lid, a.pn
	case m.to == a: // the phone to its own companion
		attrs["from"] = a.pn
	default:
		server := d.kindFor(a.number)
		attrs["from"] = a.address(server)
		addAlternative(attrs, a, server)
	}
	return attrs
}

func (a *account) keepSent(m sentMessage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent[m.status.ID] = &m
	a.sentOrder = append(a.sentOrder, m.status.ID)
	if len(a.sentOrder) > maxSent {
		delete(a.sent, a.sentOrder[0])
		a.sentOrder = a.sentOrder[1:]
	}
}

// sendAgain answers a client that could not open a message: once more in a new
// session, a few times at most.
func (a *account) sendAgain(d *device, id string, receipt *waBinary.Node) {
	a.mu.Lock()
	m := a.sent[id]
	if m == nil || !m.reaches(d.account) || m.retries >= maxRetries {
		a.mu.Unlock()
		return
	}
	m.retries++
	again := *m
	a.mu.Unlock()
	take := d.takeBundle
	if keys, ok := retryBundle(receipt); ok && keys.identity == d.keys.identity {
		take = func() bundle { return keys }
	}
	a.outgoing.Lock()
	defer a.outgoing.Unlock()
	if again.group != nil {
		again.plain = a.withDistribution(again)
	}
	if err := a.sendTo(d, again, true, take); err != nil {
		a.srv.log.Warn("message cannot be sent again", "contact", a.number, "message_id", id, "error", err)
	}
}

// reaches reports whether a message is for the devices of an account.
func (m *sentMessage) reaches(a *account) bool {
	if m.group != nil {
		return m.group.has(a.number)
	}
	return m.to == a
}

// newMessageID draws an id as phones do.
func newMessageID() string { return "3A" + strings.ToUpper(hex.EncodeToString(randomBytes(9))) }

// kindOf returns the type of a message's stanza and the mediatype of its text.
func kindOf(m *waE2E.Message) (kind, mediaType string) {
	m = content(m)
	switch {
	case m.ReactionMessage != nil:
		return "reaction", ""
	case m.ImageMessage != nil:
		return "media", "image"
	case m.VideoMessage != nil:
		return "media", "video"
	case m.AudioMessage != nil && m.AudioMessage.GetPTT():
		return "media", "ptt"
	case m.AudioMessage != nil:
		return "media", "audio"
	case m.DocumentMessage != nil:
		return "media", "document"
	case m.StickerMessage != nil:
		return "media", "sticker"
	case m.LocationMessage != nil:
		return "media", "location"
	case m.ContactMessage != nil:
		return "media", "vcard"
	case m.ContactsArrayMessage != nil:
		return "media", "contact_array"
	case pollOf(m) != nil:
		return "poll", ""
	default:
		return "text", ""
	}
}
