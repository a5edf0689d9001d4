package store

import (
	"context"
	"slices"

	"portaria/messaging"
)

// Committed are the events of one transaction, in their order.
type Committed []messaging.Event

// Tell sets who hears of events after their commit, in the order of the
// commits, while no other write goes on: f must not block or write. It is set
// once, before the first write.
func (s *Store) Tell(f func(Committed)) { s.listener = f }

// TellInstances sets who hears, after its commit, of every instance that Report
// has changed, be it an event or not. What holds for Tell holds for it.
func (s *Store) TellInstances(f func(messaging.Instance)) { s.observer = f }

// TellQueued sets who hears, after the commit, for which endpoints deliveries
// were queued, each once. What holds for Tell holds for it; the two hear of one
// commit before either hears of the next.
func (s *Store) TellQueued(f func(webhookIDs []string)) { s.queued = f }

func (s *Store) tell(log *eventLog) {
	if s.listener != nil && len(log.events) > 0 {
		s.listener(log.events)
	}
	s.tellQueued(log)
	if s.observer == nil {
		return
	}
	for _, i := range log.instances {
		s.observer(i)
	}
}

func (s *Store) tellQueued(log *eventLog) {
	if s.queued == nil || len(log.queued) == 0 {
		return
	}
	slices.Sort(log.queued)
	s.queued(slices.Compact(log.queued))
}

// happened reports whether an event is durable, once the connection that wrote it
// is surely done: a statement may outlive the line that it came by.
func (s *Store) happened(writer backend, e *messaging.Event) (bool, error) {
	const q = `SELECT COUNT(*) FROM events WHERE workspace_id = $1 AND environment = $2 AND sequence = $3 AND id = $4`
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := s.engine.end(ctx, s.r, writer); err != nil {
		return false, err
	}
	var n int
	err := s.r.GetContext(ctx, &n, q, e.WorkspaceID, string(e.Environment), e.Sequence, e.ID)
	return n > 0, err
}
