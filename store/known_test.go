package store

import (
	"strconv"
	"testing"

	"portaria/messaging"
)

func TestWhatIsKnownOfMessagesIsBounded(t *testing.T) {
	var k knownStates
	m := known{tenancyKey: tenancyKey{"wsp_1", "test"}, state: messaging.State{Status: messaging.StatusQueued}}
	for n := range 3 * maxKnown {
		k.learn(strconv.Itoa(n), &m)
		if len(k.states) > maxKnown {
			t.Fatalf("%d messages are known after %d", len(k.states), n+1)
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
	k.learn(last, &m)
	if _, ok := k.of("wsp_1", messaging.Test, last); ok {
		t.Error("a message is known when nothing is to come of it")
	}
}
