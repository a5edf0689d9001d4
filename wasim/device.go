package wasim

import (
	"container/list"
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// Limits of what is kept for a device.
const (
	maxPending  = 100_000
	maxPreKeys  = 4096
	fewPreKeys  = 5 // below this the client is asked for more
	maxAccepted = 1 << 20
)

// device is a companion of an account: a client that was linked.
type device struct {
	account *account
	id      uint16
	noise   [32]byte // the key that a login must prove
	keys    bundle   // all but the one-time key

	mu       sync.Mutex // guards all below
	oneTime  []preKey   // the oldest first
	asked    bool       // more one-time keys were asked for
	told     bool       // the key of the app state was shared
	conn     *conn      // nil while offline
	pending  *list.List // of *pendingStanza, the oldest first
	replay   *replay    // of pending to conn; nil when the client was sent all
	index    map[stanzaKey]*list.Element
	accepted map[string]struct{} // ids of messages that were passed on
	usesPN   map[string]struct{} // numbers that the client last addressed by phone number
}

// stanzaKey recognises the acknowledgement of a stanza.
type stanzaKey struct {
	class, id, kind   string
	from, participant types.JID
}

// pendingStanza is kept until the client acknowledges it.
type pendingStanza struct {
	key   stanzaKey
	plain []byte
}

func newDevice(a *account, id uint16, noise [32]byte, keys bundle) *device {
	return &device{
		account: a, id: id, noise: noise, keys: keys,
		pending:  list.New(),
		index:    map[stanzaKey]*list.Element{},
		accepted: map[string]struct{}{},
		usesPN:   map[string]struct{}{},
	}
}

// jid returns the device's address of the kind that server says.
func (d *device) jid(server string) types.JID {
	j := d.account.address(server)
	j.Device = d.id
	return j
}

// deliver sends a stanza to the client, at its next login when it is offline,
// and keeps it until it is acknowledged.
func (d *device) deliver(n waBinary.Node) {
	stanza := &pendingStanza{key: keyOf(&n), plain: encode(n)}
	d.account.srv.state.note()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(stanza.key)
	if d.pending.Len() >= maxPending {
		d.account.srv.log.Warn("queue of a device is full", "number", d.account.number, "device", d.id)
		return
	}
	element := d.pending.PushBack(stanza)
	d.index[stanza.key] = element
	switch {
	case d.conn == nil:
	case d.replay != nil:
		d.replay.meet(element)
	default:
		d.conn.sendEncoded(stanza.plain)
	}
}

// keyOf is the key of a stanza that the server sends.
func keyOf(n *waBinary.Node) stanzaKey {
	key := stanzaKey{class: n.Tag, id: str(n, "id"), from: jid(n, "from"), participant: jid(n, "participant")}
	if n.Tag != "message" {
		key.kind = str(n, "type")
	}
	return key
}

// acknowledged forgets a stanza that the client has dealt with.
func (d *device) acknowledged(key stanzaKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgetLocked(key)
}

func (d *device) forgetLocked(key stanzaKey) {
	element := d.index[key]
	if element == nil {
		return
	}
	if d.replay != nil {
		d.replay.pass(element)
	}
	delete(d.index, key)
	d.pending.Remove(element)
}

// attach makes c the device's connection, begins to send what is pending and
// returns the connection that it takes the place of, if there is one.
func (d *device) attach(c *conn, welcome waBinary.Node) *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	replaced := d.conn
	d.conn = c
	c.send(welcome)
	counts := map[string]int{}
	for e := d.pending.Front(); e != nil; e = e.Next() {
		counts[e.Value.(*pendingStanza).key.class]++
	}
	c.send(inbound("offline_preview", waBinary.Attrs{
		"count": d.pending.Len(), "message": counts["message"], "receipt": counts["receipt"],
		"notification": counts["notification"], "appdata": 0,
	}))
	d.replay = &replay{next: d.pending.Front(), due: c.due()}
	c.returned.Store(d)
	d.feedLocked()
	return replaced
}

func inbound(tag string, attrs waBinary.Attrs) waBinary.Node {
	return waBinary.Node{Tag: "ib", Attrs: waBinary.Attrs{"from": serverJID()}, Content: []waBinary.Node{{Tag: tag, Attrs: attrs}}}
}

// detach forgets a connection that has ended.
func (d *device) detach(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == c {
		d.conn, d.replay = nil, nil
	}
}

// connection returns the device's connection, or nil while it is offline.
func (d *device) connection() *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

// accept notes that a message was passed on and reports whether it is the
// first time.
func (d *device) accept(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, repeated := d.accepted[id]; repeated {
		return false
	}
	if len(d.accepted) < maxAccepted {
		d.accepted[id] = struct{}{}
	}
	return true
}

// wrote notes the kind of address that the client used for a number: answers
// come from the same kind, because old clients keep two sessions apart.
func (d *device) wrote(number, server string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if server == types.DefaultUserServer {
		d.usesPN[number] = struct{}{}
	} else {
		delete(d.usesPN, number)
	}
}

// kindFor returns the kind of address under which the client knows a number.
func (d *device) kindFor(number string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.usesPN[number]; ok {
		return types.DefaultUserServer
	}
	return types.HiddenUserServer
}
