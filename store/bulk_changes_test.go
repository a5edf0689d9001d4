package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

// moved creates a bulk in a state, moves it, and returns what it has come to.
func moved(
	t *testing.T, s *store.Store, tenancy messaging.Tenancy, i messaging.Instance, from messaging.BulkState, moves []messaging.BulkState,
) messaging.Bulk {
	t.Helper()
	c := &campaign{t: t, s: s, tenancy: tenancy, instance: i, rows: storetest.BulkRows(2), now: time.Now()}
	c.bulk = storetest.NewBulk(2, i)
	if c.bulk.State = from; from == messaging.BulkScheduled {
		c.bulk.StartedAt, c.bulk.Options.SendAt = time.Time{}, c.now
	}
	storetest.Bulk(t, s, c.bulk, c.rows)
	for _, state := range moves {
		c.move(state)
	}
	return c.read()
}

// Whoever asks looks first; two who ask at once must not both have their way.
func TestABulkMovesOnlyAsItCan(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		for name, story := range map[string]struct {
			from   messaging.BulkState
			moves  []messaging.BulkState
			state  messaging.BulkState
			events []messaging.EventType
		}{
			"pause and resume": {
				messaging.BulkRunning,
				[]messaging.BulkState{messaging.BulkPaused, messaging.BulkPaused, messaging.BulkRunning, messaging.BulkRunning},
				messaging.BulkRunning,
				[]messaging.EventType{messaging.EventBulkStarted, messaging.EventBulkPaused, messaging.EventBulkResumed},
			},
			"start, once": {
				messaging.BulkScheduled,
				[]messaging.BulkState{messaging.BulkRunning, messaging.BulkRunning},
				messaging.BulkRunning,
				[]messaging.EventType{messaging.EventBulkStarted},
			},
			"cancel, for good": {
				messaging.BulkRunning,
				[]messaging.BulkState{messaging.BulkCanceled, messaging.BulkRunning, messaging.BulkPaused, messaging.BulkCanceled},
				messaging.BulkCanceled,
				[]messaging.EventType{messaging.EventBulkStarted, messaging.EventBulkCanceled},
			},
			"cancel before its time": {
				messaging.BulkScheduled,
				[]messaging.BulkState{messaging.BulkPaused, messaging.BulkCanceled},
				messaging.BulkCanceled,
				[]messaging.EventType{messaging.EventBulkPaused, messaging.EventBulkCanceled},
			},
			"no such change": {
				messaging.BulkRunning,
				[]messaging.BulkState{messaging.BulkCompleted, messaging.BulkScheduled},
				messaging.BulkRunning,
				[]messaging.EventType{messaging.EventBulkStarted},
			},
		} {
			before := len(bulkEvents(t, s, tenancy))
			b := moved(t, s, tenancy, i, story.from, story.moves)
			if b.State != story.state || b.StartedAt.IsZero() && b.State == messaging.BulkRunning || b.PausedAt.IsZero() == (b.State == messaging.BulkPaused) {
				t.Errorf("%s: %s, started %s, paused %s; want %s", name, b.State, b.StartedAt, b.PausedAt, story.state)
			}
			if diff := cmp.Diff(bulkEvents(t, s, tenancy)[before:], story.events); diff != "" {
				t.Errorf("%s: events, want:\n%s", name, diff)
			}
		}
	})
}

// A bulk that was paused before its time goes on waiting for it, or starts when
// it has passed.
func TestABulkPausedBeforeItsTimeWaitsForItAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2, func(b *messaging.Bulk) {
			b.State, b.StartedAt, b.Options.SendAt = messaging.BulkScheduled, time.Time{}, b.CreatedAt.Add(time.Hour)
		})
		c.move(messaging.BulkPaused)
		c.move(messaging.BulkRunning)
		if b := c.read(); b.State != messaging.BulkScheduled || !b.StartedAt.IsZero() || !b.PausedAt.IsZero() {
			t.Errorf("resumed early: %s, started %s", b.State, b.StartedAt)
		}
		c.move(messaging.BulkPaused)
		c.now = c.bulk.Options.SendAt
		c.move(messaging.BulkRunning)
		if b := c.read(); b.State != messaging.BulkRunning || !b.StartedAt.Equal(c.now) {
			t.Errorf("resumed late: %s, started %s", b.State, b.StartedAt)
		}
		want := []messaging.EventType{
			messaging.EventBulkPaused, messaging.EventBulkResumed, messaging.EventBulkPaused, messaging.EventBulkResumed, messaging.EventBulkStarted,
		}
		if diff := cmp.Diff(bulkEvents(t, s, c.tenancy), want); diff != "" {
			t.Errorf("events, want:\n%s", diff)
		}
	})
}

