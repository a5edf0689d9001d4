package messaging_test

import (
	"testing"

	"portaria/messaging"
)

// What an endpoint hears of follows from its events and its instances.
func TestAnEndpointHearsOfWhatItAskedFor(t *testing.T) {
	sent := messaging.Event{Type: "message.sent", InstanceID: "ins_a"}
	disabled := messaging.Event{Type: messaging.EventWebhookDisabled}
	bulk := messaging.Event{Type: messaging.EventBulkStarted, Bulk: &messaging.Bulk{InstanceIDs: []string{"ins_a", "ins_b"}}}
	for name, c := range map[string]struct {
		webhook messaging.Webhook
		event   messaging.Event
		want    bool
	}{
		"everything":               {messaging.Webhook{Enabled: true, Events: []string{"*"}}, sent, true},
		"what is off":              {messaging.Webhook{Events: []string{"*"}}, sent, false},
		"a type":                   {messaging.Webhook{Enabled: true, Events: []string{"call.received", "message.sent"}}, sent, true},
		"another type":             {messaging.Webhook{Enabled: true, Events: []string{"message.send"}}, sent, false},
		"a family":                 {messaging.Webhook{Enabled: true, Events: []string{"message.*"}}, sent, true},
		"another family":           {messaging.Webhook{Enabled: true, Events: []string{"instance.*"}}, sent, false},
		"half a family":            {messaging.Webhook{Enabled: true, Events: []string{"message*"}}, sent, false},
		"nothing":                  {messaging.Webhook{Enabled: true}, sent, false},
		"its instance":             {messaging.Webhook{Enabled: true, Events: []string{"*"}, Instances: []string{"ins_b", "ins_a"}}, sent, true},
		"another instance":         {messaging.Webhook{Enabled: true, Events: []string{"*"}, Instances: []string{"ins_b"}}, sent, false},
		"no instance any more":     {messaging.Webhook{Enabled: true, Events: []string{"*"}, Instances: []string{}}, sent, false},
		"what concerns none":       {messaging.Webhook{Enabled: true, Events: []string{"*"}}, disabled, true},
		"that, narrowed":           {messaging.Webhook{Enabled: true, Events: []string{"*"}, Instances: []string{"ins_a"}}, disabled, false},
		"a bulk over its own":      {messaging.Webhook{Enabled: true, Events: []string{"bulk.*"}, Instances: []string{"ins_b", "ins_a"}}, bulk, true},
		"a bulk over others, too":  {messaging.Webhook{Enabled: true, Events: []string{"bulk.*"}, Instances: []string{"ins_a"}}, bulk, false},
		"a bulk, not narrowed":     {messaging.Webhook{Enabled: true, Events: []string{"*"}}, bulk, true},
		"a test of another's":      {messaging.Webhook{Enabled: true, Events: []string{"*"}}, messaging.Event{Type: messaging.EventWebhookTest}, false},
		"a test by its own family": {messaging.Webhook{Enabled: true, Events: []string{"webhook.*"}}, messaging.Event{Type: messaging.EventWebhookTest}, false},
	} {
		if got := c.webhook.Hears(&c.event); got != c.want {
			t.Errorf("%s: heard %t, want %t", name, got, c.want)
		}
	}
}

// Only messages have a chat.
func TestChatsAdmitTheirMessages(t *testing.T) {
	person := &messaging.Message{Peer: messaging.Address{WAID: "5511912345678@s.whatsapp.net"}}
	group := &messaging.Message{Peer: messaging.Address{WAID: "120363000000000000@g.us"}}
	member := &messaging.Message{Peer: messaging.Address{Input: "120363000000000000@g.us", WAID: "5511912345678@s.whatsapp.net"}}
	for _, c := range []struct {
		chats                         messaging.Chats
		none, person, group, ofMember bool
	}{
		{"", true, true, true, true},
		{messaging.AllChats, true, true, true, true},
		{messaging.DirectChats, true, true, false, false},
		{messaging.GroupChats, true, false, true, true},
	} {
		got := [...]bool{
			c.chats.Admit(&messaging.Event{}), c.chats.Admit(&messaging.Event{Message: person}),
			c.chats.Admit(&messaging.Event{Message: group}), c.chats.Admit(&messaging.Event{Message: member}),
		}
		if want := [...]bool{c.none, c.person, c.group, c.ofMember}; got != want {
			t.Errorf("%q: %v, want %v", c.chats, got, want)
		}
	}
}
