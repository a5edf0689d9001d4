package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox"
	"portaria/outbox/bulk"
	"portaria/store"
	"portaria/store/storetest"
)

// Everything that a single message has when it is accepted, a bulk's has too.
func TestATurnMakesMessagesOfRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 5)
		turn, done := c.turn(1, 3)
		lane := outbox.LaneRef{WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, InstanceID: c.instance.ID}
		parcels, err := s.Due(t.Context(), lane, messaging.Low, c.now, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []bulk.Waiting
		for i, p := range parcels {
			got = append(got, bulk.Waiting{MessageID: p.MessageID, InstanceID: p.InstanceID, Person: turn.Rows[i].Person})
			if p.Position != done.Positions[i] || p.MessageID != turn.Rows[i].Message.ID {
				t.Errorf("place %d is %s at %d, want %s at %d", i, p.MessageID, p.Position, turn.Rows[i].Message.ID, done.Positions[i])
			}
		}
		waiting, err := s.BulkWaiting(t.Context(), c.bulk)
		if diff := cmp.Diff(waiting, got); diff != "" || len(waiting) != 3 || err != nil {
			t.Errorf("%v; waiting, in the outbox:\n%s", err, diff)
		}
		m, err := s.Message(t.Context(), c.tenancy, turn.Rows[1].Message.ID)
		if diff := cmp.Diff(m, *turn.Rows[1].Message); diff != "" || err != nil {
			t.Errorf("%v; stored, want:\n%s", err, diff)
		}
		events, err := s.Events(t.Context(), c.tenancy, messaging.EventFilter{MessageID: m.ID}, messaging.Page{Limit: 10})
		if err != nil || len(events) != 1 || events[0].Type != "message.queued" {
			t.Errorf("%d events of a message, %v; want message.queued", len(events), err)
		}
		b := c.read()
		if b.Next != 4 || b.Pending != 2 || b.Counts != (messaging.BulkCounts{Total: 5, Queued: 5}) {
			t.Errorf("next %d, pending %d, counts %+v", b.Next, b.Pending, b.Counts)
		}
		list, err := s.Messages(t.Context(), c.tenancy, messaging.MessageFilter{BulkID: c.bulk.ID}, messaging.Page{Limit: 10})
		if err != nil || len(list) != 3 {
			t.Errorf("%d messages of the bulk, %v; want 3", len(list), err)
		}
		spent, err := s.BulkSpent(t.Context(), c.bulk, c.instance.ID, c.now, 2)
		if diff := cmp.Diff(spent, []time.Time{c.now, c.now}); diff != "" || err != nil {
			t.Errorf("%v; spent, want:\n%s", err, diff)
		}
		if spent, err := s.BulkSpent(t.Context(), c.bulk, c.instance.ID, c.now.Add(time.Microsecond), 2); err != nil || len(spent) != 0 {
			t.Errorf("%d spent later, %v", len(spent), err)
		}
	})
}

// A runner that was cut off from an answer asks again: nobody may get a message
// twice.
func TestARowHasItsFirstTurnOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 6)
		turn, _ := c.turn(1, 4)
		if done := storetest.Turn(t, s, turn); !cmp.Equal(done.Positions, make([]int64, 4)) || done.Stopped {
			t.Errorf("repeated: %+v, want nothing", done)
		}
		overlapping := storetest.NewTurn(c.bulk, c.rows[2:6], c.instance, c.now)
		done := storetest.Turn(t, s, overlapping)
		if done.Positions[0] != 0 || done.Positions[1] != 0 || done.Positions[2] == 0 || done.Positions[3] == 0 {
			t.Errorf("overlapping: %v, want the last two", done.Positions)
		}
		b := c.read()
		if list, err := s.BulkWaiting(t.Context(), c.bulk); err != nil || len(list) != 6 || b.Pending != 0 || b.Next != 7 {
			t.Errorf("%d messages, %v, pending %d, next %d; want 6, 0, 7", len(list), err, b.Pending, b.Next)
		}
	})
}

// The same in one transaction: what a job has done the next one must see.
func TestARowHasItsTurnOnceAmongManyCallers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 40)
		var made sync.Map
		var wg sync.WaitGroup
		for from := 1; from <= 40; from += 5 {
			for range 3 {
				turn := storetest.NewTurn(c.bulk, c.rows[from-1:from+4], c.instance, c.now)
				wg.Go(func() {
					for i, position := range storetest.Turn(t, s, turn).Positions {
						if position == 0 {
							continue
						}
						if _, twice := made.LoadOrStore(turn.Rows[i].Row, true); twice {
							t.Errorf("row %d was turned twice", turn.Rows[i].Row)
						}
					}
				})
			}
			wg.Wait()
		}
		list, err := s.BulkWaiting(t.Context(), c.bulk)
		if b := c.read(); err != nil || len(list) != 40 || b.Pending != 0 || b.Counts.Queued != 40 {
			t.Errorf("%d messages, %v, pending %d, counts %+v", len(list), err, b.Pending, b.Counts)
		}
	})
}

