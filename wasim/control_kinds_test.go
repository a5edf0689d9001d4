package wasim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"portaria/wasim"
)

// TestControlPortShowsPlacesCardsAndPolls: what a client sends can be checked
// without Go.
func TestControlPortShowsPlacesCardsAndPolls(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	card := func(name string) *waE2E.ContactMessage {
		return &waE2E.ContactMessage{DisplayName: &name, Vcard: proto.String("BEGIN:VCARD\nFN:" + name + "\nEND:VCARD")}
	}
	info := &waE2E.ContextInfo{StanzaID: proto.String("3EB0AA")}
	for name, test := range map[string]struct {
		message *waE2E.Message
		want    map[string]any
	}{
		"place": {
			&waE2E.Message{LocationMessage: &waE2E.LocationMessage{
				DegreesLatitude: proto.Float64(1.5), DegreesLongitude: proto.Float64(-2), ContextInfo: info,
			}},
			map[string]any{"kind": "location", "text": "1.5, -2", "about": "3EB0AA", "location": map[string]any{"latitude": 1.5, "longitude": -2.0}},
		},
		"card": {
			&waE2E.Message{ContactMessage: card("Ana")},
			map[string]any{"kind": "contacts", "text": "Ana", "cards": []any{"BEGIN:VCARD\nFN:Ana\nEND:VCARD"}},
		},
		"cards": {
			&waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{Contacts: []*waE2E.ContactMessage{card("Ana"), card("Beto")}}},
			map[string]any{
				"kind": "contacts", "text": "Ana, Beto",
				"cards": []any{"BEGIN:VCARD\nFN:Ana\nEND:VCARD", "BEGIN:VCARD\nFN:Beto\nEND:VCARD"},
			},
		},
		"poll": {
			c.BuildPollCreation("when?", []string{"now", "later"}, 1),
			map[string]any{"kind": "poll", "text": "when?", "poll": map[string]any{"question": "when?", "options": []any{"now", "later"}}},
		},
		"poll with several choices": {
			c.BuildPollCreation("who?", []string{"a", "b"}, 0),
			map[string]any{"kind": "poll", "text": "who?", "poll": map[string]any{"question": "who?", "options": []any{"a", "b"}, "multiple": true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.Received())
			if _, err := c.SendMessage(t.Context(), types.NewJID(friend, types.DefaultUserServer), test.message); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is there", func() bool { return len(s.Received()) == before+1 })
			list, _ := ask(t, s, "GET", "/messages", "").Data.([]any)
			shown, _ := list[len(list)-1].(map[string]any)
			for _, member := range []string{"id", "from", "device", "to", "at", "order", "retries", "copies"} {
				delete(shown, member)
			}
			if diff := cmp.Diff(test.want, shown); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
