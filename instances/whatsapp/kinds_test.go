package whatsapp_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"portaria/messaging"
	"portaria/wasim"
)

// anaSouza is a card with all that a card can have.
var anaSouza = messaging.Contact{
	Name:         messaging.ContactName{FormattedName: "Ana, a da loja; sim", FirstName: "Ana", LastName: "Souza"},
	Phones:       []messaging.ContactPhone{{Phone: "+55 11 91234-5678", WAID: "5511912345678", Type: "CELL"}, {Phone: "(11) 3456-7890"}},
	Emails:       []messaging.ContactEmail{{Email: "ana@example.com", Type: "WORK"}},
	Organization: `Souza & Filhos; C:\Lojas`,
}

// A place, cards and a poll arrive as a phone would show them, and as the answer
// to what they answer.
func TestPlacesCardsAndPollsArrive(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	contact := w.sim.Contact(ana)
	about := &messaging.Reference{WAMessageID: "3EB0AA", FromMe: true}
	quoted := func(info *waE2E.ContextInfo) string { return info.GetStanzaID() }
	for i, c := range []struct {
		name    string
		content messaging.Content
		read    func(*waE2E.Message) []any
		want    []any
	}{
		{
			"location",
			messaging.Content{
				Kind: messaging.KindLocation, ReplyTo: about,
				Location: &messaging.Location{Latitude: -23.5614, Longitude: -46.6559, Name: "MASP", Address: "Av. Paulista"},
			},
			func(m *waE2E.Message) []any {
				l := m.GetLocationMessage()
				return []any{l.GetDegreesLatitude(), l.GetDegreesLongitude(), l.GetName(), l.GetAddress(), quoted(l.ContextInfo)}
			},
			[]any{-23.5614, -46.6559, "MASP", "Av. Paulista", "3EB0AA"},
		},
		{
			"one card",
			messaging.Content{Kind: messaging.KindContacts, ReplyTo: about, Contacts: []messaging.Contact{anaSouza}},
			func(m *waE2E.Message) []any {
				return []any{m.GetContactMessage().GetDisplayName(), m.GetContactMessage().GetVcard(), quoted(m.GetContactMessage().ContextInfo)}
			},
			[]any{
				"Ana, a da loja; sim", "BEGIN:VCARD\nVERSION:3.0\nN:Souza;Ana;;;\nFN:Ana\\, a da loja\\; sim\nORG:Souza & Filhos\\; C:\\\\Lojas\n" +
					"TEL;type=CELL;waid=5511912345678:+55 11 91234-5678\nTEL:(11) 3456-7890\nEMAIL;type=WORK:ana@example.com\nEND:VCARD", "3EB0AA",
			},
		},
		{
			"two cards",
			messaging.Content{Kind: messaging.KindContacts, ReplyTo: about, Contacts: []messaging.Contact{
				{Name: messaging.ContactName{FormattedName: "Ana"}}, {Name: messaging.ContactName{FormattedName: "Beto"}},
			}},
			func(m *waE2E.Message) []any {
				list := m.GetContactsArrayMessage()
				return []any{list.GetDisplayName(), len(list.GetContacts()), list.GetContacts()[1].GetVcard(), quoted(list.ContextInfo)}
			},
			[]any{"Ana", 2, "BEGIN:VCARD\nVERSION:3.0\nN:;Beto;;;\nFN:Beto\nEND:VCARD", "3EB0AA"},
		},
		{
			"poll",
			messaging.Content{Kind: messaging.KindPoll, ReplyTo: about, Poll: &messaging.Poll{Question: "When?", Options: []string{"Today", "Later"}}},
			func(m *waE2E.Message) []any {
				poll := m.GetPollCreationMessage()
				return []any{
					poll.GetName(), poll.GetOptions()[1].GetOptionName(), poll.GetSelectableOptionsCount(), quoted(poll.ContextInfo),
					len(m.GetMessageContextInfo().GetMessageSecret()),
				}
			},
			[]any{"When?", "Later", uint32(1), "3EB0AA", 32},
		},
		{
			"poll with several choices",
			messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: "Who?", Options: []string{"a", "b"}, Multiple: true}},
			func(m *waE2E.Message) []any { return []any{m.GetPollCreationMessage().GetSelectableOptionsCount()} },
			[]any{uint32(0)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := p.message(ana, c.content)
			p.deliver(m)
			w.status(m, messaging.StatusRead)
			if diff := cmp.Diff(c.want, c.read(contact.Received()[i].Message)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A poll that is tried again is the same poll, also with another connection: the
// votes of those who got the first try are encrypted with its secret.
func TestAPollKeepsItsSecret(t *testing.T) {
	w := newWorld(t, quick)
	p := w.linked(ours)
	content := messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: "When?", Options: []string{"Today", "Later"}}}
	first, other := p.message(ana, content), p.message(ana, content)
	p.deliver(first, other)
	p.close()
	p.ask(messaging.AskNothing)
	p.await(messaging.InstanceConnected)
	again := p.message(beto, content)
	again.WAMessageID = first.WAMessageID // to somebody else, who takes it for new
	p.deliver(again)
	w.eventually("all arrive", func() bool {
		return len(w.sim.Contact(ana).Received()) == 2 && len(w.sim.Contact(beto).Received()) == 1
	})
	secret := func(r wasim.Received) string { return string(r.Message.GetMessageContextInfo().GetMessageSecret()) }
	polls, repeated := w.sim.Contact(ana).Received(), w.sim.Contact(beto).Received()[0]
	if secret(polls[0]) != secret(repeated) || len(secret(repeated)) != 32 {
		t.Errorf("the secret was %x and is %x", secret(polls[0]), secret(repeated))
	}
	if secret(polls[0]) == secret(polls[1]) {
		t.Error("two polls have one secret")
	}
}

// What contacts send of these kinds is recorded as it is shown to people.
func TestInboundPlacesCardsAndPolls(t *testing.T) {
	w := newWorld(t, quick)
	w.linked(ours)
	contact := w.sim.Contact(ana)
	place := func(latitude float64) *waE2E.LocationMessage {
		return &waE2E.LocationMessage{DegreesLatitude: &latitude, DegreesLongitude: proto.Float64(-46.6559)}
	}
	options := []*waE2E.PollCreationMessage_Option{{OptionName: proto.String("a")}, {OptionName: proto.String("b")}}
	poll := func(choices uint32) *waE2E.PollCreationMessage {
		return &waE2E.PollCreationMessage{Name: proto.String("which?"), Options: options, SelectableOptionsCount: &choices}
	}
	read := func(multiple bool) messaging.Content {
		return messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: "which?", Options: []string{"a", "b"}, Multiple: multiple}}
	}
	unknown := messaging.Content{Kind: messaging.KindUnknown}
	for name, c := range map[string]struct {
		message *waE2E.Message
		want    messaging.Content
	}{
		"a place": {
			&waE2E.Message{LocationMessage: &waE2E.LocationMessage{
				DegreesLatitude: proto.Float64(-23.5614), DegreesLongitude: proto.Float64(-46.6559), Name: proto.String("MASP"), Address: proto.String("Av. Paulista"),
			}},
			messaging.Content{Kind: messaging.KindLocation, Location: &messaging.Location{Latitude: -23.5614, Longitude: -46.6559, Name: "MASP", Address: "Av. Paulista"}},
		},
		"where somebody is for a while": {
			&waE2E.Message{LiveLocationMessage: &waE2E.LiveLocationMessage{
				DegreesLatitude: proto.Float64(1), DegreesLongitude: proto.Float64(2), Caption: proto.String("here"),
			}},
			messaging.Content{Kind: messaging.KindLocation, Location: &messaging.Location{Latitude: 1, Longitude: 2, Name: "here"}},
		},
		"nowhere":         {&waE2E.Message{LocationMessage: place(math.NaN())}, unknown},
		"beyond the pole": {&waE2E.Message{LocationMessage: place(90.5)}, unknown},
		"endlessly far":   {&waE2E.Message{LocationMessage: place(math.Inf(-1))}, unknown},
		"a card": {
			&waE2E.Message{ContactMessage: &waE2E.ContactMessage{DisplayName: proto.String("Ana"), Vcard: proto.String(
				"BEGIN:VCARD\nVERSION:3.0\nN:Souza;Ana;;;\nFN:Ana Souza\nORG:Loja;\nitem1.TEL;waid=5511912345678:+55 11 91234-5678\nitem1.X-ABLabel:Celular\nEND:VCARD",
			)}},
			messaging.Content{Kind: messaging.KindContacts, Contacts: []messaging.Contact{{
				Name:         messaging.ContactName{FormattedName: "Ana Souza", FirstName: "Ana", LastName: "Souza"},
				Phones:       []messaging.ContactPhone{{Phone: "+55 11 91234-5678", WAID: "5511912345678", Type: "Celular"}},
				Organization: "Loja",
			}}},
		},
		"cards, one of them broken": {
			&waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{DisplayName: proto.String("2 contacts"), Contacts: []*waE2E.ContactMessage{
				{DisplayName: proto.String("Ana"), Vcard: proto.String("no card")},
				{DisplayName: proto.String("Beto"), Vcard: proto.String("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Be\r\n to\r\nTEL;type=CELL,VOICE;type=pref:+5511\r\n")},
			}}},
			messaging.Content{Kind: messaging.KindContacts, Contacts: []messaging.Contact{
				{Name: messaging.ContactName{FormattedName: "Ana"}},
				{Name: messaging.ContactName{FormattedName: "Beto"}, Phones: []messaging.ContactPhone{{Phone: "+5511", Type: "CELL"}}},
			}},
		},
		"no cards":                   {&waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{}}, unknown},
		"a poll with one choice":     {&waE2E.Message{PollCreationMessageV3: poll(1)}, read(false)},
		"a poll with several":        {&waE2E.Message{PollCreationMessage: poll(0)}, read(true)},
		"a poll of an announcement":  {&waE2E.Message{PollCreationMessageV2: poll(2)}, read(true)},
		"a poll of a later version":  {&waE2E.Message{PollCreationMessageV5: poll(1)}, read(false)},
		"a poll of the last version": {&waE2E.Message{PollCreationMessageV6: poll(1)}, read(false)},
		"a poll within another message": {
			&waE2E.Message{PollCreationMessageV4: &waE2E.FutureProofMessage{Message: &waE2E.Message{PollCreationMessageV3: poll(1)}}}, read(false),
		},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := contact.Send(t.Context(), ours, c.message)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, w.inbound(id).Content); diff != "" {
				t.Error(diff)
			}
		})
	}
}
