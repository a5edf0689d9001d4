package outbox

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"portaria/messaging"
	"portaria/outbox/pace"
)

// pacer holds a lane back so that its instance keeps its pace. A lane has one
// only if its instance's settings say something about a pace, or ask for one by
// being silent. The lane's lock guards it, but its rules and its book are
// changed by the lane's goroutine alone.
type pacer struct {
	settings []byte      // what the rules were read from
	rules    *pace.Rules // nil: switched off
	phone    string      // whose book it is
	book     *pace.Ledger

	// turn is the call that ends a wait; while it is set the lane rests.
	turn alarm
	// reached is the time of a call that a clock in instant mode has made early:
	// the lane goes on as if it were that late.
	reached time.Time
}

// held reports whether a lane waits for its turn. l.mu is held.
func (l *lane) held() bool { return l.pace != nil && l.pace.turn.forget != nil }

// follow reads the pace of the lane's instance anew if its settings or its
// number have changed.
func (l *lane) follow(ctx context.Context) error {
	if l.d.instance == nil {
		return nil
	}
	i, err := l.d.instance(ctx, l.ref)
	if err != nil {
		return fmt.Errorf("pace: %w", err)
	}
	if l.follows(&i) {
		return nil
	}
	l.recorded() // what was spent among it
	next := &pacer{settings: i.Settings, phone: i.Phone}
	if rules, on := pace.Of(&i); on {
		next.rules = &rules
		if next.book, err = l.openBook(ctx, i.Phone); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.letGo()
	l.pace = next
	return nil
}

// follows reports whether the lane's pace is that of an instance.
func (l *lane) follows(i *messaging.Instance) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil {
		return i.Environment == messaging.Test && !bytes.Contains(i.Settings, []byte(`"pace"`))
	}
	return l.pace.phone == i.Phone && bytes.Equal(l.pace.settings, i.Settings)
}

// openBook returns the ledger of a number: the one that the lane has, or what
// is recorded.
func (l *lane) openBook(ctx context.Context, phone string) (*pace.Ledger, error) {
	l.mu.Lock()
	present := l.pace
	l.mu.Unlock()
	if present != nil && present.book != nil && present.phone == phone {
		return present.book, nil
	}
	spent, began, err := l.d.store.Spent(ctx, l.ref, phone)
	if err != nil {
		return nil, err
	}
	return pace.NewLedger(spent, began), nil
}

// allowance returns how many messages the lane may give its channel now, at
// most window. When it may give none, the clock is asked for the lane's turn;
// not if a wake has come since the lane looked at its pace.
func (l *lane) allowance(window int, wakes int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == nil || l.pace.rules == nil || !l.anyQueued() {
		return window
	}
	p, now := l.pace, l.clock.Now()
	p.book.Settle(now)
	at, room := p.rules.Turn(p.book, pace.Later(now, p.reached))
	if room == 0 && l.wakes == wakes {
		p.turn = alarm{at: at, forget: l.clock.At(at, func() { l.cameTurn(p, at) })}
	}
	return min(window, room)
}

func (l *lane) anyQueued() bool {
	for p := range l.queues {
		if len(l.queues[p]) > 0 {
			return true
		}
	}
	return false
}

// cameTurn ends a wait for the lane's turn. A wait that was given up meanwhile
// has another end, or none.
func (l *lane) cameTurn(p *pacer, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace != p || p.turn.forget == nil || !p.turn.at.Equal(at) {
		return
	}
	p.turn, p.reached = alarm{}, at
	l.start()
}

// letGo gives up a wait for the lane's turn, so that the lane looks at its pace
// again. l.mu is held.
func (l *lane) letGo() {
	if l.held() {
		l.pace.turn.forget()
		l.pace.turn = alarm{}
	}
}

// spend enters in the book what a batch has used of the pace, and has it
// recorded with the outcomes. What the network may have taken counts. What it
// did not take was still something it was asked, and makes the next one wait
// its gap; what it was not asked costs nothing. l.mu is held.
func (l *lane) spend(taken *load, outcomes []messaging.Outcome) {
	if l.pace == nil || l.pace.rules == nil {
		return
	}
	sent, asked := 0, false
	for i := range outcomes {
		asked = asked || outcomes[i].Try()
		if outcomes[i].MayBeTaken() {
			sent++
		}
	}
	p, now := l.pace, l.clock.Now()
	p.reached = time.Time{}
	if !asked {
		return
	}
	p.book.Settle(now)
	if sent == 0 {
		p.book.Touch(now)
		return
	}
	if whole := now.Truncate(time.Microsecond); whole.Before(now) {
		now = whole.Add(time.Microsecond) // as it can be stored, and not earlier
	}
	taken.records = append(taken.records, messaging.PaceSpent{
		WorkspaceID: l.ref.WorkspaceID, Environment: l.ref.Environment, InstanceID: l.ref.InstanceID,
		Phone: p.phone, Messages: sent, At: now, First: p.book.Began().IsZero(),
	})
	p.book.Add(now, sent)
}
