package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func window(d time.Duration) func(*messaging.Bulk) {
	return func(b *messaging.Bulk) { b.Options.DedupeWindow = d }
}

func frequency(n int, per time.Duration) func(*messaging.Bulk) {
	return func(b *messaging.Bulk) { b.Options.FrequencyCap = &messaging.FrequencyCap{Max: n, Per: per} }
}

// The window is about what may have arrived, or still may, through the same
// instances.
func TestDedupeWindowSkipsWhoHadAnotherBulk(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 5, window(time.Hour))
		first, _ := c.turn(1, 5)
		c.report(messaging.StatusSent, first.Rows[0].Message.ID)
		c.report(messaging.StatusFailed, first.Rows[1].Message.ID)
		c.report(messaging.StatusExpired, first.Rows[2].Message.ID)
		c.report(messaging.StatusCanceled, first.Rows[3].Message.ID)
		another := c.another(c.instance)
		another.now = c.now.Add(time.Hour - time.Microsecond)
		another.turn(1, 5)
		another.wantFates("1 skipped RECENTLY_SENT", "2 queued", "3 queued", "4 queued", "5 skipped RECENTLY_SENT")

		later := c.another(c.instance)
		later.now = c.now.Add(time.Hour)
		later.turn(1, 1)
		elsewhere := c.another(storetest.Instance(t, s, c.tenancy, "two"))
		elsewhere.turn(1, 1)
		for name, d := range map[string]*campaign{"behind the window": later, "another instance": elsewhere} {
			if got := d.fates()[0]; got != "1 queued" {
				t.Errorf("%s: row %s, want queued", name, got)
			}
		}
		both := c.another(storetest.Instance(t, s, c.tenancy, "three"), c.instance)
		both.turn(1, 1)
		if got := both.fates()[0]; got != "1 skipped RECENTLY_SENT" {
			t.Errorf("over both instances: row %s, want skipped", got)
		}
	})
}

// A cap counts what the bulk itself has sent: it may name somebody often.
func TestFrequencyCapCountsAllBulksOfTheInstances(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 4, frequency(2, time.Hour))
		for i := range c.rows {
			c.rows[i].WAID = c.rows[0].WAID
		}
		c.turn(1, 4) // all in one turn
		c.wantFates("1 queued", "2 queued", "3 skipped FREQUENCY_CAP", "4 skipped FREQUENCY_CAP")
		another := c.another(c.instance)
		another.turn(1, 1)
		another.now = c.now.Add(time.Hour)
		another.turn(2, 2)
		if diff := cmp.Diff(another.fates()[:2], []string{"1 skipped FREQUENCY_CAP", "2 queued"}); diff != "" {
			t.Errorf("another bulk: rows, want:\n%s", diff)
		}
	})
}

// The try before this one has failed: it must not stand in the way of a retry.
func TestARetryIsNotKeptBackByItsOwnEarlierTry(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 1, window(time.Hour), frequency(1, time.Hour))
		turn, _ := c.turn(1, 1)
		c.report(messaging.StatusFailed, turn.Rows[0].Message.ID)
		if n, err := s.RetryFailed(t.Context(), c.tenancy, c.bulk.ID, c.now); err != nil || n != 1 {
			t.Fatalf("%d rows, %v", n, err)
		}
		again := storetest.NewTurn(c.bulk, c.rows, c.instance, c.now)
		again.Next = 0
		if done := storetest.Turn(t, s, again); done.Positions[0] == 0 {
			t.Errorf("%+v, want a message; rows %v", done, c.fates())
		}
	})
}

// A rehearsal answers what the turns would do now.
func TestBulkSkipsForetellsTheTurns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCampaign(t, s, 3, window(time.Hour), frequency(1, 2*time.Hour))
		c.turn(1, 2)
		o := messaging.OptOut{WorkspaceID: c.bulk.WorkspaceID, Environment: c.bulk.Environment, To: messaging.Address{WAID: c.rows[0].WAID}, CreatedAt: c.now}
		if _, err := s.OptOut(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		next := storetest.NewBulk(3, c.instance)
		next.Options = c.bulk.Options
		var persons []string
		for _, r := range c.rows {
			persons = append(persons, messaging.Person(r.WAID))
		}
		for _, c := range []struct {
			now  time.Time
			want map[string]string
		}{
			{c.now, map[string]string{persons[0]: messaging.SkippedOptedOut, persons[1]: messaging.SkippedRecent}},
			{c.now.Add(time.Hour), map[string]string{persons[0]: messaging.SkippedOptedOut, persons[1]: messaging.SkippedFrequency}},
			{c.now.Add(2 * time.Hour), map[string]string{persons[0]: messaging.SkippedOptedOut}},
		} {
			got, err := s.BulkSkips(t.Context(), next, c.now, persons)
			if diff := cmp.Diff(got, c.want); diff != "" || err != nil {
				t.Errorf("%v; skips, want:\n%s", err, diff)
			}
		}
		if got, err := s.BulkSkips(t.Context(), next, c.now, nil); err != nil || len(got) != 0 {
			t.Errorf("nobody: %v, %v", got, err)
		}
	})
}
