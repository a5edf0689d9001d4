package outbox

import (
	"context"
	"time"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// PaceState is how much of its pace an instance has used.
type PaceState struct {
	UsedHour int       // sent in the last 60 minutes
	UsedDay  int       // sent in the last 24 hours
	NextAt   time.Time // when the next message may go; zero: at once
	Waiting  int       // messages that wait, for whatever reason
}

// Pace returns what an instance has used of its pace, and what waits. Of an
// instance without a pace only what waits is known. The caller has checked that
// the tenancy opens the instance.
func (d *Dispatcher) Pace(ctx context.Context, t messaging.Tenancy, instanceID string) (s PaceState, err error) {
	ref := LaneRef{WorkspaceID: t.Workspace(), Environment: t.Environment(), InstanceID: instanceID}
	if d.instance == nil {
		s.Waiting, err = d.store.Waiting(ctx, ref)
		return s, err
	}
	i, err := d.instance(ctx, ref)
	if err != nil {
		return s, err
	}
	lane, err := d.Standing(ctx, i)
	if s.Waiting = lane.Waiting; err != nil || lane.Rules == nil {
		return s, err
	}
	now := d.clocks(ref).Now()
	s.UsedHour, s.UsedDay = lane.Book.Used(now, time.Hour), lane.Book.Used(now, pace.Day)
	if at, room := lane.Rules.Turn(lane.Book, now); room == 0 {
		s.NextAt = at
	}
	return s, nil
}

// readBook returns a copy of the ledger of a number: that of its lane, or what
// is recorded.
func (d *Dispatcher) readBook(ctx context.Context, ref LaneRef, phone string) (*pace.Ledger, error) {
	d.mu.Lock()
	l := d.lanes[ref.InstanceID]
	d.mu.Unlock()
	if l != nil {
		if book := l.copyBook(phone); book != nil {
			return book, nil
		}
	}
	spent, began, err := d.store.Spent(ctx, ref, phone)
	if err != nil {
		return nil, err
	}
	return pace.NewLedger(spent, began), nil
}

func (l *lane) copyBook(phone string) *pace.Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil || l.pace.book == nil || l.pace.phone != phone {
		return nil
	}
	return l.pace.book.Copy()
}
