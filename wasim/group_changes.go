package wasim

import (
	"slices"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// change adds, removes, promotes or demotes accounts and tells everybody. It
// returns a <participant> for each account, with an error where nothing was
// changed.
func (g *Group) change(actor *account, action string, accounts []*account) []waBinary.Node {
	g.acting.Lock()
	defer g.acting.Unlock()
	told := g.clients() // who is removed is told as well
	results := make([]waBinary.Node, len(accounts))
	var changed []waBinary.Node
	for i, a := range accounts {
		code := g.changeOne(action, a)
		results[i] = waBinary.Node{Tag: "participant", Attrs: waBinary.Attrs{"jid": a.lid, "phone_number": a.pn}}
		if code != 0 {
			results[i].Attrs["error"] = strconv.Itoa(code)
			continue
		}
		changed = append(changed, results[i])
	}
	if len(changed) == 0 {
		return results
	}
	for _, d := range g.clients() {
		if !slices.Contains(told, d) {
			told = append(told, d)
		}
	}
	g.tell(told, actor, waBinary.Node{Tag: action, Content: changed})
	return results
}

// changeOne returns the code of why nothing was changed, or zero.
func (g *Group) changeOne(action string, a *account) (code int) {
	exists := g.srv.exists(a.number)
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.member(a.number)
	switch {
	case action == "add" && m != nil:
		return 409
	case action == "add" && (!exists || len(g.members) >= maxMembers):
		return 404
	case action == "add":
		g.members = append(g.members, &member{account: a})
	case m == nil:
		return 404
	case action == "remove":
		g.members = slices.DeleteFunc(g.members, func(one *member) bool { return one == m })
	case m.role == "superadmin": // who made the group stays its master
		return 406
	case action == "promote":
		m.role = "admin"
	case action == "demote":
		m.role = ""
	}
	return 0
}

// rename gives the group another subject and tells everybody.
func (g *Group) rename(actor *account, subject string) {
	g.acting.Lock()
	defer g.acting.Unlock()
	g.mu.Lock()
	g.subject, g.subjectBy, g.subjectAt = subject, actor, time.Now()
	g.mu.Unlock()
	g.tell(g.clients(), actor, waBinary.Node{Tag: "subject", Attrs: waBinary.Attrs{
		"subject": subject, "s_t": now(), "s_o": actor.lid, "s_o_pn": actor.pn,
	}})
}

// tell sends clients the news of a change, which they learn of in no other way.
func (g *Group) tell(clients []*device, actor *account, news waBinary.Node) {
	notification := waBinary.Node{
		Tag: "notification",
		Attrs: waBinary.Attrs{
			"type": "w:gp2", "from": g.id, "id": g.srv.nextID(), "t": now(), "addressing_mode": "lid",
			"participant": actor.lid, "participant_pn": actor.pn, "notify": actor.behaves().name,
		},
		Content: []waBinary.Node{news},
	}
	for _, d := range clients {
		d.deliver(notification)
	}
}

// creation is the news of a new group.
func (g *Group) creation() waBinary.Node {
	return waBinary.Node{Tag: "create", Attrs: waBinary.Attrs{"type": "new"}, Content: []waBinary.Node{g.node()}}
}

// node is the group as clients are told.
func (g *Group) node() waBinary.Node {
	g.mu.RLock()
	defer g.mu.RUnlock()
	content := make([]waBinary.Node, len(g.members))
	for i, m := range g.members {
		content[i] = waBinary.Node{Tag: "participant", Attrs: waBinary.Attrs{
			"jid": m.account.lid, "phone_number": m.account.pn, "type": m.role,
		}}
	}
	return waBinary.Node{
		Tag: "group",
		Attrs: waBinary.Attrs{
			"id": g.id.User, "creation": unix(g.created), "creator": g.creator.lid, "creator_pn": g.creator.pn,
			"subject": g.subject, "s_t": unix(g.subjectAt), "s_o": g.subjectBy.lid, "s_o_pn": g.subjectBy.pn,
			"size": strconv.Itoa(len(g.members)), "addressing_mode": "lid",
		},
		Content: content,
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
