package wasim

import (
	waBinary "go.mau.fi/whatsmeow/binary"
)

// maxSubject bounds a group's name, in bytes.
const maxSubject = 400

// groupIQs are the requests about groups.
func groupIQs() map[iqKey]iqHandler {
	return map[iqKey]iqHandler{
		{"w:g2", "set", "create"}:        createGroup,
		{"w:g2", "get", "query"}:         queryGroup,
		{"w:g2", "get", "participating"}: joinedGroups,
		{"w:g2", "set", "add"}:           changeMembers,
		{"w:g2", "set", "remove"}:        changeMembers,
		{"w:g2", "set", "promote"}:       changeMembers,
		{"w:g2", "set", "demote"}:        changeMembers,
		{"w:g2", "set", "leave"}:         leaveGroups,
		{"w:g2", "set", "subject"}:       renameGroup,
	}
}

func errForbidden() error { return &iqError{403, "forbidden"} }

// createGroup makes a group of those that are on WhatsApp.
func createGroup(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	asked := child(iq, "create")
	subject := str(asked, "subject")
	if len(subject) > maxSubject {
		return nil, &iqError{406, "not-acceptable"}
	}
	var others []*account
	for _, a := range c.srv.participants(asked) {
		if c.srv.exists(a.number) {
			others = append(others, a)
		}
	}
	g, err := c.srv.newGroup(subject, c.device.account, others)
	if err != nil {
		return nil, &iqError{500, "too-many-groups"}
	}
	return []waBinary.Node{g.node()}, nil
}

// participants returns the accounts that a request names.
func (s *Server) participants(asked *waBinary.Node) []*account {
	var list []*account
	for _, one := range children(asked) {
		if one.Tag != "participant" || len(list) >= maxMembers {
			continue
		}
		if a := s.account(numberOf(jid(&one, "jid"))); a != nil {
			list = append(list, a)
		}
	}
	return list
}

// memberOf returns the group that a request is about, when the client is in it.
func (c *conn) memberOf(iq *waBinary.Node) (g *Group, role string, err error) {
	g = c.srv.groups.find(jid(iq, "to"))
	if g == nil {
		return nil, "", errNotFound()
	}
	role, ok := g.roleOf(c.device.account.number)
	if !ok {
		return nil, "", errForbidden()
	}
	return g, role, nil
}

func queryGroup(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	g, _, err := c.memberOf(iq)
	if err != nil {
		return nil, err
	}
	return []waBinary.Node{g.node()}, nil
}

func joinedGroups(c *conn, _ *waBinary.Node) ([]waBinary.Node, error) {
	groups := []waBinary.Node{}
	for _, g := range c.srv.groups.of(c.device.account.number) {
		groups = append(groups, g.node())
	}
	return []waBinary.Node{{Tag: "groups", Content: groups}}, nil
}

// changeMembers does what the request's child is called. Every member may add
// others; the rest is for admins.
func changeMembers(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	g, role, err := c.memberOf(iq)
	if err != nil {
		return nil, err
	}
	asked := &children(iq)[0] // the table is keyed by it
	if asked.Tag != "add" && role == "" {
		return nil, errForbidden()
	}
	results := g.change(c.device.account, asked.Tag, c.srv.participants(asked))
	return []waBinary.Node{{Tag: asked.Tag, Content: results}}, nil
}

// leaveGroups takes the client's account out of the groups that are named.
func leaveGroups(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	var left []waBinary.Node
	for _, named := range children(child(iq, "leave")) {
		g := c.srv.groups.find(jid(&named, "id"))
		if g == nil {
			return nil, errNotFound()
		}
		g.change(c.device.account, "remove", []*account{c.device.account})
		left = append(left, waBinary.Node{Tag: "group", Attrs: waBinary.Attrs{"id": g.id}})
	}
	return []waBinary.Node{{Tag: "leave", Content: left}}, nil
}

func renameGroup(c *conn, iq *waBinary.Node) ([]waBinary.Node, error) {
	g, _, err := c.memberOf(iq)
	if err != nil {
		return nil, err
	}
	subject := string(body(child(iq, "subject")))
	if subject == "" || len(subject) > maxSubject {
		return nil, &iqError{406, "not-acceptable"}
	}
	g.rename(c.device.account, subject)
	return nil, nil
}
