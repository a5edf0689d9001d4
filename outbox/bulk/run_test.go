package bulk_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/outbox/bulk"
	"portaria/outbox/pace"
)

// recipients are the rows that were sent, in the order of their sending, by the
// numbers that they went to.
func (w *world) recipients() (out []string) {
	for _, s := range w.lanes.list() {
		out = append(out, s.message.Peer.Phone())
	}
	return out
}

func allNumbers(n int) (out []string) {
	for i := range n {
		out = append(out, number(i))
	}
	return out
}

func TestEveryRowBecomesOneMessageInOrder(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1500, func(d *bulk.Draft) {
		d.Metadata = []byte(`{"campaign":"x"}`)
		d.Options.ExpiresIn, d.Options.Sandbox = time.Hour, &messaging.Override{Outcome: "sent"}
	}))
	w.drain(b)
	if diff := cmp.Diff(allNumbers(1500), w.recipients()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(messaging.BulkCounts{Total: 1500, Sent: 1500}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
	m := w.lanes.list()[7].message
	want := messaging.Message{
		ID: m.ID, WAMessageID: m.WAMessageID, WorkspaceID: "wsp_one", Environment: messaging.Test, InstanceID: "ins_a", Direction: messaging.Outbound,
		Peer:    messaging.Address{Input: number(7), WAID: number(7) + "@s.whatsapp.net"},
		Content: text("Hello N7"), Metadata: []byte(`{"campaign":"x"}`), Priority: messaging.Low, KeyID: "key_one", Lineage: "key_one",
		BulkID: b.ID, Sandbox: &messaging.Override{Outcome: "sent"}, CreatedAt: m.CreatedAt, ExpiresAt: m.CreatedAt.Add(time.Hour),
		State: messaging.State{Status: messaging.StatusQueued},
	}
	if diff := cmp.Diff(want, *m); diff != "" {
		t.Error(diff)
	}
	if !messaging.ValidID(messaging.MessagePrefix, m.ID) || m.WAMessageID == "" {
		t.Errorf("ids: %q, %q", m.ID, m.WAMessageID)
	}
}

// What is in a lane stands in the way of others: it must be little. What is not
// there keeps a fast channel waiting: it must be enough.
func TestALaneHoldsOnlyAFewOfABulksMessages(t *testing.T) {
	for name, c := range map[string]struct {
		settings string
		pace     *messaging.BulkPace
		want     int
	}{
		"an instance without a pace": {`{}`, nil, 512},
		"an instance with a pace":    {`{"pace":{"enabled":true}}`, nil, 8},
		"a bulk with a pace":         {`{}`, &messaging.BulkPace{PerHour: 10_000}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d := w.draft(1000, func(d *bulk.Draft) { d.Options.Pace = c.pace })
			w.setInstance("ins_a", c.settings)
			b := w.accept(d)
			if got, _ := w.lanes.waiting("ins_a"); got != c.want {
				t.Errorf("%d messages wait in the lane, want %d", got, c.want)
			}
			w.drain(b)
			if got := w.lanes.most["ins_a"]; got != c.want {
				t.Errorf("the lane has had %d messages, want %d at most", got, c.want)
			}
			for _, turn := range w.memory.turns {
				if len(turn.Rows) > 64 {
					t.Errorf("%d rows in one turn", len(turn.Rows))
				}
			}
		})
	}
}

// Who is locked for strangers waits for an hour: that must not stop the others.
func TestHeldMessagesDoNotKeepABulkFromGoingOn(t *testing.T) {
	w := newWorld(t)
	d := w.draft(2000)
	w.setInstance("ins_a", `{"pace":{"enabled":true}}`)
	b := w.accept(d)
	for range 20 {
		w.lanes.carry("ins_a", 8, func(*messaging.Message) messaging.Status { return messaging.StatusHeld })
		w.idle()
	}
	if got, due := w.lanes.waiting("ins_a"); got != 21*8 || due != 8 {
		t.Errorf("%d messages wait, %d of them due, want 168 and 8", got, due)
	}
	for range 100 {
		w.lanes.carry("ins_a", 8, func(*messaging.Message) messaging.Status { return messaging.StatusHeld })
		w.idle()
	}
	if got, _ := w.lanes.waiting("ins_a"); got > 8+512 {
		t.Errorf("%d messages wait: what is held has a limit, too", got)
	}
	w.pass(time.Hour)
	w.drain(b)
}

