package wasim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/types"

	"portaria/wasim"
)

// TestContactsSeeWhoTypes: in Go and on the control port, but not on a phone that
// is off.
func TestContactsSeeWhoTypes(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	group := s.NewGroup("friends", own, friend)
	off := s.Contact("5511988880007").Delivers(false)
	members, err := types.ParseJID(group.ID())
	if err != nil {
		t.Fatal(err)
	}
	for _, show := range []struct {
		to    types.JID
		state types.ChatPresence
		media types.ChatPresenceMedia
	}{
		{pn(friend), types.ChatPresenceComposing, types.ChatPresenceMediaText},
		{pn(off.Number()), types.ChatPresenceComposing, types.ChatPresenceMediaText},
		{pn(friend), types.ChatPresenceComposing, types.ChatPresenceMediaAudio},
		{members, types.ChatPresenceComposing, types.ChatPresenceMediaText},
		{pn(friend), types.ChatPresencePaused, ""},
	} {
		if err := c.SendChatPresence(t.Context(), show.to, show.state, show.media); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is shown", func() bool { return len(s.Typing()) == 4 })
	states := func(shown []wasim.Typing) (list []string) {
		for _, one := range shown {
			list = append(list, one.To+" "+one.State)
		}
		return list
	}
	if diff := cmp.Diff([]string{friend + " typing", friend + " recording", friend + " paused"}, states(s.Contact(friend).Typing())); diff != "" {
		t.Error(diff)
	}
	if got := off.Typing(); len(got) != 0 {
		t.Errorf("a phone that is off shows %v", got)
	}
	list, _ := ask(t, s, "GET", "/typing?limit=2&from="+own, "").Data.([]any)
	if len(list) != 2 || list[0].(map[string]any)["to"] != group.ID() || list[1].(map[string]any)["state"] != "paused" {
		t.Errorf("the control port shows %v", list)
	}
}

// TestControlPortShowsWhatWasRead: what became of the messages of a contact can be
// checked without Go.
func TestControlPortShowsWhatWasRead(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	first, err := s.Contact(friend).SendText(t.Context(), own, "one")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Contact(friend).SendText(t.Context(), own, "two")
	if err != nil {
		t.Fatal(err)
	}
	awaitText(c)
	m := awaitText(c)
	if err := c.MarkRead(t.Context(), []types.MessageID{first}, m.Info.Timestamp, m.Info.Chat, m.Info.Sender); err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"id": first, "from": friend, "to": own, "delivered": true, "read": true, "played": false},
		map[string]any{"id": second, "from": friend, "to": own, "delivered": true, "read": false, "played": false},
	}
	var got any
	eventually(t, "it is read", func() bool {
		got = ask(t, s, "GET", "/sent?to="+own, "").Data
		return cmp.Equal(any(want), got)
	})
}
