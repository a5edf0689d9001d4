package wasim

import (
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// usyncIQs are the questions about users: whether they are on WhatsApp, their
// LIDs and their devices.
func usyncIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{{"usync", "get", "usync"}: usync}
}

func usync(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	if err := c.srv.book.lookup(c.device.account.number); err != nil {
		return nil, err
	}
	asked := child(iq, "usync")
	query := child(asked, "query")
	var users []waBinary.Node
	for _, user := range children(child(asked, "list")) {
		if found, ok := c.srv.lookUp(&user, query); ok {
			users = append(users, found)
		}
	}
	attrs := waBinary.Attrs{}
	for _, name := range []string{"sid", "mode", "context", "index", "last"} {
		attrs[name] = str(asked, name)
	}
	return []waBinary.Node{{Tag: "usync", Attrs: attrs, Content: []waBinary.Node{
		{Tag: "result"},
		{Tag: "list", Content: users},
	}}}, nil
}

// lookUp answers for one user, who is asked for by address or, in a <contact>,
// by number. It reports false for what is neither.
func (s *Server) lookUp(user, query *waBinary.Node) (waBinary.Node, bool) {
	address := jid(user, "jid")
	text := string(body(child(user, "contact")))
	number := numberOf(address)
	if address.IsEmpty() {
		number = strings.TrimPrefix(strings.TrimSuffix(text, "@"+types.LegacyUserServer), "+")
		if !isNumber(number) {
			return waBinary.Node{}, false
		}
	}
	exists := s.exists(number)
	attrs := waBinary.Attrs{"jid": address}
	if address.IsEmpty() {
		attrs = contactAddress(number, exists, str(child(query, "contact"), "addressing_mode") == "lid")
	}
	found := waBinary.Node{Tag: "user", Attrs: attrs}
	var content []waBinary.Node
	for _, wanted := range children(query) {
		if answer, ok := s.about(number, exists, &wanted, text); ok {
			content = append(content, answer)
		}
	}
	found.Content = content
	return found, true
}

// contactAddress is under which addresses a number that was asked for is told.
func contactAddress(number string, exists, lid bool) waBinary.Attrs {
	pn := types.NewJID(number, types.DefaultUserServer)
	if !exists || !lid {
		return waBinary.Attrs{"jid": pn}
	}
	return waBinary.Attrs{"jid": types.NewJID(lidOf(number), types.HiddenUserServer), "pn_jid": pn}
}

// about answers one of the things that were asked about a user; it reports
// false where there is nothing to say.
func (s *Server) about(number string, exists bool, wanted *waBinary.Node, text string) (waBinary.Node, bool) {
	switch wanted.Tag {
	case "contact":
		kind := "out"
		if exists {
			kind = "in"
		}
		return waBinary.Node{Tag: "contact", Attrs: waBinary.Attrs{"type": kind}, Content: []byte(text)}, true
	case "lid":
		if exists {
			return waBinary.Node{Tag: "lid", Attrs: waBinary.Attrs{"val": types.NewJID(lidOf(number), types.HiddenUserServer)}}, true
		}
	case "devices":
		if exists {
			return s.deviceList(number), true
		}
	}
	return waBinary.Node{}, false
}

// deviceList names the phone and the companions. A client's own account is no
// exception: the client passes over itself.
func (s *Server) deviceList(number string) waBinary.Node {
	devices := []waBinary.Node{{Tag: "device", Attrs: waBinary.Attrs{"id": "0"}}}
	if a := s.knownAccount(number); a != nil {
		for _, d := range a.companions() {
			devices = append(devices, waBinary.Node{Tag: "device", Attrs: waBinary.Attrs{"id": int(d.id), "key-index": int(d.id)}})
		}
	}
	return waBinary.Node{Tag: "devices", Content: []waBinary.Node{{Tag: "device-list", Content: devices}}}
}
