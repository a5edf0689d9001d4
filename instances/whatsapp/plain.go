package whatsapp

import (
	"strings"

	"portaria/messaging"
)

// plain returns a text of a stranger as every database takes it: without NUL and
// in valid UTF-8. What is neither gets the replacement character, so that an id
// does not become another message's.
func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// plainRecord returns a record all of whose texts are plain. One that were not
// could never be recorded, and everything behind it would wait for ever.
func plainRecord(record messaging.Record) messaging.Record {
	switch r := record.(type) {
	case messaging.InboundMessage:
		r.Message.WAMessageID = plain(r.Message.WAMessageID)
		r.Message.Peer = plainAddress(r.Message.Peer)
		r.Message.Content = plainContent(r.Message.Content)
		return r
	case messaging.MessageEdit:
		r.WAMessageID, r.Content = plain(r.WAMessageID), plainContent(r.Content)
		r.Author, r.AuthorLID = plainAddress(r.Author), plain(r.AuthorLID)
		return r
	case messaging.MessageRevoke:
		r.WAMessageID, r.Author, r.AuthorLID = plain(r.WAMessageID), plainAddress(r.Author), plain(r.AuthorLID)
		return r
	case messaging.CallReceived:
		r.Call.ID, r.Call.From = plain(r.Call.ID), plainAddress(r.Call.From)
		return r
	case messaging.InstanceChange:
		if r.Linked != nil {
			r.Linked = &messaging.Link{ID: plain(r.Linked.ID), Phone: plain(r.Linked.Phone), PushName: plain(r.Linked.PushName)}
		}
		return r
	default:
		return record
	}
}

func plainAddress(a messaging.Address) messaging.Address {
	return messaging.Address{Input: plain(a.Input), WAID: plain(a.WAID)}
}

func plainContent(c messaging.Content) messaging.Content {
	c = c.Clone()
	for _, text := range c.Texts() {
		*text = plain(*text)
	}
	if c.Media != nil {
		c.Media.MIME = plain(c.Media.MIME)
	}
	for _, contact := range c.Contacts {
		for i := range contact.Phones {
			contact.Phones[i].WAID, contact.Phones[i].Type = plain(contact.Phones[i].WAID), plain(contact.Phones[i].Type)
		}
		for i := range contact.Emails {
			contact.Emails[i].Type = plain(contact.Emails[i].Type)
		}
	}
	if c.Reaction != nil {
		c.Reaction = &messaging.Reaction{Message: plainReference(c.Reaction.Message), Emoji: plain(c.Reaction.Emoji)}
	}
	if c.ReplyTo != nil {
		reference := plainReference(*c.ReplyTo)
		c.ReplyTo = &reference
	}
	if c.Mentions != nil {
		c.Mentions = plainAll(c.Mentions)
	}
	return c
}

func plainReference(r messaging.Reference) messaging.Reference {
	r.WAMessageID, r.Author = plain(r.WAMessageID), plain(r.Author)
	return r
}

func plainAll(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = plain(s)
	}
	return out
}
