package outbox

import (
	"maps"
	"time"

	"portaria/messaging"
)

// leaveWord says what a message in hand is to become if it comes back. That it
// may go again says nothing new, unless it was to be something else. l.mu is held.
func (l *lane) leaveWord(id string, r recall) {
	if _, recalled := l.recalled[id]; !recalled && r.status == messaging.StatusQueued {
		return
	}
	if l.recalled == nil {
		l.recalled = make(map[string]recall)
	}
	l.recalled[id] = r
}

// recall makes of what has come back what was wanted of it meanwhile, and returns
// the records. l.mu is held.
func (l *lane) recall(taken *load) (records []messaging.Record) {
	if len(l.recalled) == 0 {
		return nil
	}
	for i := range taken.back {
		records = l.recallOne(taken, &taken.back[i], records)
	}
	for i := range taken.parked {
		records = l.recallOne(taken, &taken.parked[i].parcel, records)
	}
	return records
}

func (l *lane) recallOne(taken *load, p *Parcel, records []messaging.Record) []messaging.Record {
	wanted, ok := l.recalled[p.MessageID]
	before, applied := taken.applied[p.MessageID]
	if !ok || wanted == before || !applied && wanted.status == messaging.StatusQueued {
		return records
	}
	if taken.applied == nil {
		taken.applied = make(map[string]recall)
	}
	taken.applied[p.MessageID] = wanted
	now := l.clock.Now()
	switch wanted.status { //nolint:exhaustive // an amendment has no others
	case messaging.StatusHeld:
		l.wait(p.waiter(wanted.due))
	case messaging.StatusQueued:
		l.wait(p.waiter(now))
	default:
		l.unwait(p.MessageID)
	}
	return append(records, l.change(p.MessageID, wanted.change(now)))
}

// recalls returns the waiters of a load whose followers must be freed because
// they were recalled, and has the lane read what may go again. l.mu is held.
func (l *lane) recalls(taken *load) (free []Waiter) {
	for _, parcels := range [][]Parcel{taken.back, parcelsOf(taken.parked)} {
		for i := range parcels {
			r, ok := taken.applied[parcels[i].MessageID]
			if !ok || r.status == messaging.StatusHeld {
				continue
			}
			free = append(free, parcels[i].waiter(time.Time{}))
			l.readFirst()
		}
	}
	return free
}

func parcelsOf(parked []parking) []Parcel {
	out := make([]Parcel, len(parked))
	for i := range parked {
		out[i] = parked[i].parcel
	}
	return out
}

// maxUnacked is how many messages without an acknowledgement are kept in mind
// before those are forgotten whose time has passed.
const maxUnacked = 1024

// takenByNetwork notes that the network has a message and has not said so. l.mu
// is held.
func (l *lane) takenByNetwork(id string, until time.Time) {
	if l.unacked == nil {
		l.unacked = make(map[string]time.Time)
	}
	if len(l.unacked) >= maxUnacked {
		now := l.clock.Now()
		maps.DeleteFunc(l.unacked, func(_ string, until time.Time) bool { return until.Before(now) })
	}
	l.unacked[id] = until
}
