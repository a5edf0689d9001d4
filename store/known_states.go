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
// events by then, and the committer forgets everything and reads. (What another
// process has changed without an event, as the tries of a message, it would write
// over; while one serves, no other one sends.)
type knownStates struct {
	places map[string]int // in ring, by id
	ring   []left         // in the order of their coming: what comes takes the place of the oldest
	next   int
}

// known is what is remembered of a message.
type known struct {
	tenancyKey

	instance  string
	bulk      string // empty: it is of none
	priority  int64  // in the outbox, as position
	position  int64
	state     messaging.State
	sequences string // of its events
}

// errMoved says that what was remembered is not so any more.
var errMoved = errors.New("rows have changed meanwhile")

// errStale is the error of a write that meets other rows than it was made for.
// Nothing of its statement has happened.
var errStale = ErrDatabaseBusy.Because(errMoved)

// of returns what is known of a message.
func (k *knownStates) of(workspace string, env messaging.Environment, id string) (known, bool) {
	i, ok := k.places[id]
	if !ok || k.ring[i].workspace != workspace || k.ring[i].environment != string(env) {
		return known{}, false
	}
	return k.ring[i].known, true
}

// learn remembers a message, unless no more is to come of it.
func (k *knownStates) learn(m *left) {
	if m.state.Status.Ended() || m.state.Status == messaging.StatusRead {
		delete(k.places, m.id)
		return
	}
	i, ok := k.places[m.id]
	if !ok {
		i = k.place(m.id)
	}
	k.ring[i] = *m
}

// place makes room for another message.
func (k *knownStates) place(id string) int {
	if k.places == nil {
		k.places = make(map[string]int)
	}
	i := k.next
	if len(k.ring) < maxKnown {
		i = len(k.ring)
		k.ring = append(k.ring, left{})
	} else if oldest := k.ring[i].id; k.places[oldest] == i {
		delete(k.places, oldest)
	}
	k.next = (i + 1) % maxKnown
	k.places[id] = i
	return i
}

// forget forgets all messages.
func (k *knownStates) forget() { clear(k.places) }

// left is how a transaction leaves a message, if it is committed.
type left struct {
	id string
	known
}