func TestABulksPaceIsKept(t *testing.T) {
	w := newWorld(t)
	d := w.draft(40, func(d *bulk.Draft) {
		d.Options.Pace = &messaging.BulkPace{MinGap: 2 * time.Second, Jitter: time.Second, PerHour: 10}
	})
	b, err := w.service.Accept(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	w.idle()
	w.lanes.carry("ins_a", 9, allSent)
	w.restart() // the book is read again
	w.drain(b)
	sent := w.lanes.list()
	if len(sent) != 40 {
		t.Fatalf("%d were sent", len(sent))
	}
	for i, s := range sent {
		if i > 0 && s.at.Sub(sent[i-1].at) < 2*time.Second {
			t.Errorf("message %d came %s after the one before", i, s.at.Sub(sent[i-1].at))
		}
		if i >= 10 && s.at.Sub(sent[i-10].at) < time.Hour {
			t.Errorf("messages %d to %d came within %s", i-10, i, s.at.Sub(sent[i-10].at))
		}
	}
	if took := sent[39].at.Sub(sent[0].at); took > 3*time.Hour+5*time.Minute {
		t.Errorf("it took %s", took)
	}
}

func TestAScheduledBulkBeginsAtItsTimeAlsoAfterARestart(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Hour) }))
	if b.State != messaging.BulkScheduled {
		t.Fatalf("state = %s, want scheduled", b.State)
	}
	w.restart()
	w.pass(59 * time.Minute)
	if got, _ := w.lanes.waiting("ins_a"); got != 0 || w.state(b).State != messaging.BulkScheduled {
		t.Fatalf("%d messages before their time", got)
	}
	w.pass(time.Minute)
	if got, _ := w.lanes.waiting("ins_a"); got != 10 {
		t.Errorf("%d messages wait, want 10", got)
	}
	w.drain(b)
}

// quietDraft is a bulk that is quiet from 22:00 to 08:00 in São Paulo. The test's
// clock shows 09:00 there when it begins.
func (w *world) quietDraft(n int) bulk.Draft {
	return w.draft(n, func(d *bulk.Draft) {
		d.Options.QuietHours = &messaging.BulkQuiet{From: "22:00", To: "08:00", TimeZone: "America/Sao_Paulo"}
	})
}

func TestNothingOfABulkIsSentInQuietHours(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.quietDraft(2000))
	w.lanes.carry("ins_a", 100, allSent)
	w.pass(13*time.Hour - time.Second)
	if _, due := w.lanes.waiting("ins_a"); due == 0 {
		t.Fatal("nothing is to be sent a second before quiet hours")
	}
	w.pass(time.Second)
	for range 3 {
		if got := w.lanes.carry("ins_a", 1000, allSent); got != 0 {
			t.Fatalf("%d were sent in quiet hours", got)
		}
		w.restart()
		w.pass(3 * time.Hour)
	}
	if est := w.service.Estimate(t.Context(), w.state(b)); est.Before(w.clock.Now().Add(time.Hour)) {
		t.Errorf("at 07:00 the bulk is estimated to end at %s", est)
	}
	w.pass(time.Hour)
	if _, due := w.lanes.waiting("ins_a"); due == 0 {
		t.Error("nothing is to be sent in the morning")
	}
	w.drain(b)
	if got := len(w.recipients()); got != 2000 {
		t.Errorf("%d were sent", got)
	}
}

func TestAClockThatSkipsWaitsSkipsQuietHoursAndPace(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(14 * time.Hour)
	w.clock.skip(true)
	d := w.quietDraft(300)
	d.Options.SendAt = w.clock.Now().Add(48 * time.Hour)
	d.Options.Pace = &messaging.BulkPace{MinGap: time.Minute, PerHour: 5}
	b := w.accept(d)
	for range 300 {
		w.lanes.carry("ins_a", 1, allSent)
		w.idle()
	}
	if got := w.state(b).State; got != messaging.BulkCompleted {
		t.Errorf("state = %s, want completed", got)
	}
}

