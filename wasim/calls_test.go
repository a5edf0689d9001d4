package wasim_test

import (
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

// TestClientRejectsACall: the caller learns of it, and of no other call.
func TestClientRejectsACall(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend)
	for _, video := range []bool{false, true} {
		id, err := contact.Call(t.Context(), own, video)
		if err != nil {
			t.Fatal(err)
		}
		offer := await[*events.CallOffer](c)
		_, hasVideo := offer.Data.GetOptionalChildByTag("video")
		if offer.CallID != id || offer.CallCreatorAlt.User != friend || hasVideo != video {
			t.Errorf("call %s of %s with video %t, want %s of %s, %t", offer.CallID, offer.CallCreatorAlt.User, hasVideo, id, friend, video)
		}
		if contact.Rejected(id) {
			t.Error("the call is rejected before anybody has done so")
		}
		if err := c.RejectCall(t.Context(), offer.From, offer.CallID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the call is rejected", func() bool { return contact.Rejected(id) })
		if s.Contact("5511911112222").Rejected(id) {
			t.Error("the call of another was rejected")
		}
	}
	eventually(t, "the client has acknowledged the calls", func() bool { return s.Phone(own).Pending(1) == 0 })
}

// TestCallThatIsHungUpEnds for the client.
func TestCallThatIsHungUpEnds(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	contact := s.Contact(friend)
	id, err := contact.Call(t.Context(), own, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := contact.HangUp(t.Context(), own, id); err != nil {
		t.Fatal(err)
	}
	await[*events.CallOffer](c)
	if end := await[*events.CallTerminate](c); end.CallID != id || end.Reason != "timeout" {
		t.Errorf("call %s ended for %q", end.CallID, end.Reason)
	}
	if _, err := contact.Call(t.Context(), friend, false); !errors.Is(err, wasim.ErrNotLinked) {
		t.Errorf("a call to an account without a client: %v", err)
	}
}
