package messaging_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
)

// What a row of a bulk becomes, with its placeholders filled in, is held to the
// rules that a single message is held to.
func TestRulesOfContents(t *testing.T) {
	poll := func(question string, options ...string) messaging.Content {
		return messaging.Content{Kind: messaging.KindPoll, Poll: &messaging.Poll{Question: question, Options: options}}
	}
	place := func(latitude, longitude float64) messaging.Content {
		return messaging.Content{Kind: messaging.KindLocation, Location: &messaging.Location{Latitude: latitude, Longitude: longitude}}
	}
	cards := func(list ...messaging.Contact) messaging.Content {
		return messaging.Content{Kind: messaging.KindContacts, Contacts: list}
	}
	named := messaging.Contact{Name: messaging.ContactName{FormattedName: "Ana"}}
	for name, c := range map[string]struct {
		content messaging.Content
		want    string
	}{
		"text":                      {messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{}}, ""},
		"poll":                      {poll("?", "a", "A"), ""},
		"poll of twelve":            {poll("?", strings.Split("abcdefghijkl", "")...), ""},
		"poll of thirteen":          {poll("?", strings.Split("abcdefghijklm", "")...), "poll.options:length"},
		"poll of a hundred letters": {poll("?", strings.Repeat("é", 100), "b"), ""},
		"poll of many letters":      {poll("?", "a", strings.Repeat("é", 101)), "poll.options[1]:max_length"},
		"poll whose rows are empty": {poll(" ", "", ""), "poll.question:required poll.options[0]:required poll.options[1]:required"},
		"poll with one answer":      {poll("?", "a"), "poll.options:length"},
		"poll with the same answer": {poll("?", "a", "b", "a "), "poll.options[2]:repeated"},
		"poles":                     {place(-90, 180), ""},
		"off the earth":             {place(90.01, -180.01), "location.latitude:range location.longitude:range"},
		"nowhere":                   {place(math.NaN(), math.Inf(1)), "location.latitude:range location.longitude:range"},
		"a card":                    {cards(named), ""},
		"no cards":                  {cards(), "contacts:length"},
		"many cards":                {cards(make([]messaging.Contact, 21)...), "contacts:length"},
		"a card of nobody":          {cards(named, messaging.Contact{}), "contacts[1].name.formatted_name:required"},
		"a card of many addresses": {
			cards(messaging.Contact{Name: named.Name, Emails: make([]messaging.ContactEmail, 11)}), "contacts[0].emails:length",
		},
		"a number that is none": {
			cards(messaging.Contact{Name: named.Name, Phones: []messaging.ContactPhone{{Phone: "1", WAID: "+5511"}, {Phone: "1", WAID: strings.Repeat("5", 16)}}}),
			"contacts[0].phones[0].wa_id:format contacts[0].phones[1].wa_id:format",
		},
		"types that are none": {
			cards(messaging.Contact{
				Name: named.Name, Phones: []messaging.ContactPhone{{Phone: "1", Type: "a;b"}},
				Emails: []messaging.ContactEmail{{Email: "a", Type: strings.Repeat("a", 33)}},
			}),
			"contacts[0].phones[0].type:format contacts[0].emails[0].type:format",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var fields fault.Fields
			c.content.Check(&fields)
			var got []string
			for _, f := range fields {
				got = append(got, f.Field+":"+f.Rule)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