func TestAPausedBulkSendsNothingUntilItIsResumed(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	w.lanes.carry("ins_a", 100, allSent)
	w.idle()
	hand := w.lanes.grasp("ins_a")
	paused, err := w.service.Pause(t.Context(), w.tenancy, b.ID)
	if err != nil || paused.State != messaging.BulkPaused {
		t.Fatalf("Pause = %+v, %v", paused, err)
	}
	if got := w.lanes.carry("ins_a", 1000, allSent); got != 1 || w.lanes.list()[100].message.ID != hand.ID {
		t.Fatalf("%d were sent, want only what was in hand", got)
	}
	w.idle()
	for range 2 {
		if all, due := w.lanes.waiting("ins_a"); due != 0 || all < 400 {
			t.Errorf("%d wait, %d of them due", all, due)
		}
		if est := w.service.Estimate(t.Context(), w.state(b)); !est.IsZero() {
			t.Errorf("a paused bulk is estimated to end at %s", est)
		}
		w.restart()
		w.pass(100 * time.Hour)
	}
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
	if diff := cmp.Diff(allNumbers(1000), w.recipients()); diff != "" {
		t.Error(diff)
	}
}

func TestABulkThatIsResumedAtNightWaitsForTheMorning(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.quietDraft(100))
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.pass(15 * time.Hour) // midnight
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.idle()
	if n := w.lanes.carry("ins_a", 100, allSent); n != 0 {
		t.Errorf("%d were sent at night", n)
	}
	w.pass(8 * time.Hour)
	w.drain(b)
}

func TestPausingAScheduledBulkKeepsItsTime(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Hour) }))
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	got, err := w.service.Resume(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkScheduled {
		t.Fatalf("Resume = %+v, %v, want scheduled", got, err)
	}
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	if got := w.state(b).State; got != messaging.BulkPaused {
		t.Errorf("state = %s at its time, want paused", got)
	}
	if _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(b)
}

func TestACanceledBulkSendsWhatIsInHandAndNothingElse(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	w.lanes.carry("ins_a", 100, allSent)
	w.idle()
	w.lanes.grasp("ins_a")
	got, err := w.service.Cancel(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkCanceled {
		t.Fatalf("Cancel = %+v, %v", got, err)
	}
	w.idle()
	w.lanes.carry("ins_a", 1000, allSent)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 1000, Sent: 101, Canceled: 899}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}

func TestWhatABulksStateDoesNotAllowIsAConflict(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(10))
	acts := map[string]func() error{
		"pause":  func() error { _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); return err },
		"resume": func() error { _, err := w.service.Resume(t.Context(), w.tenancy, b.ID); return err },
		"cancel": func() error { _, err := w.service.Cancel(t.Context(), w.tenancy, b.ID); return err },
		"retry":  func() error { _, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); return err },
	}
	refused := func(names ...string) {
		t.Helper()
		state := w.state(b).State
		for _, name := range names {
			err := acts[name]()
			if !errors.Is(err, fault.ErrConflict) || fault.As(err).Details()["state"] != string(state) {
				t.Errorf("%s of a bulk that is %s: %v, want CONFLICT with its state", name, state, err)
			}
		}
	}
	refused("resume")
	if err := acts["pause"](); err != nil {
		t.Fatal(err)
	}
	refused("pause", "retry")
	if err := acts["cancel"](); err != nil {
		t.Fatal(err)
	}
	refused("pause", "resume", "cancel", "retry")
	stranger := messaging.NewTenancy("wsp_two", messaging.Test, messaging.AllInstances())
	if _, err := w.service.Cancel(t.Context(), stranger, b.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a stranger's cancel: %v, want NOT_FOUND", err)
	}
}

