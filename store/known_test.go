package store

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"portaria/messaging"
)

func TestWhatIsKnownOfMessagesIsBounded(t *testing.T) {
	var k knownStates
	m := left{known: known{tenancyKey: tenancyKey{"wsp_1", "test"}, state: messaging.State{Status: messaging.StatusQueued}}}
	for n := range 3 * maxKnown {
		m.id = strconv.Itoa(n)
		k.learn(&m)
		if len(k.places) > maxKnown || len(k.ring) > maxKnown {
			t.Fatalf("%d messages are known after %d", len(k.places), n+1)
		}
	}
	last := strconv.Itoa(3*maxKnown - 1)
	if _, ok := k.of("wsp_1", messaging.Test, last); !ok {
		t.Error("the last message is not known")
	}
	if _, ok := k.of("wsp_2", messaging.Test, last); ok {
		t.Error("a message is known in another world")
	}
	m.state.Status = messaging.StatusRead
	k.learn(&m)
	if _, ok := k.of("wsp_1", messaging.Test, last); ok {
		t.Error("a message is known when nothing is to come of it")
	}
}

// Whatever comes and goes, what is known of a message is what was learnt last.
func TestWhatIsKnownIsWhatWasLearntLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k knownStates
		want := make(map[string]int64)
		m := left{known: known{tenancyKey: tenancyKey{"wsp_1", "test"}}}
		for n := range rapid.Int64Range(1, 200).Draw(t, "steps") {
			m.id = strconv.Itoa(rapid.IntRange(0, 20).Draw(t, "message"))
			m.position, m.state.Status = n, messaging.StatusSent
			want[m.id] = n
			switch rapid.IntRange(0, 9).Draw(t, "news") {
			case 0:
				m.state.Status = messaging.StatusFailed
				delete(want, m.id)
			case 1:
				k.forget()
				clear(want)
				continue
			}
			k.learn(&m)
		}
		for n := range 21 {
			id := strconv.Itoa(n)
			got, ok := k.of("wsp_1", messaging.Test, id)
			if at, known := want[id]; ok != known || got.position != at {
				t.Errorf("%s: known %t at %d, want %t at %d", id, ok, got.position, known, at)
			}
		}
	})
}
