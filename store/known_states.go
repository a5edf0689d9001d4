package store

import (
	"errors"

	"portaria/messaging"
)

// maxKnown is how many messages the committer remembers: more than the channels
// and the simulated network have on their way together.
const maxKnown = 8192

// knownStates remembers messages as the committer has left them, so that a change
// of status need not read its row first. It may be behind what is stored: an
// update of messages fails for all its rows with errStale when one has other
// events by then, and the committer forgets everything and reads.
type knownStates struct {
	states map[string]known
	order  [maxKnown]string // of their coming; what comes takes the place of the oldest
	next   int
}

// known is what is remembered of a message.
type known struct {
	tenancyKey

	instance  string
	bulk      string // empty: it is of none
	position  int64  // in the outbox
	state     messaging.State
	sequences string // of its events
}

// errStale is the error of a write that meets other rows than it was made for.
var errStale = ErrDatabaseBusy.Because(errors.New("messages have changed meanwhile"))

// of returns what is known of a message.
func (k *knownStates) of(workspace string, env messaging.Environment, id string) (known, bool) {
	m, ok := k.states[id]
	return m, ok && m.workspace == workspace && m.environment == string(env)
}

// learn remembers a message, unless no more is to come of it.
func (k *knownStates) learn(id string, m *known) {
	if m.state.Status.Ended() || m.state.Status == messaging.StatusRead {
		delete(k.states, id)
		return
	}
	if k.states == nil {
		k.states = make(map[string]known)
	}
	if _, ok := k.states[id]; !ok {
		delete(k.states, k.order[k.next])
		k.order[k.next] = id
		k.next = (k.next + 1) % maxKnown
	}
	k.states[id] = *m
}

// forget forgets all messages.
func (k *knownStates) forget() { clear(k.states) }

// left is how a transaction leaves a message, if it is committed.
type left struct {
	id string
	known
}