func TestFailedRowsAreSentAgainWhenThatIsAskedFor(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(300))
	odd := func(m *messaging.Message) messaging.Status {
		if m.Peer.Phone()[10]%2 == 1 {
			return messaging.StatusFailed
		}
		return messaging.StatusSent
	}
	for w.lanes.carry("ins_a", 64, odd) > 0 {
		w.idle()
	}
	if diff := cmp.Diff(messaging.BulkCounts{Total: 300, Sent: 150, Failed: 150}, w.state(b).Counts); diff != "" {
		t.Fatal(diff)
	}
	w.restart() // a bulk that has completed is taken up again
	got, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID)
	if err != nil || got.State != messaging.BulkRunning {
		t.Fatalf("RetryFailed = %+v, %v", got, err)
	}
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 300, Sent: 300}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
	if got, err := w.service.RetryFailed(t.Context(), w.tenancy, b.ID); err != nil || got.State != messaging.BulkCompleted {
		t.Errorf("without failed rows: %+v, %v", got, err)
	}
	w.idle()
}

func TestWhoOptsOutBeforeTheirTurnIsSkipped(t *testing.T) {
	w := closed(newWorld(t))
	b := w.accept(w.draft(100))
	w.memory.mu.Lock()
	for n := range 100 {
		w.memory.optOuts[number(n)] = n%2 == 1
	}
	w.memory.mu.Unlock()
	w.lanes.setClosed("ins_a", false)
	w.service.Wake("ins_a")
	w.drain(b)
	if diff := cmp.Diff(messaging.BulkCounts{Total: 100, Sent: 50, Skipped: 50}, w.state(b).Counts); diff != "" {
		t.Error(diff)
	}
}

func TestABulkWhoseLastRowsAreAllSkippedCompletes(t *testing.T) {
	w := newWorld(t)
	w.memory.optOuts[number(0)], w.memory.optOuts[number(1)] = true, true
	b := w.accept(w.draft(2))
	if got := w.state(b); got.State != messaging.BulkCompleted || got.Counts.Skipped != 2 {
		t.Errorf("bulk = %+v", got)
	}
}

// threeInstances is a draft of n rows to ins_a, ins_b and ins_c.
func (w *world) threeInstances(n int) bulk.Draft {
	return w.draft(n, func(d *bulk.Draft) {
		d.Instances = []messaging.Instance{w.setInstance("ins_c", `{}`), w.setInstance("ins_a", `{}`), w.setInstance("ins_b", `{}`)}
	})
}

// A slow instance must not hold up the others, and one that is away must not get
// what others could have sent.
func TestABulkIsSpreadByCapacity(t *testing.T) {
	w := newWorld(t)
	w.lanes.setClosed("ins_c", true)
	b := w.accept(w.threeInstances(6000))
	for w.lanes.carry("ins_a", 300, allSent)+w.lanes.carry("ins_b", 100, allSent) > 0 {
		w.idle()
	}
	sent := make(map[string]int)
	seen := make(map[string]bool)
	for _, s := range w.lanes.list() {
		sent[s.message.InstanceID]++
		if seen[s.message.Peer.WAID] {
			t.Errorf("%s was sent to twice", s.message.Peer.WAID)
		}
		seen[s.message.Peer.WAID] = true
	}
	if len(seen) != 6000 || sent["ins_c"] != 0 || sent["ins_a"] < 2*sent["ins_b"] {
		t.Errorf("%d were sent: %v", len(seen), sent)
	}
	if got := w.state(b).State; got != messaging.BulkCompleted {
		t.Errorf("state = %s", got)
	}
}

func TestADeletedInstanceGetsNoMoreRowsAndTheLastOneEndsTheBulk(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.threeInstances(6000))
	w.remove("ins_b")
	w.idle()
	before, _ := w.lanes.waiting("ins_b")
	w.lanes.carry("ins_b", 1000, func(*messaging.Message) messaging.Status { return messaging.StatusCanceled })
	w.idle()
	if after, _ := w.lanes.waiting("ins_b"); before == 0 || after != 0 {
		t.Errorf("the lane of a deleted instance has %d messages, had %d", after, before)
	}
	w.remove("ins_a")
	w.remove("ins_c")
	w.idle()
	if got := w.state(b); got.State != messaging.BulkCanceled || got.Pending != 0 {
		t.Errorf("without an instance: %+v", got)
	}
}

func TestTroubleWithTheDatabaseIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	var failures atomic.Int64
	w.memory.setFail(func(op string) error {
		switch op {
		case "Turn", "Chunks", "Report", "Again":
			if failures.Add(1)%3 == 1 {
				return errors.New("the database is away")
			}
		}
		return nil
	})
	d := w.draft(10, func(d *bulk.Draft) { d.Options.SendAt = w.clock.Now().Add(time.Minute) })
	b, err := w.service.Accept(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.memory.setFail(nil)
	w.drain(b)
	if diff := cmp.Diff(allNumbers(10), w.recipients()); diff != "" || failures.Load() == 0 {
		t.Error(diff)
	}
}

// Whoever pauses has to be able to rely on it: what the answer says is so.
func TestAPauseThatCannotBeRecordedChangesNothing(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(1000))
	away := errors.New("the database is away")
	w.memory.setFail(func(op string) error {
		if op == "Report" {
			return away
		}
		return nil
	})
	if _, err := w.service.Pause(t.Context(), w.tenancy, b.ID); !errors.Is(err, away) {
		t.Fatalf("Pause = %v", err)
	}
	w.memory.setFail(nil)
	if got := w.state(b).State; got != messaging.BulkRunning {
		t.Errorf("state = %s", got)
	}
	w.drain(b)
}

func TestChangedSettingsOfAnInstanceAreNoticed(t *testing.T) {
	w := newWorld(t)
	b := w.accept(w.draft(2000))
	w.setInstance("ins_a", `{"pace":{"enabled":true}}`)
	w.service.Wake("ins_a")
	w.idle()
	w.lanes.carry("ins_a", 510, allSent)
	w.idle()
	if got, _ := w.lanes.waiting("ins_a"); got != 8 {
		t.Errorf("%d messages wait, want 8", got)
	}
	w.drain(b)
}

// The estimate is asked for while the bulk runs, and told to people.
func TestTheEstimateFollowsThePace(t *testing.T) {
	w := newWorld(t)
	d := w.draft(1000)
	w.lanes.rules["ins_a"] = &pace.Rules{PerHour: 100}
	w.setInstance("ins_a", `{"pace":{"enabled":true,"min_gap_ms":0,"jitter_ms":0,"per_hour":100,"per_day":0}}`)
	b := w.accept(d)
	if got := w.service.Estimate(t.Context(), w.state(b)).Sub(w.clock.Now()); got < 9*time.Hour || got > 10*time.Hour {
		t.Errorf("1000 messages at 100 an hour take %s", got)
	}
	w.lanes.other["ins_a"] = 500
	if got := w.service.Estimate(t.Context(), w.state(b)).Sub(w.clock.Now()); got < 14*time.Hour || got > 15*time.Hour {
		t.Errorf("behind 500 others they take %s", got)
	}
	w.lanes.setClosed("ins_a", true)
	if got := w.service.Estimate(t.Context(), w.state(b)); !got.IsZero() {
		t.Errorf("without a connection they end at %s", got)
	}
	w.lanes.setClosed("ins_a", false)
	w.drain(b)
	if got := w.service.Estimate(t.Context(), w.state(b)); !got.IsZero() {
		t.Errorf("a completed bulk ends at %s", got)
	}
}

func TestAListAndItsRowsComeFromTheStore(t *testing.T) {
	w := closed(newWorld(t))
	b := w.accept(w.draft(5))
	all, err := w.service.List(t.Context(), w.tenancy, messaging.Page{Limit: 10})
	if err != nil || len(all) != 1 || all[0].ID != b.ID {
		t.Errorf("List = %v, %v", all, err)
	}
	found, err := w.service.Recipients(t.Context(), b, "", messaging.Page{Limit: 2, Cursor: "3"})
	if err != nil || !slices.EqualFunc(found, []int64{4, 5}, func(r messaging.BulkRecipient, n int64) bool { return r.Row == n }) {
		t.Errorf("Recipients = %v, %v", found, err)
	}
}
