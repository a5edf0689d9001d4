package bulk_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
	"portaria/outbox/bulk"
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
		"an instance without a pace": {`{}`, nil, 504},
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