// A message that was deleted for everyone is one of its bulk as before.
func TestARevokedMessageCountsInItsBulk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2)
		turn, _ := c.turn(1, 2)
		m := *turn.Rows[0].Message
		if _, err := s.Carry(t.Context(), []sandbox.Carried{{WorkspaceID: m.WorkspaceID, Carriage: messaging.Carriage{
			WAMessageID: m.WAMessageID, MessageID: m.ID, InstanceID: m.InstanceID, To: m.Peer, Content: m.Content, CarriedAt: c.now,
		}}}); err != nil {
			t.Fatal(err)
		}
		gone := revoke(m, c.now)
		gone.Author = messaging.Address{}
		report(t, s, gone)
		c.report(messaging.StatusSent, m.ID)
		c.report(messaging.StatusDelivered, m.ID)
		if b := c.read(); b.Counts != (messaging.BulkCounts{Total: 2, Queued: 1, Delivered: 1}) {
			t.Errorf("%+v", b.Counts)
		}
		kept, err := s.Message(t.Context(), c.tenancy, m.ID)
		if err != nil || kept.RevokedAt.IsZero() {
			t.Errorf("revoked %v, %v", kept.RevokedAt, err)
		}
	})
}

// What is in the channel's hands goes out, and its receipts are news.
func TestACanceledBulkCountsWhatIsOnItsWay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 6)
		turn, _ := c.turn(1, 3)
		ids := messageIDs(turn)
		records := append(c.changes(messaging.StatusCanceled, ids[1]), c.change(messaging.BulkCanceled))
		if err := s.Report(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		if b := c.read(); b.Counts != (messaging.BulkCounts{Total: 6, Queued: 2, Canceled: 4}) || b.Pending != 0 || !b.EndedAt.Equal(c.now) {
			t.Errorf("%+v, pending %d, ended %s", b.Counts, b.Pending, b.EndedAt)
		}
		c.report(messaging.StatusDelivered, ids[0])
		c.report(messaging.StatusFailed, ids[2])
		c.report(messaging.StatusRead, ids[0])
		if b := c.read(); b.Counts != (messaging.BulkCounts{Total: 6, Read: 1, Failed: 1, Canceled: 4}) || b.State != messaging.BulkCanceled {
			t.Errorf("%s, %+v", b.State, b.Counts)
		}
		c.wantFates("1 read", "2 canceled", "3 failed", "4 canceled", "5 canceled", "6 canceled")
		if _, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("retry: %v, want CONFLICT", err)
		}
	})
}

// Nobody has to ask again for a bulk whose last message went out while it was
// paused.
func TestAPausedBulkWithNothingLeftCompletesWhenItIsResumed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2)
		turn, _ := c.turn(1, 2)
		c.move(messaging.BulkPaused)
		c.report(messaging.StatusSent, messageIDs(turn)...)
		if b := c.read(); b.State != messaging.BulkPaused || b.Counts.Sent != 2 {
			t.Errorf("%s, %+v; want paused", b.State, b.Counts)
		}
		c.move(messaging.BulkRunning)
		if b := c.read(); b.State != messaging.BulkCompleted {
			t.Errorf("%s, want completed", b.State)
		}
	})
}

// Nine tenths are told and the tenth is the end, whatever the steps.
func TestProgressIsToldByTenths(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 30)
		turn, _ := c.turn(1, 30)
		for _, id := range messageIDs(turn) {
			c.report(messaging.StatusSent, id)
			c.report(messaging.StatusDelivered, id)
		}
		want := []messaging.EventType{messaging.EventBulkStarted}
		for range 9 {
			want = append(want, messaging.EventBulkProgress)
		}
		want = append(want, messaging.EventBulkCompleted)
		if diff := cmp.Diff(bulkEvents(t, s, c.tenancy), want); diff != "" {
			t.Errorf("events, want:\n%s", diff)
		}
		if b := c.read(); b.Counts != (messaging.BulkCounts{Total: 30, Delivered: 30}) {
			t.Errorf("%+v", b.Counts)
		}
	})
}

