package outbox

import (
	"context"
	"slices"
	"time"

	"portaria/messaging"
)

// drawing is what an amendment has taken out of a lane. While it lasts, the lane
// takes nothing: what stands behind a message that is being held must not pass it.
type drawing struct {
	lane  *lane
	taken []drawn
	hands []string // what is in hand; it may come back before the amendment is recorded
}

// drawn is a message out of its lane, with its place in it as far as the lane
// knew that.
type drawn struct {
	id     string
	parcel *Parcel // it was queued
	waiter *Waiter // it waited, and blocked its recipient
}

// draw takes messages out of the lane. What is being ended is left alone.
func (l *lane) draw(ids []string, a *Amendment) *drawing {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.amending++
	d := &drawing{lane: l}
	if l.gone || l.failing != nil {
		return d
	}
	wanted := make(map[string]*Parcel, len(ids))
	for _, id := range ids {
		l.reclaim(id)
		where, known := l.known[id]
		_, unacked := l.unacked[id]
		switch {
		case unacked, known && where == withdrawn, known && where == queued && a.Status == messaging.StatusQueued:
		case known && where == inHand:
			d.hands = append(d.hands, id)
		default:
			wanted[id] = nil
		}
	}
	l.pull(wanted)
	for _, id := range ids {
		if parcel, ok := wanted[id]; ok {
			delete(wanted, id) // an id that is named twice is drawn once
			d.take(id, parcel)
		}
	}
	return d
}

// pull takes messages out of the queues. l.mu is held.
func (l *lane) pull(wanted map[string]*Parcel) {
	for p := range l.queues {
		l.queues[p] = slices.DeleteFunc(l.queues[p], func(q Parcel) bool {
			_, ok := wanted[q.MessageID]
			if ok {
				wanted[q.MessageID] = &q
			}
			return ok
		})
	}
}

// take notes a message that was drawn. l.mu is held.
func (d *drawing) take(id string, parcel *Parcel) {
	out := drawn{id: id, parcel: parcel}
	if w, waited := d.lane.unwait(id); waited {
		out.waiter = &w
	}
	d.lane.remember(id, withdrawn)
	d.taken = append(d.taken, out)
}

func (d *drawing) ids() []string {
	out := make([]string, len(d.taken))
	for i := range d.taken {
		out[i] = d.taken[i].id
	}
	return out
}

// undo puts everything back where it was.
func (d *drawing) undo() {
	l := d.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range d.taken {
		t := &d.taken[i]
		delete(l.known, t.id)
		if t.waiter != nil {
			l.wait(*t.waiter)
		}
		if t.parcel != nil {
			l.putBack(*t.parcel)
		}
	}
	l.readFirst()
	l.thawed()
}

// freeze keeps the lane from taking anything until thaw: what stands behind a
// message that is moved, or freed, must not pass it meanwhile.
func (l *lane) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.amending++
}

func (l *lane) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.thawed()
}

// thawed is thaw for who holds l.mu.
func (l *lane) thawed() {
	l.amending--
	l.armDue()
	l.start()
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	l.d.tellRested()
}

// finish has the lane go on with what was recorded.
func (d *drawing) finish(ctx context.Context, a *Amendment) {
	l := d.lane
	free, late := d.settle(a)
	if len(late) > 0 { // they came back before they could be recalled
		l.d.report(ctx, late)
		free = append(free, d.settleLate(a)...)
	}
	l.unpark(ctx, free)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overdue = true // what ran out of time meanwhile was passed over
	l.thawed()
}

// settle notes what is drawn as it was recorded, and leaves word about what is
// in hand. It returns whose followers must be freed, and the records of what was
// in hand and is not any more.
func (d *drawing) settle(a *Amendment) (free []Waiter, late []messaging.Record) {
	l := d.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	r := a.recall()
	free = l.place(d.taken, r)
	came := d.hands[:0]
	for _, id := range d.hands {
		if l.known[id] == inHand {
			l.leaveWord(id, r)
		} else if _, unacked := l.unacked[id]; !unacked {
			came = append(came, id)
		}
	}
	d.hands, d.taken = came, nil
	wanted := make(map[string]*Parcel, len(came))
	for _, id := range came {
		wanted[id] = nil
	}
	l.pull(wanted)
	for _, id := range came {
		d.take(id, wanted[id])
	}
	return free, d.records(nil, a)
}

// settleLate is settle for what came back in the meantime.
func (d *drawing) settleLate(a *Amendment) []Waiter {
	d.lane.mu.Lock()
	defer d.lane.mu.Unlock()
	return d.lane.place(d.taken, a.recall())
}

// place takes in messages as they were recorded, and returns whose followers must
// be freed. l.mu is held.
func (l *lane) place(taken []drawn, r recall) (free []Waiter) {
	now := l.clock.Now()
	for i := range taken {
		w, known := taken[i].asWaiter()
		if known && l.followed[recipient{w.Priority, w.WAID}] {
			free = append(free, w)
		}
		switch {
		case !known:
			l.readAnew() // to learn whom it blocks, or who waits for it
		case r.status == messaging.StatusHeld:
			w.Due = r.due
			l.wait(w)
		case r.status == messaging.StatusQueued:
			w.Due = now // until it has been read, nothing passes it
			l.wait(w)
		}
		l.drop(taken[i].id)
	}
	if r.status == messaging.StatusQueued {
		l.readFirst()
	}
	return free
}

// asWaiter is the message as one that waits; false when the lane did not know its
// place.
func (d *drawn) asWaiter() (Waiter, bool) {
	switch {
	case d.parcel != nil:
		return d.parcel.waiter(time.Time{}), true
	case d.waiter != nil:
		return *d.waiter, true
	default:
		return Waiter{}, false
	}
}

// setAside notes that somebody was set aside behind a recipient's messages. l.mu
// is held.
func (l *lane) setAside(key recipient) {
	if l.followed == nil {
		l.followed = make(map[recipient]bool)
	}
	l.followed[key] = true
}
