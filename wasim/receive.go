package wasim

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

const (
	maxRetries = 5      // times that a message is asked for again
	maxHeld    = 10_000 // messages kept for a phone that is off
)

// Received is a message that a contact has decrypted.
type Received struct {
	WAMessageID string
	From        string // number of the account that sent it
	Device      uint16 // which of its devices
	To          string // number of the contact
	Group       string // address of the group, or empty
	Message     *waE2E.Message
	At          time.Time // when the server got it
	Order       uint64    // place in the order of arrival at the server
	Retries     int       // times that the contact had to ask for it again
	Copies      int       // further frames with this id, dropped unread
}

// Text returns the words of a text message, or "".
func (r Received) Text() string {
	if text := r.Message.GetConversation(); text != "" {
		return text
	}
	return r.Message.GetExtendedTextMessage().GetText()
}

// takesNow decides what the phone does with a message that has arrived for
// it: take it, which is reported, keep it until the phone is on, or never see
// it. The phone of the sender's own account takes everything, whatever its
// behaviour towards others.
func (a *account) takesNow(m *arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.behaviour = a.behaviour
	switch {
	case m.own():
		return true
	case a.behaviour.blocks:
		return false
	case a.behaviour.off:
		if len(a.held) < maxHeld {
			a.held = append(a.held, *m)
		}
		return false
	default:
		return true
	}
}

// receive opens a message that the phone takes, and does what a person does.
func (a *account) receive(m arrival) {
	r := a.take(m)
	if r == nil || m.own() {
		return
	}
	a.tell(m, "")
	if !m.behaviour.unread {
		a.tell(m, "read")
		if m.behaviour.plays && content(r.Message).GetAudioMessage().GetPTT() {
			a.tell(m, "played")
		}
	}
	if m.behaviour.answer == nil {
		return
	}
	if text := m.behaviour.answer(*r); text != "" {
		if err := a.answer(m, text); err != nil {
			a.srv.log.Warn("contact cannot answer", "contact", a.number, "error", err)
		}
	}
}

// answer sends a text to where a message came from.
func (a *account) answer(m arrival, text string) error {
	message := &waE2E.Message{Conversation: &text}
	if g := a.srv.groups.find(m.to); g != nil {
		_, err := a.sendToGroup(context.Background(), g, message)
		return err
	}
	_, err := a.sendMessage(context.Background(), m.from.account.number, message)
	return err
}

// take opens a message and records it. It returns nil when the message was
// known or cannot be opened.
func (a *account) take(m arrival) *Received {
	a.inbox.Lock()
	defer a.inbox.Unlock()
	if a.repeated(m.key()) {
		return nil
	}
	message, err := a.open(m)
	if err != nil {
		a.askAgain(m, err)
		return nil
	}
	return a.record(m, message)
}

// open decrypts all texts of a message; the last one says what it is.
func (a *account) open(m arrival) (*waE2E.Message, error) {
	message := &waE2E.Message{}
	for _, text := range m.sealed {
		plain, err := a.unseal(m, text)
		if err != nil {
			return nil, err
		}
		message = &waE2E.Message{}
		if err := proto.Unmarshal(plain, message); err != nil {
			return nil, err
		}
		if err := a.learnSenderKey(m, message); err != nil {
			return nil, err
		}
	}
	return message, nil
}

// repeated reports whether a message was opened before, and counts it.
func (a *account) repeated(key messageKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, known := a.known[key]
	if known && at >= 0 {
		a.received[at].Copies++
	}
	return known
}

func (a *account) record(m arrival, message *waE2E.Message) *Received {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := m.key()
	r := Received{
		WAMessageID: m.id, From: m.from.account.number, Device: m.from.id, To: a.number,
		Message: message, At: m.at, Order: m.order, Retries: a.retries[key],
	}
	delete(a.retries, key)
	if m.to.Server == types.GroupServer {
		r.Group = m.to.String()
	}
	if m.own() {
		a.known[key] = -1
		return &r
	}
	a.known[key] = len(a.received)
	a.received = append(a.received, r)
	return &r
}

// askAgain asks the sender to encrypt a message anew, with fresh keys.
func (a *account) askAgain(m arrival, cause error) {
	a.mu.Lock()
	a.retries[m.key()]++
	count := a.retries[m.key()]
	a.mu.Unlock()
	a.srv.log.Info("message cannot be opened", "contact", a.number, "message_id", m.id, "retry", count, "error", cause)
	if count > maxRetries {
		return
	}
	receipt := a.receipt(m, "retry")
	if m.own() {
		receipt.Attrs["recipient"] = m.to
	}
	keys := a.party.newBundle()
	receipt.Content = []waBinary.Node{
		{Tag: "retry", Attrs: waBinary.Attrs{"v": "1", "id": m.id, "count": strconv.Itoa(count), "t": now()}},
		registrationNode(keys),
		{Tag: "keys", Content: keyNodes(keys)},
	}
	m.from.deliver(receipt)
}

// tell sends a receipt to every client of the sender. The empty kind says that
// the message was delivered.
func (a *account) tell(m arrival, kind string) {
	receipt := a.receipt(m, kind)
	for _, d := range m.from.account.companions() {
		d.deliver(receipt)
	}
}

// receipt is a receipt from this contact, under the address that the sender
// uses for it.
func (a *account) receipt(m arrival, kind string) waBinary.Node {
	attrs := waBinary.Attrs{"id": m.id, "t": now()}
	if kind != "" {
		attrs["type"] = kind
	}
	if m.to.Server == types.GroupServer {
		attrs["from"], attrs["addressing_mode"] = m.to, "lid"
		attrs["participant"], attrs["participant_pn"] = a.lid, a.pn
	} else {
		server := m.to.Server
		attrs["from"] = a.address(server)
		addAlternative(attrs, a, server)
	}
	return waBinary.Node{Tag: "receipt", Attrs: attrs}
}

// mergeReceived lists what several contacts got in the order of arrival.
func mergeReceived(accounts []*account) []Received {
	var all []Received
	for _, a := range accounts {
		all = append(all, a.listReceived()...)
	}
	slices.SortStableFunc(all, func(x, y Received) int { return cmp.Compare(x.Order, y.Order) })
	return all
}

func (a *account) listReceived() []Received {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.received)
}
