package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
)

// receipts is a bundle of delivered receipts for so many messages.
func receipts(prefix string, n int) *bundle {
	b := &bundle{workspace: workspace, due: epoch}
	for i := range n {
		id := fmt.Sprint(prefix, i)
		b.items = append(b.items, item{&debt{
			key: CarriageKey{instanceID, id}, messageID: id, ackTold: true, left: 1,
		}, stepDelivered})
	}
	return b
}

// newTestPump returns a pump whose store owes whatever is collected through it.
func newTestPump(t *testing.T, j *journal) (*pump, *memory) {
	t.Helper()
	store := &memory{owed: make(map[CarriageKey]bool)}
	p := newPump(j, store, quiet())
	t.Cleanup(p.close)
	return p, store
}

func messageIDs(records []messaging.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.(messaging.StatusChange).MessageID)
	}
	return out
}

// An outage of the journal delays receipts; it loses none and keeps their order.
func TestReportsAreTriedUntilTheySucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		start := time.Now()
		j := &journal{refuse: func([]messaging.Record) error {
			tries = append(tries, time.Since(start))
			if len(tries) < 5 {
				return errDown
			}
			return nil
		}}
		p, store := newTestPump(t, j)
		store.owed[CarriageKey{instanceID, "a0"}] = true
		p.collect(receipts("a", 2))
		if err := p.idle(t.Context(), workspace); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ms := time.Millisecond
		if diff := cmp.Diff(tries, []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms}); diff != "" {
			t.Errorf("tries (-got +want):\n%s", diff)
		}
		if diff := cmp.Diff(messageIDs(j.all()), []string{"a0", "a1"}); diff != "" {
			t.Errorf("records (-got +want):\n%s", diff)
		}
		if store.owing() != 0 {
			t.Error("the debt was not settled")
		}
		p.close()
	})
}

// One record that the journal will never take must not hold up all others.
func TestRefusedRecordIsGivenUpAlone(t *testing.T) {
	j := &journal{refuse: func(records []messaging.Record) error {
		if slices.Contains(messageIDs(records), "a3") {
			return fault.ErrNotFound
		}
		return nil
	}}
	p, _ := newTestPump(t, j)
	p.collect(receipts("a", 6))
	if err := p.idle(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(messageIDs(j.all()), []string{"a0", "a1", "a2", "a4", "a5"}); diff != "" {
		t.Errorf("records (-got +want):\n%s", diff)
	}
}

// What becomes due while the journal writes goes into few reports, in order,
// and each workspace waits for its own only.
func TestReportsAreBatchedInOrder(t *testing.T) {
	writing, release := make(chan struct{}, 1), make(chan struct{})
	j := &journal{refuse: func([]messaging.Record) error {
		select {
		case writing <- struct{}{}:
		default:
		}
		<-release
		return nil
	}}
	p, store := newTestPump(t, j)
	var want []string
	for i := range 4000 {
		b := receipts(fmt.Sprint(i, "-"), 1)
		want = append(want, b.items[0].debt.messageID)
		p.collect(b)
		if i == 0 {
			<-writing
		}
	}
	if err := p.idle(t.Context(), "wsp_other"); err != nil {
		t.Errorf("another workspace has to wait: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := p.idle(ctx, workspace); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("idle with work in hand: %v", err)
	}
	close(release)
	if err := p.idle(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(messageIDs(j.all()), want); diff != "" {
		t.Errorf("records (-got +want):\n%s", diff)
	}
	if got := len(j.batches); got != 5 { // the first alone, then 3,999 by 1,024
		t.Errorf("%d reports of %v, want 5", got, j.batches)
	}
	p.running.Wait()
	if store.settles > 4 {
		t.Errorf("settled in %d steps, want at most 4", store.settles)
	}
}

// A debt is settled by its last step, not earlier: a crash between two steps
// would lose the second.
func TestDebtIsSettledByItsLastStep(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), to("0006"))
	for _, step := range []struct {
		by   time.Duration
		owed int
	}{{299 * time.Millisecond, 1}, {time.Millisecond, 0}} {
		w.advance(t, step.by)
		if got := w.owing(); got != step.owed {
			t.Errorf("%d debts after %v more, want %d", got, step.by, step.owed)
		}
	}
}

// Closing must not wait for a journal that is down; what is owed stays owed.
func TestCloseEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := newTestPump(t, &journal{refuse: func([]messaging.Record) error { return errDown }})
		store.owed[CarriageKey{instanceID, "a0"}] = true
		p.collect(receipts("a", 1))
		time.Sleep(time.Minute)
		waited := make(chan error, 1)
		go func() { waited <- p.idle(context.Background(), workspace) }()
		synctest.Wait()
		start := time.Now()
		p.close()
		p.collect(receipts("b", 1))
		if took := time.Since(start); took != 0 {
			t.Errorf("closing took %v", took)
		}
		if err := <-waited; !errors.Is(err, fault.ErrShuttingDown) {
			t.Errorf("idle at a closed pump: %v, want ErrShuttingDown", err)
		}
		if store.owing() != 1 {
			t.Error("an unreported debt was settled")
		}
	})
}