func TestFailedRowsHaveAnotherTurn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 150)
		turn, _ := c.turn(1, 150)
		ids := messageIDs(turn)
		c.report(messaging.StatusFailed, ids[:100]...)
		c.report(messaging.StatusExpired, ids[100:120]...)
		c.report(messaging.StatusCanceled, ids[120])
		c.report(messaging.StatusSent, ids[121:]...)
		if b := c.read(); b.State != messaging.BulkCompleted {
			t.Fatalf("%s, want completed", b.State)
		}
		n, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now)
		b := c.read()
		if err != nil || n != 120 || b.State != messaging.BulkRunning || !b.EndedAt.IsZero() || b.Pending != 120 ||
			b.Counts != (messaging.BulkCounts{Total: 150, Queued: 120, Sent: 29, Canceled: 1}) {
			t.Errorf("%d rows, %v; %s, ended %s, pending %d, %+v", n, err, b.State, b.EndedAt, b.Pending, b.Counts)
		}
		again, err := s.Again(t.Context(), c.bulk.ID, 50)
		if err != nil || len(again) != 50 || again[0] != 1 || again[49] != 50 {
			t.Errorf("again: %v, %v", again, err)
		}
		if r := c.recipients("queued", 1000); len(r) != 120 || r[0].MessageID != "" {
			t.Errorf("%d rows are queued, want 120 without a message", len(r))
		}
		retry := storetest.NewTurn(c.bulk, c.rows[:120], c.instance, c.now)
		retry.Next = 0
		done, twice := storetest.Turn(t, s, retry), storetest.Turn(t, s, retry)
		if done.Positions[0] == 0 || twice.Positions[0] != 0 {
			t.Errorf("places %d, then %d; want one and none", done.Positions[0], twice.Positions[0])
		}
		c.report(messaging.StatusSent, messageIDs(retry)...)
		c.report(messaging.StatusDelivered, ids[0]) // it failed: its row has another message by now
		if b := c.read(); b.State != messaging.BulkCompleted || b.Counts != (messaging.BulkCounts{Total: 150, Sent: 149, Canceled: 1}) {
			t.Errorf("%s, %+v", b.State, b.Counts)
		}
		if r := c.recipients("sent", 7); len(r) != 149 || r[0].MessageID != retry.Rows[0].Message.ID {
			t.Errorf("%d rows are sent, the first by %s", len(r), r[0].MessageID)
		}
	})
}

// Who has paused a bulk has said that nothing is to be sent.
func TestAPausedBulkStaysPausedWhenRowsAreRetried(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 2)
		turn, _ := c.turn(1, 1)
		c.report(messaging.StatusFailed, messageIDs(turn)...)
		c.move(messaging.BulkPaused)
		n, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now)
		if b := c.read(); err != nil || n != 1 || b.State != messaging.BulkPaused || b.PausedAt.IsZero() || b.Pending != 2 {
			t.Errorf("%d rows, %v; %s, pending %d", n, err, b.State, b.Pending)
		}
	})
}

func TestWhereNothingFailedNothingIsRetried(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 1)
		turn, _ := c.turn(1, 1)
		c.report(messaging.StatusSent, messageIDs(turn)...)
		if n, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now); err != nil || n != 0 || c.read().State != messaging.BulkCompleted {
			t.Errorf("%d rows, %v, %s", n, err, c.read().State)
		}
		locked := messaging.NewTenancy(c.tenancy.Workspace(), c.tenancy.Environment(), messaging.OnlyInstances("ins_x"))
		if _, err := s.RetryFailed(t.Context(), locked, c.bulk.ID, c.now); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("locked: %v, want NOT_FOUND", err)
		}
	})
}

// A row that waits for its retry is skipped like any other when its recipient
// has opted out since.
func TestARetryIsSkippedForAnOptOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 1)
		turn, _ := c.turn(1, 1)
		c.report(messaging.StatusFailed, messageIDs(turn)...)
		if _, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now); err != nil {
			t.Fatal(err)
		}
		o := messaging.OptOut{WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, To: messaging.Address{WAID: c.rows[0].WAID}, CreatedAt: c.now}
		if _, err := s.OptOut(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		retry := storetest.NewTurn(c.bulk, c.rows, c.instance, c.now)
		retry.Next = 0
		storetest.Turn(t, s, retry)
		c.wantFates("1 skipped OPTED_OUT")
		if b := c.read(); b.State != messaging.BulkCompleted || b.Counts != (messaging.BulkCounts{Total: 1, Skipped: 1}) {
			t.Errorf("%s, %+v", b.State, b.Counts)
		}
		if again, err := s.Again(t.Context(), c.bulk.ID, 10); err != nil || len(again) != 0 {
			t.Errorf("again: %v, %v", again, err)
		}
	})
}
