package wasim

import (
	"cmp"
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// describeOther says what is in a message that is neither text nor a file; false
// when it cannot tell.
func (v *receivedView) describeOther(m *waE2E.Message) bool {
	switch poll := pollOf(m); {
	case m.GetLocationMessage() != nil:
		p := m.GetLocationMessage()
		v.place(p)
		v.About = p.GetContextInfo().GetStanzaID()
	case m.GetContactMessage() != nil:
		v.cards(m.GetContactMessage())
		v.About = m.GetContactMessage().GetContextInfo().GetStanzaID()
	case m.GetContactsArrayMessage() != nil:
		list := m.GetContactsArrayMessage()
		v.cards(list.GetContacts()...)
		v.About = list.GetContextInfo().GetStanzaID()
	case poll != nil:
		v.poll(poll)
		v.About = poll.GetContextInfo().GetStanzaID()
	default:
		return false
	}
	return true
}

func (v *receivedView) place(p *waE2E.LocationMessage) {
	v.Kind = "location"
	v.Location = &Place{p.GetDegreesLatitude(), p.GetDegreesLongitude(), p.GetName(), p.GetAddress()}
	v.Text = cmp.Or(p.GetName(), p.GetAddress(), fmt.Sprintf("%g, %g", p.GetDegreesLatitude(), p.GetDegreesLongitude()))
}

func (v *receivedView) cards(list ...*waE2E.ContactMessage) {
	v.Kind = "contacts"
	var names []string
	for _, card := range list {
		v.Cards, names = append(v.Cards, card.GetVcard()), append(names, card.GetDisplayName())
	}
	v.Text = strings.Join(names, ", ")
}

func (v *receivedView) poll(p *waE2E.PollCreationMessage) {
	v.Kind, v.Text = "poll", p.GetName()
	v.Poll = &Poll{Question: p.GetName(), Multiple: p.GetSelectableOptionsCount() != 1}
	for _, option := range p.GetOptions() {
		v.Poll.Options = append(v.Poll.Options, option.GetOptionName())
	}
}
