package whatsapp_test

import (
	"testing"

	"portaria/messaging"
)

// A group is a recipient like any other: each member reads what is sent to it,
// and what a member writes says who wrote it and where to answer.
func TestAGroupIsWrittenToAndHeard(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	group := w.sim.NewGroup("friends", ours, ana, beto)
	m := p.text(ana, "hello all")
	m.To = messaging.Address{Input: group.ID(), WAID: group.ID()}
	p.deliver(m)
	w.reads(ana, "hello all")
	w.reads(beto, "hello all")
	w.status(m, messaging.StatusRead)
	id, err := group.SendText(t.Context(), w.sim.Contact(beto), "hello")
	if err != nil {
		t.Fatal(err)
	}
	in := w.inbound(id)
	if in.Content.Text.Body != "hello" || in.Peer.WAID != beto+"@s.whatsapp.net" || in.Peer.Input != group.ID() {
		t.Errorf("%+v", in)
	}
}
