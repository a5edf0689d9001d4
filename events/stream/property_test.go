package stream_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"portaria/events/stream"
	"portaria/messaging"
)

// move is a step of a story about listeners.
type move struct {
	Kind     string // commit, join, leave, resume, restart, wait
	Count    int    // events of a commit
	Seed     int    // of what the events are about
	Told     bool   // the hub hears of the commit
	Who      int    // the listener who leaves or resumes
	Filter   int
	Behind   int // a join begins that many events behind the head; 0: now
	Delay    int // of the listener, in microseconds an event
	Duration int // of a wait, in milliseconds
}

func drawMove(t *rapid.T) move {
	return move{
		Kind:  rapid.SampledFrom([]string{"commit", "commit", "commit", "join", "join", "leave", "resume", "restart", "wait"}).Draw(t, "kind"),
		Count: rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(200, 700)).Draw(t, "count"), Seed: rapid.IntRange(0, 11).Draw(t, "seed"),
		Told: rapid.Bool().Draw(t, "told"), Who: rapid.IntRange(0, 9).Draw(t, "who"), Filter: rapid.IntRange(0, len(filters)-1).Draw(t, "filter"),
		Behind: rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 600)).Draw(t, "behind"),
		Delay:  rapid.SampledFrom([]int{0, 0, 100, 5000, 30_000}).Draw(t, "delay"), Duration: rapid.IntRange(0, 3000).Draw(t, "duration"),
	}
}

var filters = []stream.Subscription{
	{Allow: messaging.AllInstances()},
	{Allow: messaging.OnlyInstances("ins_0", "ins_2")},
	{Allow: messaging.AllInstances(), Types: []string{"message.*"}},
	{Allow: messaging.AllInstances(), InstanceID: "ins_1"},
	{Allow: messaging.OnlyInstances("ins_1"), Types: []string{"message.read", "call.received"}},
}

// Whatever is committed, told or not, while listeners come, go, hang, come again
// behind what they have heard, and the hub is started anew: each hears exactly
// what its filter admits, in order, once.
func TestListenersHearAllInOrderAndOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOfN(rapid.Custom(drawMove), 1, 30).Draw(rt, "moves")
		buffer := rapid.IntRange(1, 300).Draw(rt, "buffer")
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = play(t, moves, buffer) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// attendee is one who listens, with interruptions.
type attendee struct {
	ear
	filter stream.Subscription
	start  int64 // the sequence behind which it began
	cancel func()
	ended  <-chan error
}

// story is a journal, a hub and those who listen.
type story struct {
	t         *testing.T
	journal   *journal
	buffer    int
	hub       *hub
	attendees []*attendee
}

// play plays moves and returns what went wrong.
func play(t *testing.T, moves []move, buffer int) string {
	t.Helper()
	s := &story{t: t, journal: newJournal(), buffer: buffer}
	s.journal.commit(here, "ins_0", "message.sent") // so that everybody has something to begin behind
	s.start()
	for _, m := range moves {
		s.play(m)
	}
	for _, a := range s.attendees {
		s.leave(a)
		a.delay = 0
		s.listen(a)
	}
	synctest.Wait()
	for i, a := range s.attendees {
		s.leave(a)
		if want := s.admitted(a); !slices.Equal(a.heard, want) {
			return fmt.Sprintf("listener %d heard %d events, want %d: %s", i, len(a.heard), len(want), difference(a.heard, want))
		}
	}
	s.hub.stop()
	return ""
}

func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d: %s instead of %s", i, got[i], want[i])
		}
	}
	return "one is the beginning of the other"
}

func (s *story) start() {
	s.hub = run(s.t, s.journal, func(o *stream.Options) { o.Buffer = s.buffer })
}

func (s *story) play(m move) {
	switch m.Kind {
	case "commit":
		s.commit(m)
	case "join":
		s.join(m)
	case "leave":
		if a := s.who(m); a != nil {
			s.leave(a)
		}
	case "resume":
		if a := s.who(m); a != nil {
			s.leave(a)
			s.listen(a)
		}
	case "restart":
		s.hub.stop()
		for _, a := range s.attendees {
			<-a.ended
		}
		s.start()
		for _, a := range s.attendees {
			s.listen(a)
		}
	case "wait":
		time.Sleep(time.Duration(m.Duration) * time.Millisecond)
	}
}

func (s *story) commit(m move) {
	types := []messaging.EventType{"message.read", "message.sent", "call.received", messaging.EventWebhookTest}
	events := make([]messaging.Event, 0, m.Count)
	for n := range m.Count {
		about := n + m.Seed
		events = append(events, s.journal.commit(here, "ins_"+fmt.Sprint(about%3), types[about%len(types)]))
	}
	if m.Told {
		s.hub.Tell(events)
	}
}

func (s *story) join(m move) {
	if len(s.attendees) == 10 {
		return
	}
	all := s.journal.events[here]
	a := &attendee{filter: filters[m.Filter], ear: ear{delay: time.Duration(m.Delay) * time.Microsecond}, start: int64(len(all))}
	if m.Behind > 0 && len(all) > m.Behind {
		first := all[len(all)-1-m.Behind]
		a.start, a.filter.After = first.Sequence, first.ID
	}
	s.attendees = append(s.attendees, a)
	a.cancel, a.ended = s.hub.follow(a.filter, &a.ear)
	if a.filter.After == "" {
		synctest.Wait() // now is now
	}
}

func (s *story) who(m move) *attendee {
	if m.Who < len(s.attendees) {
		return s.attendees[m.Who]
	}
	return nil
}

// listen subscribes again, behind what was heard last.
func (s *story) listen(a *attendee) {
	subscription := a.filter
	subscription.After = s.journal.events[here][a.start-1].ID
	if len(a.heard) > 0 {
		subscription.After = a.heard[len(a.heard)-1]
	}
	a.cancel, a.ended = s.hub.follow(subscription, &a.ear)
}

func (s *story) leave(a *attendee) {
	a.cancel()
	<-a.ended
	closed := make(chan error)
	close(closed)
	a.ended = closed
}

// admitted lists what a listener should have heard by now.
func (s *story) admitted(a *attendee) (ids []string) {
	for _, e := range s.journal.events[here][a.start:] {
		instance := a.filter.Allow.Opens(e.InstanceID) && (a.filter.InstanceID == "" || a.filter.InstanceID == e.InstanceID)
		kind := len(a.filter.Types) == 0 && e.Type != messaging.EventWebhookTest
		for _, pattern := range a.filter.Types {
			kind = kind || strings.HasPrefix(string(e.Type), strings.TrimSuffix(pattern, "*"))
		}
		if instance && kind {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
