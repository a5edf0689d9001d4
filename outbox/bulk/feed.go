package bulk

import (
	"context"
	"fmt"
	"time"

	"portaria/internal/fault"
	"portaria/outbox/pace"
)

// How many messages of a bulk wait in the lane of an instance at once. More would
// only stand in the way of others, and of a change of mind.
const (
	ahead      = 504 // 21 turns; it keeps a fast channel busy
	aheadPaced = 8   // where the instance has a pace of its own
	aheadSlow  = 1   // where the bulk has one
)

// maxAside is how many more may be held by the network (a lock on strangers):
// they keep nobody else waiting.
const maxAside = 512

// turnRows is how many rows have their turn in one commit, so that no other
// write waits long for it.
const turnRows = 24

// feed is what a bulk has in the lane of one of its instances. The run's lock
// guards it.
type feed struct {
	instance string
	stale    bool              // the instance may have changed since it was looked at
	gone     bool              // it was deleted
	paced    bool              // it has a pace of its own
	waiting  map[string]inLane // by message
	held     int               // how many of them are held
	book     *pace.Ledger      // of the bulk's pace: what has left the lane; nil: not read yet
	last     time.Time         // when a message of a bulk with a pace last left; zero: none yet
}

// inLane is a message that waits in a lane.
type inLane struct {
	person string
	held   bool // by the network, or because somebody said so
}

// room returns how many more messages the lane may have.
func (f *feed) room(slow bool) int {
	most, step := ahead, turnRows
	switch {
	case slow:
		return max(0, aheadSlow-len(f.waiting)) // the held ones, too: they may all be freed at one time
	case f.paced:
		most, step = aheadPaced, 1
	}
	free := min(most-(len(f.waiting)-f.held), most+maxAside-len(f.waiting))
	if free < step {
		return 0 // a turn of a few rows would cost as much as one of many
	}
	return free
}

// take notes a message that is on its way into the lane, or waits in it.
func (f *feed) take(id, person string) { f.waiting[id] = inLane{person: person} }

// hold notes whether a message is held.
func (f *feed) hold(id string, held bool) {
	m, ok := f.waiting[id]
	if !ok || m.held == held {
		return
	}
	m.held = held
	f.waiting[id] = m
	if held {
		f.held++
	} else {
		f.held--
	}
}

// leave forgets a message that is not in the lane any more.
func (f *feed) leave(id string) {
	f.hold(id, false)
	delete(f.waiting, id)
}

// sent notes that a message of a bulk with a pace has left the lane for the
// network. What waits needs no place in the book: there is never more than one.
func (f *feed) sent(at time.Time) {
	f.last = at
	if f.book != nil {
		f.book.Add(at, 1)
	}
}

// lookUp finds out what has changed about the instances. It reports whether all
// of them are gone.
func (r *run) lookUp(ctx context.Context) (gone bool, err error) {
	gone = true
	for _, f := range r.feeds {
		if err := r.lookUpOne(ctx, f); err != nil {
			return false, err
		}
		r.mu.Lock()
		gone = gone && f.gone
		r.mu.Unlock()
	}
	return gone, nil
}

func (r *run) lookUpOne(ctx context.Context, f *feed) error {
	r.mu.Lock()
	stale := f.stale
	f.stale = false
	r.mu.Unlock()
	if !stale {
		return nil
	}
	i, err := r.s.instance(ctx, worldOf(&r.bulk), f.instance)
	absent := isNotFound(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !absent {
		f.stale = true
		return fmt.Errorf("instance %s: %w", f.instance, err)
	}
	f.gone = absent
	if !absent {
		_, f.paced = pace.Of(&i)
	}
	return nil
}

func isNotFound(err error) bool {
	f := fault.As(err)
	return f != nil && f.Kind() == fault.NotFound
}

// openBooks reads what a bulk with a pace has sent within the hour.
func (r *run) openBooks(ctx context.Context) error {
	if r.rules == nil {
		return nil
	}
	for _, f := range r.feeds {
		if f.book != nil {
			continue
		}
		// A lane's book would do, but other messages stand in it as well. The last
		// message alone says when the gap ends.
		now := r.clock.Now()
		times, err := r.s.store.BulkSpent(ctx, r.bulk, f.instance, now.Add(-time.Hour-r.rules.MinGap-r.rules.Jitter), max(1, r.rules.PerHour))
		if err != nil {
			return fmt.Errorf("spent: %w", err)
		}
		book := pace.NewLedger(nil, time.Time{})
		for _, t := range times {
			book.Add(t, 1)
		}
		r.mu.Lock()
		f.book = book
		if !f.last.IsZero() { // the store knows when its turn was
			f.sent(f.last)
		}
		r.mu.Unlock()
	}
	return nil
}

// opening is a feed with the room that it has now.
type opening struct {
	feed *feed
	room int
}

// openings returns the feeds that take messages now. When a bulk's own pace is all
// that keeps one from it, at is the earliest time at which it does not.
func (r *run) openings() (open []opening, at time.Time) {
	connected := make([]bool, len(r.feeds))
	for i, f := range r.feeds {
		_, connected[i] = r.s.channels.Channel(f.instance)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for i, f := range r.feeds {
		if f.gone || !connected[i] {
			continue
		}
		room := f.room(r.rules != nil)
		if room > 0 && r.rules != nil {
			f.book.Settle(now)
			next, most := r.rules.Turn(f.book, now)
			if most == 0 && (at.IsZero() || next.Before(at)) {
				at = next
			}
			room = min(room, most)
		}
		if room > 0 {
			open = append(open, opening{f, room})
		}
	}
	return open, at
}

// widest returns the feed with the most room.
func widest(open []opening) *opening {
	most := &open[0]
	for i := range open {
		if open[i].room > most.room {
			most = &open[i]
		}
	}
	return most
}
