package channeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// event is what stories read of an event.
type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Instance *instanceView `json:"instance"`
		Message  *struct {
			ID        string `json:"id"`
			Direction string `json:"direction"`
			Error     *struct {
				Code string `json:"code"`
			} `json:"error"`
		} `json:"message"`
	} `json:"data"`
	whole any
}

// events returns what was told since the story began, oldest first.
func (s *stage) events() []event {
	s.t.Helper()
	var list []json.RawMessage
	s.call(http.MethodGet, "/v1/events?limit=200", "", http.StatusOK, &list)
	var events []event
	for _, text := range list {
		var e event
		if err := json.Unmarshal(text, &e); err != nil {
			s.t.Fatal(err)
		}
		if err := json.Unmarshal(text, &e.whole); err != nil {
			s.t.Fatal(err)
		}
		if e.ID == s.since {
			break
		}
		events = append(events, e)
	}
	slices.Reverse(events)
	return events
}

// told returns a line for the instance, for each message in the order in which
// they were sent, and for each that came in: the events in their order, with an
// error's code or a state's reason.
//
//	instance: disconnected(connection_lost) connected
//	1: queued sent delivered read
//	2: queued failed(NOT_ON_WHATSAPP)
//	in 1: received
func (s *stage) told() []string {
	s.t.Helper()
	var lines []string
	for _, subject := range s.subjects() {
		line := subject.name + ":"
		for _, e := range subject.events {
			line += " " + e.step()
		}
		lines = append(lines, line)
	}
	return lines
}

// step is an event in a line.
func (e *event) step() string {
	_, step, _ := strings.Cut(e.Type, ".")
	switch {
	case e.Data.Message != nil && e.Data.Message.Error != nil:
		return step + "(" + e.Data.Message.Error.Code + ")"
	case e.Data.Instance != nil && e.Data.Instance.StateReason != "":
		return step + "(" + e.Data.Instance.StateReason + ")"
	default:
		return step
	}
}

// subject is what events are about, and those events.
type subject struct {
	name   string
	id     string // of a message
	events []event
}

// subjects returns those that something was told of. The order in which two of
// them are told of may differ from one network to the other.
func (s *stage) subjects() []*subject {
	s.t.Helper()
	instance := &subject{name: "instance"}
	messages := make([]*subject, len(s.sent))
	for i, m := range s.sent {
		messages[i] = &subject{name: fmt.Sprint(i + 1), id: m.ID}
	}
	var inbound []*subject
	find := func(list []*subject, id string) *subject {
		if i := slices.IndexFunc(list, func(s *subject) bool { return s.id == id }); i >= 0 {
			return list[i]
		}
		return nil
	}
	for _, e := range s.events() {
		about := instance
		if m := e.Data.Message; m != nil {
			if about = find(slices.Concat(messages, inbound), m.ID); about == nil {
				about = &subject{name: fmt.Sprintf("in %d", len(inbound)+1), id: m.ID}
				inbound = append(inbound, about)
			}
		}
		about.events = append(about.events, e)
	}
	all := slices.Concat([]*subject{instance}, messages, inbound)
	return slices.DeleteFunc(all, func(s *subject) bool { return len(s.events) == 0 })
}

// inbound returns the id of the n-th message that came in, once it has.
func (s *stage) inbound(n int) string {
	s.t.Helper()
	s.see(fmt.Sprintf("in %d: received", n))
	for _, subject := range s.subjects() {
		if subject.name == fmt.Sprintf("in %d", n) {
			return subject.id
		}
	}
	return ""
}