func TestABulkThatDoesNotRunTurnsNoRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 4)
		c.turn(1, 1)
		for _, state := range []messaging.BulkState{messaging.BulkPaused, messaging.BulkCanceled} {
			c.move(state)
			if _, done := c.turn(2, 3); !done.Stopped {
				t.Errorf("%s: %+v, want stopped", state, done)
			}
		}
		if list, err := s.BulkWaiting(t.Context(), c.bulk); err != nil || len(list) != 1 {
			t.Errorf("%d messages, %v; want 1", len(list), err)
		}
		c.bulk.ID = "blk_x"
		if _, done := c.turn(1, 1); !done.Stopped {
			t.Errorf("no such bulk: %+v, want stopped", done)
		}
	})
}

// Rows that were skipped when the bulk was accepted are counted already.
func TestRowsThatWereSkippedAtAcceptanceAreOnlyPassed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		c := &campaign{t: t, s: s, tenancy: tenancy, instance: storetest.Instance(t, s, tenancy, "one"), rows: storetest.BulkRows(3), now: time.Now()}
		c.rows[0].Reason, c.rows[0].Why, c.rows[0].WAID = messaging.SkippedInvalid, "No number.", ""
		c.rows[2].Reason, c.rows[2].Why = messaging.SkippedDuplicate, "As row 2."
		c.bulk = storetest.NewBulk(3, c.instance)
		c.bulk.Counts, c.bulk.Pending = messaging.BulkCounts{Total: 3, Queued: 1, Skipped: 2}, 1
		storetest.Bulk(t, s, c.bulk, c.rows)
		turn, _ := c.turn(1, 3)
		c.report(messaging.StatusSent, turn.Rows[1].Message.ID)
		b := c.read()
		if b.State != messaging.BulkCompleted || b.Next != 4 || b.Counts != (messaging.BulkCounts{Total: 3, Sent: 1, Skipped: 2}) {
			t.Errorf("%s, next %d, %+v", b.State, b.Next, b.Counts)
		}
		c.wantFates("1 skipped INVALID_RECIPIENT", "2 sent", "3 skipped DUPLICATE")
	})
}

// Who opted out by one spelling of a number gets nothing under the other.
func TestWhoHasOptedOutIsSkippedAtTheTurn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		c := &campaign{t: t, s: s, tenancy: tenancy, rows: storetest.BulkRows(5), now: time.Now().UTC().Truncate(time.Microsecond)}
		c.instance = storetest.Instance(t, s, tenancy, "one")
		two, other := storetest.Instance(t, s, tenancy, "two"), storetest.Instance(t, s, tenancy, "other")
		for i, number := range []string{"5511999990001", "5511999990002", "5511999990003", "5511999990004", "5511999990005"} {
			c.rows[i].WAID = number + "@" + messaging.UserServer
		}
		c.bulk = storetest.NewBulk(5, c.instance, two)
		storetest.Bulk(t, s, c.bulk, c.rows)
		elsewhere := storetest.Workspace(t, s, "another")
		for _, o := range []messaging.OptOut{
			{WorkspaceID: tenancy.Workspace(), InstanceID: c.instance.ID, To: address("551199990001")}, // without the ninth digit
			{WorkspaceID: tenancy.Workspace(), To: address("5511999990002")},                           // of the whole workspace
			{WorkspaceID: tenancy.Workspace(), InstanceID: other.ID, To: address("5511999990003")},
			{WorkspaceID: tenancy.Workspace(), InstanceID: two.ID, To: address("5511999990004")}, // of the bulk's other instance
			{WorkspaceID: elsewhere.Workspace(), To: address("5511999990005")},
		} {
			o.Environment, o.CreatedAt = tenancy.Environment(), c.now
			if _, err := s.OptOut(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		c.turn(1, 5)
		c.wantFates("1 skipped OPTED_OUT", "2 skipped OPTED_OUT", "3 queued", "4 skipped OPTED_OUT", "5 queued")
		if b := c.read(); b.Counts != (messaging.BulkCounts{Total: 5, Queued: 2, Skipped: 3}) || b.Pending != 0 {
			t.Errorf("%+v, pending %d", b.Counts, b.Pending)
		}
	})
}

func address(digits string) messaging.Address {
	return messaging.Address{Input: "+" + digits, WAID: digits + "@" + messaging.UserServer}
}

// A turn that skips all that is left ends the bulk: nothing else will.
func TestABulkCompletesWhenItsLastRowsAreSkipped(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2)
		turn, _ := c.turn(1, 1)
		c.report(messaging.StatusSent, turn.Rows[0].Message.ID)
		o := messaging.OptOut{WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, To: messaging.Address{WAID: c.rows[1].WAID}, CreatedAt: c.now}
		if _, err := s.OptOut(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		c.turn(2, 2)
		if b := c.read(); b.State != messaging.BulkCompleted || !b.EndedAt.Equal(c.now) {
			t.Errorf("%s at %s, want completed at %s", b.State, b.EndedAt, c.now)
		}
	})
}
