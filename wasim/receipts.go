package wasim

import (
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// onReceipt is what a client says has become of a message it was sent.
func (c *conn) onReceipt(n *waBinary.Node) {
	to, kind := jid(n, "to"), str(n, "type")
	ack := waBinary.Attrs{"class": "receipt", "id": n.Attrs["id"], "from": to}
	if kind != "" {
		ack["type"] = kind
	}
	if one := jid(n, "participant"); !one.IsEmpty() {
		ack["participant"] = one
	}
	c.send(waBinary.Node{Tag: "ack", Attrs: ack})

	ids := receiptIDs(n)
	if takesMessage(kind) {
		for _, id := range ids {
			c.device.acknowledged(stanzaKey{class: "message", id: id, from: to, participant: jid(n, "participant")})
		}
	}
	sender := c.srv.knownAccount(c.senderOf(n))
	if sender == nil {
		return
	}
	if kind == "retry" {
		sender.sendAgain(c.device, str(n, "id"), n)
	}
	sender.note(ids, kind)
	c.forwardReceipt(sender, n)
}

// senderOf returns the number of whom a receipt is for.
func (c *conn) senderOf(n *waBinary.Node) string {
	if one := jid(n, "participant"); !one.IsEmpty() {
		return numberOf(one)
	}
	return numberOf(jid(n, "to"))
}

// takesMessage reports whether a receipt of this kind means that the message
// need not be sent to this client again.
func takesMessage(kind string) bool {
	switch kind {
	case "read", "read-self", "played", "played-self":
		return false
	default:
		return true
	}
}

// receiptIDs returns the ids of all messages that a receipt is about.
func receiptIDs(n *waBinary.Node) []string {
	ids := []string{str(n, "id")}
	for _, item := range children(child(n, "list")) {
		ids = append(ids, str(&item, "id"))
	}
	return ids
}

// note remembers what a client says has become of messages of a.
func (a *account) note(ids []string, kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		m := a.sent[id]
		if m == nil {
			continue
		}
		switch kind {
		case "", "inactive":
			m.status.Delivered = true
		case "read":
			m.status.Delivered, m.status.Read = true, true
		case "played":
			m.status.Delivered, m.status.Read, m.status.Played = true, true, true
		}
	}
}

// forwardReceipt passes a receipt on to the clients of the account that sent
// the message, if it has any.
func (c *conn) forwardReceipt(sender *account, n *waBinary.Node) {
	if sender == c.device.account {
		return
	}
	server := jid(n, "to").Server
	attrs := waBinary.Attrs{"id": n.Attrs["id"], "t": now(), "type": n.Attrs["type"]}
	if server == types.GroupServer {
		attrs["from"], attrs["participant"] = jid(n, "to"), c.device.jid(types.HiddenUserServer)
		attrs["participant_pn"], attrs["addressing_mode"] = c.device.account.pn, "lid"
	} else {
		attrs["from"] = c.device.jid(server)
		addAlternative(attrs, c.device.account, server)
	}
	forwarded := waBinary.Node{Tag: "receipt", Attrs: attrs, Content: n.Content}
	target := jid(n, "to").Device
	if one := jid(n, "participant"); !one.IsEmpty() {
		target = one.Device
	}
	for _, d := range sender.companions() {
		// A retry is for the device that encrypted, everything else for all.
		if str(n, "type") != "retry" || d.id == target {
			d.deliver(forwarded)
		}
	}
}
