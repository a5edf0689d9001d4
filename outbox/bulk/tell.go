package bulk

import (
	"portaria/messaging"
)

// Tell hears of committed events, in their order: which messages have left their
// lanes, which bulks have ended, which instances were deleted. It does not block.
func (s *Service) Tell(events []messaging.Event) {
	for i := range events {
		e := &events[i]
		switch {
		case e.Bulk != nil:
			if r := s.run(e.Bulk.ID); r != nil && e.Bulk.State.Ended() {
				s.drop(r)
			}
		case e.MessageID != "":
			if r := s.waiting.find(e.MessageID, !e.State.Status.Waiting()); r != nil {
				r.heard(e)
			}
		case e.Type == messaging.EventInstanceDeleted:
			s.Wake(e.InstanceID)
		}
	}
}

// heard takes in what became of one of the run's messages.
func (r *run) heard(e *messaging.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.feed(e.InstanceID)
	if f == nil {
		return
	}
	if e.State.Status.Waiting() {
		held := e.State.Status == messaging.StatusHeld
		if f.hold(e.MessageID, held); !held {
			return
		}
	} else {
		f.leave(e.MessageID)
		r.s.waiting.remove(e.MessageID)
		r.meter.add(e.Timestamp)
		if r.rules != nil && triedToSend(e.State.Status) {
			f.sent(e.Timestamp)
		}
	}
	if f.room(r.rules != nil) > 0 {
		r.dirty = true
		r.start()
	}
}

// triedToSend reports whether a message at a status that it does not wait at was
// handed to the network.
func triedToSend(s messaging.Status) bool {
	return s != messaging.StatusCanceled && s != messaging.StatusExpired
}

// OptedOut tells that a person wants no more bulks of an instance, or of all of
// the world's when instanceID is empty. What waits in lanes for that person is
// canceled soon; what the network has in hand goes out. It does not block.
func (s *Service) OptedOut(w messaging.World, instanceID, person string) {
	for _, r := range s.all() {
		if worldOf(&r.bulk) == w && (instanceID == "" || r.feed(instanceID) != nil) {
			r.optedOut(optOut{instanceID, person})
		}
	}
}

// optOut is of one person, for an instance or for all.
type optOut struct{ instance, person string }

// optedOut leaves it to the run's goroutine to cancel what waits: a turn may be on
// its way that began before.
func (r *run) optedOut(o optOut) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.optOuts = append(r.optOuts, o)
	r.dirty = true
	r.start()
}
