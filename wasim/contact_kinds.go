package wasim

import (
	"context"
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"
)

// Place is a location in a message.
type Place struct {
	Latitude  float64 `json:"latitude"`  // in degrees
	Longitude float64 `json:"longitude"` // in degrees
	Name      string  `json:"name,omitzero"`
	Address   string  `json:"address,omitzero"`
}

// Poll is a question with answers to choose from.
type Poll struct {
	Question string   `json:"question"`
	Options  []string `json:"options"`
	Multiple bool     `json:"multiple,omitzero"` // more than one may be chosen
}

// SendLocation sends a place; see SendText.
func (c *Contact) SendLocation(ctx context.Context, to string, p Place) (id string, err error) {
	return c.Send(ctx, to, &waE2E.Message{LocationMessage: &waE2E.LocationMessage{
		DegreesLatitude: &p.Latitude, DegreesLongitude: &p.Longitude, Name: orNil(p.Name), Address: orNil(p.Address),
	}})
}

// SendCards sends people's cards, each a vCard: one as a card, more as a list;
// see SendText.
func (c *Contact) SendCards(ctx context.Context, to string, cards ...string) (id string, err error) {
	parts := make([]*waE2E.ContactMessage, len(cards))
	for i := range cards {
		name := nameOn(cards[i])
		parts[i] = &waE2E.ContactMessage{DisplayName: &name, Vcard: &cards[i]}
	}
	if len(parts) == 1 {
		return c.Send(ctx, to, &waE2E.Message{ContactMessage: parts[0]})
	}
	return c.Send(ctx, to, &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{Contacts: parts}})
}

// nameOn returns the name that a vCard is filed under, as it is written there.
func nameOn(card string) string {
	for line := range strings.Lines(card) {
		if name, ok := strings.CutPrefix(line, "FN:"); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// SendPoll sends a poll, in the version that phones choose for it; see SendText.
func (c *Contact) SendPoll(ctx context.Context, to string, p Poll) (id string, err error) {
	choices := uint32(1)
	if p.Multiple {
		choices = 0
	}
	poll := &waE2E.PollCreationMessage{Name: &p.Question, SelectableOptionsCount: &choices}
	for i := range p.Options {
		poll.Options = append(poll.Options, &waE2E.PollCreationMessage_Option{OptionName: &p.Options[i]})
	}
	m := &waE2E.Message{MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: randomBytes(32)}}
	if p.Multiple {
		m.PollCreationMessage = poll
	} else {
		m.PollCreationMessageV3 = poll
	}
	return c.Send(ctx, to, m)
}

// pollOf returns the poll that a message creates, or nil.
func pollOf(m *waE2E.Message) *waE2E.PollCreationMessage {
	if poll := m.GetPollCreationMessage(); poll != nil {
		return poll
	}
	return m.GetPollCreationMessageV3()
}
