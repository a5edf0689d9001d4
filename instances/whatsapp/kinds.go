package whatsapp

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"

	"portaria/messaging"
)

func composeLocation(place *messaging.Location, info *waE2E.ContextInfo) *waE2E.Message {
	return &waE2E.Message{LocationMessage: &waE2E.LocationMessage{
		DegreesLatitude: &place.Latitude, DegreesLongitude: &place.Longitude,
		Name: unlessEmpty(place.Name), Address: unlessEmpty(place.Address), ContextInfo: info,
	}}
}

// locationOf reads a place, or where a contact is for a while. What does not lie
// on earth is none.
func locationOf(m *waE2E.Message) (messaging.Content, bool) {
	place, info := &messaging.Location{}, (*waE2E.ContextInfo)(nil)
	if p := m.LocationMessage; p != nil {
		place.Latitude, place.Longitude = p.GetDegreesLatitude(), p.GetDegreesLongitude()
		place.Name, place.Address, info = cmp.Or(p.GetName(), p.GetComment()), p.GetAddress(), p.ContextInfo
	} else {
		p := m.LiveLocationMessage
		place.Latitude, place.Longitude = p.GetDegreesLatitude(), p.GetDegreesLongitude()
		place.Name, info = p.GetCaption(), p.ContextInfo
	}
	c := messaging.Content{Kind: messaging.KindLocation, Location: place}
	refer(&c, info)
	return c, place.Valid()
}

// composePoll makes a poll as whatsmeow's BuildPollCreation does, in the form
// whose stanza it marks as a poll. The votes are encrypted with the secret.
func composePoll(poll *messaging.Poll, secret []byte, info *waE2E.ContextInfo) *waE2E.Message {
	options := make([]*waE2E.PollCreationMessage_Option, len(poll.Options))
	for i := range poll.Options {
		options[i] = &waE2E.PollCreationMessage_Option{OptionName: &poll.Options[i]}
	}
	choices := uint32(1)
	if poll.Multiple {
		choices = 0 // any number
	}
	return &waE2E.Message{
		PollCreationMessage: &waE2E.PollCreationMessage{
			Name: &poll.Question, Options: options, SelectableOptionsCount: &choices, ContextInfo: info,
		},
		MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: secret},
	}
}

// pollSecret returns the secret of a poll. It is a function of the message's id
// and of a key that the session keeps to itself: a poll that is tried again is
// the same poll, also by another process, or votes could not be read by all.
func (l *link) pollSecret(waID string) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, l.client.Store.IdentityKey.Priv[:], nil, "portaria poll 1 "+waID, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("poll secret: %w", err)
	}
	return secret, nil
}

// pollIn returns the poll that a message creates, in whatever version; nil when
// it creates none.
func pollIn(m *waE2E.Message) *waE2E.PollCreationMessage {
	if inner := m.GetPollCreationMessageV4().GetMessage(); inner != nil {
		m = inner
	}
	return cmp.Or(m.PollCreationMessage, m.PollCreationMessageV2, m.PollCreationMessageV3, m.PollCreationMessageV5, m.PollCreationMessageV6)
}

func pollOf(p *waE2E.PollCreationMessage) messaging.Content {
	poll := &messaging.Poll{Question: p.GetName(), Multiple: p.GetSelectableOptionsCount() != 1}
	for _, option := range p.GetOptions() {
		poll.Options = append(poll.Options, option.GetOptionName())
	}
	c := messaging.Content{Kind: messaging.KindPoll, Poll: poll}
	refer(&c, p.ContextInfo)
	return c
}

// unlessEmpty is a member that is left out when there is nothing to say.
func unlessEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return proto.String(text)
}
