package wasim

import (
	"encoding/binary"
	"strconv"

	"go.mau.fi/libsignal/ecc"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// preKeyIQs are the requests about keys for new sessions.
func preKeyIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{
		{"encrypt", "get", "count"}: countPreKeys,
		{"encrypt", "get", "key"}:   fetchBundles,
		{"encrypt", "set", ""}:      uploadPreKeys,
	}
}

func countPreKeys(c *conn, _ *waBinary.Node) ([]waBinary.Node, error) {
	c.device.mu.Lock()
	defer c.device.mu.Unlock()
	count := len(c.device.oneTime)
	if c.device.account.srv.fewKeys {
		count = max(1, count) // to none at all, clients answer with as many as a phone that is new
	}
	return []waBinary.Node{{Tag: "count", Attrs: waBinary.Attrs{"value": count}}}, nil
}

// uploadPreKeys takes in a client's one-time keys. The identity is fixed since
// the client was linked; the signed prekey may change.
func uploadPreKeys(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	skey := child(iq, "skey")
	signed, ok := newSignedPreKey(c.device.keys.identity,
		body(child(skey, "id")), body(child(skey, "value")), body(child(skey, "signature")))
	if !ok {
		return nil, errBadRequest()
	}
	var fresh []preKey
	for _, n := range children(child(iq, "list")) {
		key, ok := readPreKey(&n)
		if !ok {
			return nil, errBadRequest()
		}
		fresh = append(fresh, key)
	}
	if !c.device.addPreKeys(signed, fresh) {
		return nil, &iqError{406, "not-acceptable"}
	}
	return nil, nil
}

func readPreKey(n *waBinary.Node) (preKey, bool) {
	id, value := body(child(n, "id")), body(child(n, "value"))
	if len(id) != 3 || len(value) != 32 {
		return preKey{}, false
	}
	return preKey{id: binary.BigEndian.Uint32(append([]byte{0}, id...)), pub: [32]byte(value)}, true
}

// addPreKeys reports false when there would be too many. Keys that are there
// already are passed over: clients repeat a request after a reconnect.
func (d *device) addPreKeys(signed signedPreKey, fresh []preKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.oneTime)+len(fresh) > maxPreKeys {
		return false
	}
	have := make(map[uint32]struct{}, len(d.oneTime))
	for _, key := range d.oneTime {
		have[key.id] = struct{}{}
	}
	for _, key := range fresh {
		if _, ok := have[key.id]; !ok {
			have[key.id] = struct{}{}
			d.oneTime = append(d.oneTime, key)
		}
	}
	d.keys.signed = signed
	d.asked = false
	return true
}

// takeBundle returns the keys for a new session with the device. A one-time
// key is given away once: the client deletes it at its first use.
func (d *device) takeBundle() bundle {
	keys, ask := d.takeKeys()
	if ask {
		d.deliver(waBinary.Node{
			Tag:     "notification",
			Attrs:   waBinary.Attrs{"type": "encrypt", "from": serverJID(), "id": d.account.srv.nextID(), "t": now()},
			Content: []waBinary.Node{{Tag: "count", Attrs: waBinary.Attrs{"value": strconv.Itoa(fewPreKeys - 1)}}},
		})
	}
	return keys
}

// takeKeys also reports whether the client must be asked for more.
func (d *device) takeKeys() (keys bundle, ask bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys = d.keys
	if len(d.oneTime) > 0 {
		first := d.oneTime[0]
		keys.oneTime = &first
		d.oneTime = d.oneTime[1:]
		ask = len(d.oneTime) < fewPreKeys && !d.asked
		d.asked = d.asked || ask
	}
	return keys, ask
}

// fetchBundles answers with the keys of the devices that a client wants to
// write to.
func fetchBundles(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	var users []waBinary.Node
	for _, asked := range children(child(iq, "key")) {
		address := jid(&asked, "jid")
		user := waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": address}}
		if keys, ok := c.srv.bundleOf(address); ok {
			user.Content = bundleNodes(keys)
		} else {
			user.Content = []waBinary.Node{{Tag: "error", Attrs: waBinary.Attrs{"code": "404", "text": "item-not-found"}}}
		}
		users = append(users, user)
	}
	return []waBinary.Node{{Tag: "list", Content: users}}, nil
}

func (s *Server) bundleOf(address types.JID) (bundle, bool) {
	a := s.recipient(address)
	if a == nil {
		return bundle{}, false
	}
	if address.Device == 0 {
		return a.party.newBundle(), true
	}
	d := a.companion(address.Device)
	if d == nil {
		return bundle{}, false
	}
	return d.takeBundle(), true
}

// bundleNodes is a bundle as clients get it in answer to a request.
func bundleNodes(keys bundle) []waBinary.Node {
	return append([]waBinary.Node{registrationNode(keys)}, keyNodes(keys)...)
}

func registrationNode(keys bundle) waBinary.Node {
	return waBinary.Node{Tag: "registration", Content: binary.BigEndian.AppendUint32(nil, keys.registration)}
}

func keyNodes(keys bundle) []waBinary.Node {
	nodes := []waBinary.Node{
		{Tag: "type", Content: []byte{ecc.DjbType}},
		{Tag: "identity", Content: keys.identity[:]},
	}
	if keys.oneTime != nil {
		nodes = append(nodes, waBinary.Node{Tag: "key", Content: preKeyNodes(*keys.oneTime)})
	}
	signed := append(preKeyNodes(keys.signed.preKey), waBinary.Node{Tag: "signature", Content: keys.signed.signature[:]})
	return append(nodes, waBinary.Node{Tag: "skey", Content: signed})
}

func preKeyNodes(key preKey) []waBinary.Node {
	return []waBinary.Node{{Tag: "id", Content: uint24(key.id)}, {Tag: "value", Content: key.pub[:]}}
}

// retryBundle reads the keys in a client's retry receipt. It reports false
// when there are none: then the session goes on.
func retryBundle(receipt *waBinary.Node) (bundle, bool) {
	nodes := child(receipt, "keys")
	registration, identity := body(child(receipt, "registration")), body(child(nodes, "identity"))
	if len(registration) != 4 || len(identity) != 32 {
		return bundle{}, false
	}
	keys := bundle{registration: binary.BigEndian.Uint32(registration), identity: [32]byte(identity)}
	skey := child(nodes, "skey")
	var ok bool
	if keys.signed, ok = newSignedPreKey(keys.identity,
		body(child(skey, "id")), body(child(skey, "value")), body(child(skey, "signature"))); !ok {
		return bundle{}, false
	}
	if key, ok := readPreKey(child(nodes, "key")); ok {
		keys.oneTime = &key
	}
	return keys, true
}
