package wasim

import (
	"slices"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// clientMessage is a message as a client sends it: one copy for each device
// and, in a group, one text for all of them.
type clientMessage struct {
	id     string
	to     types.JID // a contact, or a group
	group  *Group    // nil outside of groups
	attrs  waBinary.Attrs
	copies []deviceCopy
	shared []sealed
	retry  bool // a contact asked for it again
}

// deviceCopy is what one device gets.
type deviceCopy struct {
	to     types.JID
	sealed []sealed
}

// sealed is one encrypted text.
type sealed struct {
	kind  string // pkmsg, msg, skmsg
	data  []byte
	count int // which retry it is
	attrs waBinary.Attrs
}

// arrival is a message at a simulated phone.
type arrival struct {
	from   *device
	id     string
	to     types.JID
	sealed []sealed
	order  uint64
	at     time.Time

	phone     *account  // who gets it
	behaviour behaviour // of the phone, when the message arrived
}

// own reports whether this is the copy for the phone of the sender's account.
func (m *arrival) own() bool { return m.from.account == m.phone }

// messageKey recognises a message that comes again.
type messageKey struct{ from, id string }

func (m *arrival) key() messageKey { return messageKey{m.from.account.number, m.id} }

// parseMessage reads a client's message stanza.
func parseMessage(n *waBinary.Node) clientMessage {
	m := clientMessage{id: str(n, "id"), to: jid(n, "to"), attrs: n.Attrs}
	var direct []sealed
	for _, inside := range children(n) {
		switch inside.Tag {
		case "participants":
			for _, one := range children(&inside) {
				m.copies = append(m.copies, deviceCopy{to: jid(&one, "jid"), sealed: readSealed(&one)})
			}
		case "enc":
			direct = append(direct, readEnc(&inside))
		}
	}
	if len(direct) == 0 {
		return m
	}
	m.retry = direct[0].count > 0
	// Outside of <participants> is what is for one device, which in a group is
	// named beside it, or else for everybody.
	switch one := jid(n, "participant"); {
	case !one.IsEmpty():
		m.copies = append(m.copies, deviceCopy{to: one, sealed: direct})
	case m.to.Server == types.GroupServer:
		m.shared = direct
	default:
		m.copies = append(m.copies, deviceCopy{to: m.to, sealed: direct})
	}
	return m
}

func readSealed(n *waBinary.Node) []sealed {
	var list []sealed
	for _, inside := range children(n) {
		if inside.Tag == "enc" {
			list = append(list, readEnc(&inside))
		}
	}
	return list
}

func readEnc(n *waBinary.Node) sealed {
	count, err := strconv.Atoi(str(n, "count"))
	if err != nil {
		count = 0
	}
	return sealed{kind: str(n, "type"), data: body(n), count: count, attrs: n.Attrs}
}

// onMessage takes a client's message. It is answered when it is known who gets
// it and before anybody has opened it, as the real server does.
func (c *conn) onMessage(n *waBinary.Node) {
	m := parseMessage(n)
	if m.id == "" || m.to.IsEmpty() {
		c.log.Warn("message without an id or a recipient")
		return
	}
	m.group = c.srv.groups.find(m.to)
	plan := c.srv.messageFault(c.device, &m)
	if plan.AckError == 0 {
		plan.AckError = c.groupRefusal(&m)
	}
	if plan.DropBefore {
		c.drop()
		return
	}
	var taken []arrival
	if !plan.Lose && plan.AckError == 0 {
		taken = c.spread(&m)
	}
	switch {
	case plan.DropAfter:
		c.drop()
	case !plan.NoAck:
		c.sendLater(messageAck(&m, plan.AckError), plan.AckDelay)
	}
	for _, one := range taken {
		one.phone.receive(one)
	}
}

func messageAck(m *clientMessage, code int) waBinary.Node {
	attrs := waBinary.Attrs{"class": "message", "id": m.id, "from": m.to, "t": now()}
	if code != 0 {
		attrs["error"] = strconv.Itoa(code)
	}
	return waBinary.Node{Tag: "ack", Attrs: attrs}
}

// spread gives every client its copy and returns those that phones take now. A
// frame that comes again goes to phones only, which know what they have.
func (c *conn) spread(m *clientMessage) []arrival {
	first := c.device.accept(m.id)
	c.device.wrote(numberOf(m.to), m.to.Server)
	arrived := arrival{from: c.device, id: m.id, to: m.to, order: c.srv.arrivals.Add(1), at: time.Now()}
	var taken []arrival
	for _, one := range m.copies {
		a := c.srv.recipient(one.to)
		if a == nil || m.group != nil && !m.group.has(a.number) {
			continue
		}
		texts := slices.Concat(one.sealed, m.shared)
		if one.to.Device == 0 {
			arrived.phone, arrived.sealed = a, texts
			if a.takesNow(&arrived) {
				taken = append(taken, arrived)
			}
			continue
		}
		if d := a.companion(one.to.Device); d != nil && (first || m.retry) {
			d.deliver(c.forwarded(m, one.to, texts))
		}
	}
	return taken
}

// recipient returns the account that an address belongs to, or nil when it is
// not on WhatsApp.
func (s *Server) recipient(address types.JID) *account {
	number := numberOf(address)
	if !s.exists(number) {
		return nil
	}
	return s.account(number)
}

// forwarded is a message of this client as another client gets it.
func (c *conn) forwarded(m *clientMessage, to types.JID, texts []sealed) waBinary.Node {
	attrs := waBinary.Attrs{"id": m.id, "t": now(), "type": m.attrs["type"], "edit": m.attrs["edit"], "category": m.attrs["category"]}
	sender := c.device.account
	from := c.device.jid(to.Server)
	switch {
	case m.to.Server == types.GroupServer:
		attrs["from"], attrs["participant"] = m.to, from
		attrs["addressing_mode"] = "lid"
		attrs["participant_pn"] = sender.pn
	case numberOf(to) == sender.number: // a copy for the sender's own devices
		attrs["from"], attrs["recipient"] = from, m.to
	default:
		attrs["from"] = from
		addAlternative(attrs, sender, to.Server)
	}
	n := waBinary.Node{Tag: "message", Attrs: attrs}
	content := make([]waBinary.Node, len(texts))
	for i, text := range texts {
		content[i] = waBinary.Node{Tag: "enc", Attrs: text.attrs, Content: text.data}
	}
	n.Content = content
	return n
}

// addAlternative adds the address of a sender that from does not say.
func addAlternative(attrs waBinary.Attrs, sender *account, server string) {
	if server == types.DefaultUserServer {
		attrs["sender_lid"] = sender.lid
	} else {
		attrs["sender_pn"] = sender.pn
	}
}

// onAck is a client that has dealt with a stanza.
func (c *conn) onAck(n *waBinary.Node) {
	key := stanzaKey{class: str(n, "class"), id: str(n, "id"), from: jid(n, "to"), participant: jid(n, "participant")}
	if key.class != "message" {
		key.kind = str(n, "type")
	}
	c.device.acknowledged(key)
}
