package whatsapp_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// The whole way: a phone is linked by its QR, a message goes out and is read, and
// the answer comes in; a restart needs no pairing.
func TestAPhoneIsLinkedOnceAndThenSends(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	if diff := cmp.Diff([]messaging.InstanceState{"pairing", "connecting", "connected"}, p.states()); diff != "" {
		t.Error(diff)
	}
	if len(w.board.showing()) != 0 {
		t.Error("a code is still shown")
	}
	first := p.text(ana, "hello")
	if o := p.send(first); o[0].Verdict != messaging.Accepted {
		t.Fatalf("%+v", o[0])
	}
	w.status(first, messaging.StatusDelivered)
	w.status(first, messaging.StatusRead)
	id, err := w.sim.Contact(ana).SendText(t.Context(), ours, "hello yourself")
	if err != nil {
		t.Fatal(err)
	}
	in := w.inbound(id)
	if in.Content.Text.Body != "hello yourself" || in.Peer.WAID != ana+"@s.whatsapp.net" || in.Peer.Input != "+"+ana {
		t.Errorf("inbound: %+v", in)
	}

	p.ask(messaging.AskNothing)
	p.await(messaging.InstanceConnected)
	p.deliver(p.text(ana, "again"))
	w.reads(ana, "hello", "again")
	if p.facts.LinkedID == "" || !strings.HasPrefix(p.facts.LinkedID, ours) || p.facts.Phone != ours || p.facts.Ask != messaging.AskNothing {
		t.Errorf("facts: %+v", p.facts)
	}
}
