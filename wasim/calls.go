package wasim

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// maxCalls bounds the calls that are remembered.
const maxCalls = 4096

// calls is what has become of the contacts' calls. The zero value is ready.
type calls struct {
	mu       sync.Mutex
	rejected map[callKey]bool
	order    []callKey
}

// callKey recognises a call: an id means nothing without who made it.
type callKey struct{ from, id string }

func (k *calls) begin(key callKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rejected == nil {
		k.rejected = map[callKey]bool{}
	}
	k.rejected[key] = false
	if k.order = append(k.order, key); len(k.order) > maxCalls {
		delete(k.rejected, k.order[0])
		k.order = k.order[1:]
	}
}

// reject notes that a call was rejected. Calls that nobody made stay unknown.
func (k *calls) reject(key callKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.rejected[key]; known {
		k.rejected[key] = true
	}
}

func (k *calls) isRejected(key callKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rejected[key]
}

// Call rings an account and returns the id of the call. Nobody ever talks: it
// ends with HangUp, or when a client rejects it. The errors are SendText's.
func (c *Contact) Call(ctx context.Context, to string, video bool) (callID string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	devices, err := c.account.srv.clientsOf(to)
	if err != nil {
		return "", err
	}
	callID = strings.ToUpper(hex.EncodeToString(randomBytes(16)))
	c.account.srv.calls.begin(callKey{c.account.number, callID})
	media := []waBinary.Node{
		{Tag: "audio", Attrs: waBinary.Attrs{"enc": "opus", "rate": "16000"}},
		{Tag: "net", Attrs: waBinary.Attrs{"medium": "3"}},
	}
	if video {
		media = append(media, waBinary.Node{Tag: "video", Attrs: waBinary.Attrs{"enc": "vp8", "dec": "vp8"}})
	}
	for _, d := range devices {
		d.deliver(c.account.callStanza(d, callID, waBinary.Node{Tag: "offer", Content: media}))
	}
	return callID, nil
}

// HangUp ends a call that the contact has made.
func (c *Contact) HangUp(ctx context.Context, to, callID string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	devices, err := c.account.srv.clientsOf(to)
	if err != nil {
		return err
	}
	for _, d := range devices {
		d.deliver(c.account.callStanza(d, callID, waBinary.Node{Tag: "terminate", Attrs: waBinary.Attrs{"reason": "timeout"}}))
	}
	return nil
}

// Rejected reports whether a client has rejected a call of this contact.
func (c *Contact) Rejected(callID string) bool {
	return c.account.srv.calls.isRejected(callKey{c.account.number, callID})
}

// clientsOf returns the clients of a number, or ErrNumber or ErrNotLinked.
func (s *Server) clientsOf(number string) ([]*device, error) {
	a := s.account(number)
	if a == nil {
		return nil, ErrNumber
	}
	devices := a.companions()
	if len(devices) == 0 {
		return nil, ErrNotLinked
	}
	return devices, nil
}

// callStanza says something about a call of this account to one client.
func (a *account) callStanza(d *device, callID string, what waBinary.Node) waBinary.Node {
	server := d.kindFor(a.number)
	attrs := waBinary.Attrs{"call-id": callID, "call-creator": a.address(server)}
	if server == types.HiddenUserServer {
		attrs["caller_pn"] = a.pn
	} else {
		attrs["caller_lid"] = a.lid
	}
	for name, value := range what.Attrs {
		attrs[name] = value
	}
	what.Attrs = attrs
	return waBinary.Node{
		Tag: "call",
		Attrs: waBinary.Attrs{
			"id": a.srv.nextID(), "from": a.address(server), "t": now(),
			"platform": "android", "version": "2.26.30.75", "notify": a.behaves().name,
		},
		Content: []waBinary.Node{what},
	}
}

// onCall is what a client says about a call: that it rejects it is the only
// thing that anybody waits for.
func (c *conn) onCall(n *waBinary.Node) {
	what := ""
	for _, inside := range children(n) {
		what = inside.Tag
		if inside.Tag == "reject" {
			c.srv.calls.reject(callKey{numberOf(jid(n, "to")), str(&inside, "call-id")})
		}
	}
	c.send(waBinary.Node{Tag: "ack", Attrs: waBinary.Attrs{
		"class": "call", "id": n.Attrs["id"], "from": jid(n, "to"), "type": what,
	}})
}
