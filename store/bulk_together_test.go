package store_test

import (
	"sync"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

// Turns, receipts, pauses, retries and messages of others share transactions:
// none may undo what another has counted, and nobody else's message may suffer.
func TestWritersOfBulksThatShareTransactionsAgree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		first := newCampaign(t, s, 120)
		campaigns := []*campaign{first, first.another(first.instance), first.another(storetest.Instance(t, s, first.tenancy, "two"))}
		var wg sync.WaitGroup
		for _, c := range campaigns {
			sent := make(chan []string, len(c.rows))
			wg.Go(func() { c.turnAll(sent) })
			wg.Go(func() { c.receiveAll(sent) })
			wg.Go(func() { c.pauseNowAndThen() })
			wg.Go(func() { c.acceptOthers(60) })
		}
		wg.Wait()
		for n, c := range campaigns {
			b := c.read()
			want := messaging.BulkCounts{Total: 120, Read: 60, Failed: 60}
			if b.Counts != want || b.Pending != 0 || b.State != messaging.BulkCompleted {
				t.Errorf("bulk %d: %s, pending %d, %+v; want %+v", n, b.State, b.Pending, b.Counts, want)
			}
		}
		others, err := s.Messages(t.Context(), first.tenancy, messaging.MessageFilter{Status: messaging.StatusQueued}, messaging.Page{Limit: 1000})
		if err != nil || len(others) != 3*60 {
			t.Errorf("%d messages of others, %v; want 180", len(others), err)
		}
	})
}

// turnAll gives all rows their turn, a few at a time and each batch twice, as
// often as it takes while others pause the bulk.
func (c *campaign) turnAll(sent chan<- []string) {
	defer close(sent)
	for from := 0; from < len(c.rows); {
		turn := storetest.NewTurn(c.bulk, c.rows[from:from+6], c.instance, c.now)
		stopped := false
		for range 2 {
			var done bulk.Turned
			if err := c.s.Turn(c.t.Context(), turn, func(d bulk.Turned) { done = d }); err != nil {
				c.t.Errorf("turn: %v", err)
				return
			}
			stopped = stopped || done.Stopped
			var made []string
			for i, position := range done.Positions {
				if position != 0 {
					made = append(made, turn.Rows[i].Message.ID)
				}
			}
			sent <- made
		}
		if !stopped {
			from += 6
		}
	}
}

// receiveAll has half of the messages read and the others failed, all at once or
// one after the other.
func (c *campaign) receiveAll(sent <-chan []string) {
	for ids := range sent {
		for n, id := range ids {
			status := messaging.StatusRead
			if n%2 == 1 {
				status = messaging.StatusFailed
			}
			if err := c.s.Report(c.t.Context(), c.changes(status, id)...); err != nil {
				c.t.Errorf("report: %v", err)
			}
		}
	}
}

func (c *campaign) pauseNowAndThen() {
	for range 10 {
		for _, state := range []messaging.BulkState{messaging.BulkPaused, messaging.BulkRunning} {
			if err := c.s.Report(c.t.Context(), c.change(state)); err != nil {
				c.t.Errorf("%s: %v", state, err)
			}
		}
	}
}

func (c *campaign) acceptOthers(n int) {
	for range n {
		m := storetest.Message(c.instance, "12025559999", "x")
		if err := c.s.Accept(c.t.Context(), outbox.Acceptance{Message: &m}, func(int64) {}); err != nil {
			c.t.Errorf("accept: %v", err)
		}
	}
}

func TestEventsOfBulksAreSweptLikeOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 1)
		c.move(messaging.BulkPaused)
		for _, sweep := range []struct {
			days, want int
		}{{0, 2}, {6, 2}, {8, 0}} {
			if err := s.Sweep(t.Context(), time.Now().Add(time.Duration(sweep.days)*24*time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got := bulkEvents(t, s, c.tenancy); len(got) != sweep.want {
				t.Errorf("after %d days %v are left, want %d", sweep.days, got, sweep.want)
			}
		}
	})
}
