package messaging_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"portaria/messaging"
)

func TestIDsSortByTheirTime(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	early, late := messaging.NewID(messaging.MessagePrefix, at), messaging.NewID(messaging.MessagePrefix, at.Add(time.Millisecond))
	if early >= late {
		t.Errorf("%s is not before %s", early, late)
	}
	if !messaging.ValidID(messaging.MessagePrefix, early) {
		t.Errorf("%s is not valid", early)
	}
}

// Two instances made within a millisecond, or two messages heard within one, are
// listed in their order, whatever a clock of the sandbox says meanwhile. An id of
// another time, as a bound is, keeps that time.
func TestIDsOfTheLatestMillisecondRise(t *testing.T) {
	tomorrow := messaging.NewID(messaging.MessagePrefix, time.Now().Add(24*time.Hour))
	now, last := time.Now(), ""
	for n := range 1000 {
		id := messaging.NewID(messaging.MessagePrefix, now)
		if id <= last {
			t.Fatalf("id %d is %s, behind %s", n, id, last)
		}
		last = id
	}
	if early := messaging.NewID(messaging.MessagePrefix, now.Add(-time.Millisecond)); early[:14] >= last[:14] {
		t.Errorf("%s has not the time before %s", early, last)
	}
	if tomorrow[:14] <= last[:14] {
		t.Errorf("%s has not the time behind %s", tomorrow, last)
	}
}

// A list by id is shown as a list by age: also when a clock stands or goes back.
func TestIDsOfOneSourceAlwaysRise(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var source messaging.IDSource
		last := ""
		for _, ms := range rapid.SliceOfN(rapid.Int64Range(1e12, 1e12+3), 2, 50).Draw(rt, "times") {
			id := source.Next(messaging.MessagePrefix, time.UnixMilli(ms))
			if id <= last || !messaging.ValidID(messaging.MessagePrefix, id) {
				rt.Fatalf("%q follows %q", id, last)
			}
			last = id
		}
	})
}

func TestAnEventIDHoldsItsSequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sequence := rapid.Int64Range(0, 1<<40-1).Draw(rt, "sequence")
		id := messaging.NewEventID(sequence, time.Now())
		if got, ok := messaging.EventSequence(id); !ok || got != sequence {
			rt.Errorf("EventSequence(%q) = %d, %v; want %d", id, got, ok, sequence)
		}
	})
}

func FuzzEventSequence(f *testing.F) {
	f.Add("evt_01m800tbje00000005b8aap9cv")
	f.Add("evt_")
	f.Add("msg_01m800tb91rnvhbyzz6pm6jaay")
	f.Fuzz(func(t *testing.T, id string) {
		if sequence, ok := messaging.EventSequence(id); ok && (sequence < 0 || !messaging.ValidID(messaging.EventPrefix, id)) {
			t.Errorf("%q has sequence %d", id, sequence)
		}
	})
}
