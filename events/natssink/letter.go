package natssink

import (
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"portaria/messaging"
)

// What a message of the stream says besides its payload. nats.MsgIdHdr, which
// the server knows repeats by, is the event's id.
const (
	headerType     = "Portaria-Event-Type"
	headerSequence = "Portaria-Sequence" // rises by one within a workspace's environment
)

// letter is an event as it is published.
type letter struct {
	*nats.Msg

	id string
}

// write makes letters of events. A test of a webhook is for its endpoint alone.
// What cannot be rendered is left out: it never could.
func (s *Sink) write(events []messaging.Event) []letter {
	letters := make([]letter, 0, len(events))
	for i := range events {
		e := &events[i]
		if e.Type == messaging.EventWebhookTest {
			continue
		}
		body, err := s.options.Render(*e)
		if err != nil {
			s.skip(e.ID, err)
			continue
		}
		m := nats.NewMsg(s.subject(e))
		m.Data = body
		m.Header.Set(headerType, string(e.Type))
		m.Header.Set(headerSequence, strconv.FormatInt(e.Sequence, 10))
		letters = append(letters, letter{m, e.ID})
	}
	return letters
}

// subject is <prefix>.<environment>.<workspace>.<instance or _>.<event type>.
// The type may have dots of its own: it comes last.
func (s *Sink) subject(e *messaging.Event) string {
	return s.subjectsOf(e) + token(e.InstanceID) + "." + string(e.Type)
}

// subjectsOf returns what the subjects of an event's world begin with.
func (s *Sink) subjectsOf(e *messaging.Event) string {
	return s.options.Subjects + "." + token(string(e.Environment)) + "." + token(e.WorkspaceID) + "."
}

// token makes one token of a subject. Ids are made of letters, digits and _;
// anything else would lead the event elsewhere.
func token(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}

// skip leaves an event out for good, for what is in it: it must not stop those
// behind it.
func (s *Sink) skip(id string, err error) {
	s.skipped.Add(1)
	s.log.Error("an event cannot be published and is left out", "event", id, "error", err)
}
