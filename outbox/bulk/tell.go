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
			if e.Bulk.State.Ended() {
				s.drop(e.Bulk.ID)
			}
		case e.MessageID != "":
			if r := s.waiting.find(e.MessageID); r != nil {
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
	}
	if f.room(r.rules != nil) > 0 {
		r.dirty = true
		r.start()
	}
}
