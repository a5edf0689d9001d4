package store

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"portaria/messaging"
)

// contentOptions are what a content of any kind may have. They stand beside the
// members of its kind, so that plain text is stored as plain text.
type contentOptions struct {
	ReplyTo  *messaging.Reference `json:"reply_to,omitzero"`
	Mentions []string             `json:"mentions,omitempty"`
	ViewOnce bool                 `json:"view_once,omitzero"`
}

// The stored forms of contents.
type (
	storedText struct {
		messaging.Text
		contentOptions
	}
	storedMedia struct {
		messaging.Media
		contentOptions
	}
	storedLocation struct {
		messaging.Location
		contentOptions
	}
	storedContacts struct {
		Contacts []messaging.Contact `json:"contacts"`
		contentOptions
	}
	storedPoll struct {
		messaging.Poll
		contentOptions
	}
	storedReaction struct {
		messaging.Reaction
		contentOptions
	}
	storedUnknown struct{ contentOptions }
)

// encodeContent writes what a content says; the kind has a column of its own.
func encodeContent(c messaging.Content) (string, error) {
	if text, ok := encodePlain(&c); ok {
		return text, nil
	}
	v := storedForm(&c)
	if v == nil {
		return "", fmt.Errorf("content of kind %q cannot be stored", c.Kind)
	}
	b, err := json.Marshal(v)
	if err != nil {
		// What contacts send need not be valid UTF-8; it must not keep their messages
		// from being recorded.
		b, err = json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	}
	if err != nil {
		return "", fmt.Errorf("content: %w", err)
	}
	return string(b), nil
}

// storedForm returns what is stored of a content; nil for one that says nothing
// of its kind.
func storedForm(c *messaging.Content) any {
	options := contentOptions{ReplyTo: c.ReplyTo, Mentions: c.Mentions, ViewOnce: c.ViewOnce}
	switch {
	case c.Kind == messaging.KindText && c.Text != nil:
		if c.ReplyTo != nil || len(c.Mentions) > 0 || c.ViewOnce {
			return storedText{*c.Text, options}
		}
		return c.Text
	case c.Kind.IsMedia() && c.Media != nil:
		return storedMedia{*c.Media, options}
	case c.Kind == messaging.KindLocation && c.Location != nil:
		return storedLocation{*c.Location, options}
	case c.Kind == messaging.KindContacts && len(c.Contacts) > 0:
		return storedContacts{c.Contacts, options}
	case c.Kind == messaging.KindPoll && c.Poll != nil:
		return storedPoll{*c.Poll, options}
	case c.Kind == messaging.KindReaction && c.Reaction != nil:
		return storedReaction{*c.Reaction, options}
	case c.Kind == messaging.KindUnknown:
		return storedUnknown{options}
	default:
		return nil
	}
}

// encodePlain writes text that is nothing else, as nearly every message is,
// without reflection.
func encodePlain(c *messaging.Content) (string, bool) {
	if c.Kind != messaging.KindText || c.Text == nil || c.ReplyTo != nil || len(c.Mentions) > 0 || c.ViewOnce {
		return "", false
	}
	const head, flag = `{"body":`, `,"preview_url":`
	b := append(make([]byte, 0, len(head)+len(c.Text.Body)+len(flag)+16), head...)
	b, err := jsontext.AppendQuote(b, c.Text.Body)
	b = strconv.AppendBool(append(b, flag...), c.Text.PreviewURL)
	return string(append(b, '}')), err == nil
}

// decodeContent reads what encodeContent wrote.
func decodeContent(kind, text string) (messaging.Content, error) {
	c := messaging.Content{Kind: messaging.Kind(kind)}
	var options *contentOptions
	var into any
	var contacts *[]messaging.Contact
	switch {
	case c.Kind == messaging.KindText:
		stored := new(storedText)
		c.Text, options, into = &stored.Text, &stored.contentOptions, stored
	case c.Kind.IsMedia():
		stored := new(storedMedia)
		c.Media, options, into = &stored.Media, &stored.contentOptions, stored
	case c.Kind == messaging.KindLocation:
		stored := new(storedLocation)
		c.Location, options, into = &stored.Location, &stored.contentOptions, stored
	case c.Kind == messaging.KindContacts:
		stored := new(storedContacts)
		contacts, options, into = &stored.Contacts, &stored.contentOptions, stored
	case c.Kind == messaging.KindPoll:
		stored := new(storedPoll)
		c.Poll, options, into = &stored.Poll, &stored.contentOptions, stored
	case c.Kind == messaging.KindReaction:
		stored := new(storedReaction)
		c.Reaction, options, into = &stored.Reaction, &stored.contentOptions, stored
	case c.Kind == messaging.KindUnknown:
		stored := new(storedUnknown)
		options, into = &stored.contentOptions, stored
	default:
		return c, fmt.Errorf("content of unknown kind %q", kind)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return c, fmt.Errorf("content: %w", err)
	}
	if contacts != nil {
		c.Contacts = *contacts
	}
	c.ReplyTo, c.Mentions, c.ViewOnce = options.ReplyTo, options.Mentions, options.ViewOnce
	return c, nil
}
