package sandbox

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// The outbox may send a message again after a crash between the network's
// answer and its own commit. The network knows it by its WhatsApp id.
func TestMessageSentTwiceIsCarriedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.send(t.Context(), to("0006"), to("0018"))
	w.advance(t, time.Second)
	again := w.send(t.Context(), to("0006"), to("0018"))
	if diff := cmp.Diff(again, first); diff != "" {
		t.Errorf("the second answer differs (-second +first):\n%s", diff)
	}
	w.advance(t, time.Minute)
	late := w.send(t.Context(), to("0018"))
	if want := (messaging.Outcome{Verdict: messaging.Accepted, At: epoch.Add(30 * time.Second)}); late[0] != want {
		t.Errorf("answer once it was acknowledged = %+v, want %+v", late[0], want)
	}
	if got := len(w.store.rows); got != 2 {
		t.Errorf("carried %d rows, want 2", got)
	}
	if w.owing() != 0 {
		t.Errorf("%d debts are left", w.owing())
	}
}

// A batch is one durable step: a commit for each message would be the limit
// of the whole gateway.
func TestBatchIsCarriedInOneStepAndInOrder(t *testing.T) {
	w := newWorld(t)
	var batch []messaging.Outgoing
	for i := range w.channel.Window() {
		batch = append(batch, named(to("0006"), strconv.Itoa(i)))
	}
	w.send(t.Context(), batch...)
	if w.store.carries != 1 {
		t.Errorf("Carry was called %d times, want 1", w.store.carries)
	}
	for i, row := range w.store.rows {
		if row.MessageID != batch[i].MessageID {
			t.Fatalf("row %d is %s, want %s", i, row.MessageID, batch[i].MessageID)
		}
	}
	w.advance(t, time.Second)
	if got := len(w.journal.all()); got != 3*len(batch) {
		t.Errorf("%d records, want %d", got, 3*len(batch))
	}
}

// Behind a message that has to wait, nothing goes to the same recipient, even
// if it could; others pass.
func TestNothingPassesToTheSameRecipient(t *testing.T) {
	w := newWorld(t)
	free := named(to("0013"), "free")
	free.Sandbox = &messaging.Override{Outcome: "read"}
	w.send(t.Context(), to("0013"), free, to("0006"), to("0021"), named(to("0021"), "b"))
	want := []string{
		"try 1: deferred until 1s PROVIDER_ERROR",
		"try 1: deferred until 1s PROVIDER_ERROR",
		"try 1: accepted at 0s",
		"try 1: held until 1h0m0s REACHOUT_TIMELOCKED",
		"try 1: held until 1h0m0s REACHOUT_TIMELOCKED",
	}
	if diff := cmp.Diff(w.lines, want); diff != "" {
		t.Errorf("outcomes (-got +want):\n%s", diff)
	}
	w.advance(t, 2*time.Hour)
	var order []string
	for _, row := range w.store.rows {
		order = append(order, row.MessageID)
	}
	if diff := cmp.Diff(order, []string{"msg_0006", "msg_0013", "msg_free", "msg_0021", "msg_b"}); diff != "" {
		t.Errorf("carried (-got +want):\n%s", diff)
	}
}

// What stands behind a drop in a batch was not sent: it waits for the
// connection and then goes, once.
func TestDropLosesNothingBehindIt(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), named(to("0006"), "before"), to("0014"), named(to("0006"), "behind"))
	w.advance(t, 10*time.Second)
	var order []string
	for _, row := range w.store.rows {
		order = append(order, row.MessageID+" "+row.CarriedAt.Sub(epoch).String())
	}
	if diff := cmp.Diff(order, []string{"msg_before 0s", "msg_behind 500ms", "msg_0014 1s"}); diff != "" {
		t.Errorf("carried (-got +want):\n%s", diff)
	}
}

func TestChannelOfDisconnectedInstanceCarriesNothing(t *testing.T) {
	w := newWorld(t)
	for _, state := range []messaging.InstanceState{
		messaging.InstanceCreated, messaging.InstancePairing, messaging.InstanceLoggedOut,
		messaging.InstanceRestricted, messaging.InstanceBanned, messaging.InstanceDisconnected,
	} {
		c := openChannel(t, w.driver, messaging.Instance{ID: instanceID, WorkspaceID: workspace, State: state})
		for _, o := range c.Send(t.Context(), []messaging.Outgoing{to("0006"), to("0009")}) {
			if want := (messaging.Outcome{Verdict: messaging.Deferred}); o != want {
				t.Errorf("%s: outcome %+v, want %+v", state, o, want)
			}
		}
		w.advance(t, time.Hour)
		_ = c.Close()
	}
	if len(w.store.rows) != 0 || len(w.journal.all()) != 0 {
		t.Errorf("carried %d, reported %v", len(w.store.rows), w.journal.all())
	}
}

// The process may die between a drop and the reconnection: the instance must
// come back nevertheless, at the time it would have.
func TestDroppedInstanceComesBackAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), to("0014"))
	w.stop()
	w.lines = nil
	w.start(t, messaging.InstanceDisconnected)
	w.advance(t, 10*time.Second)
	want := []string{"instance connected 500ms", "try 2: accepted at 1s", "sent 1s", "delivered 1.1s", "read 1.3s"}
	if diff := cmp.Diff(w.lines, want); diff != "" {
		t.Errorf("after the restart (-got +want):\n%s", diff)
	}
}

func TestClosedChannelDoesNotReconnect(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), to("0014"))
	_ = w.channel.Close()
	w.lines = nil
	w.advance(t, 400*time.Millisecond)
	w.advance(t, 400*time.Millisecond)
	if len(w.lines) != 0 {
		t.Errorf("a closed channel reported %v", w.lines)
	}
}

// When the store fails, nothing is lost and nothing is acknowledged.
func TestMessagesComeBackWhenTheStoreFails(t *testing.T) {
	w := newWorld(t)
	w.store.setDown(true)
	w.send(t.Context(), to("0006"), named(to("0006"), "b"), to("0009"))
	w.store.setDown(false)
	want := []string{
		"try 1: deferred until 1s PROVIDER_ERROR", "try 1: deferred until 1s PROVIDER_ERROR", "try 1: refused NOT_ON_WHATSAPP",
	}
	if diff := cmp.Diff(w.lines, want); diff != "" {
		t.Fatalf("outcomes (-got +want):\n%s", diff)
	}
	w.advance(t, 5*time.Second)
	if len(w.store.rows) != 2 {
		t.Errorf("carried %d, want 2", len(w.store.rows))
	}
}

// A logout that cannot be recorded yet is recorded later: nobody would link
// the instance again otherwise.
func TestLogoutIsRecordedOnceTheJournalWorks(t *testing.T) {
	w := newWorld(t)
	refused := 0
	w.journal.refuse = func([]messaging.Record) error {
		if refused++; refused <= 2 {
			return errors.New("no")
		}
		return nil
	}
	outcomes := w.send(t.Context(), to("0020"))
	if got, want := outcomeLine(1, outcomes[0]), "try 1: deferred until 0s INSTANCE_LOGGED_OUT"; got != want {
		t.Errorf("outcome %q, want %q", got, want)
	}
	if err := w.driver.Idle(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	if want := "instance logged_out 0s device_removed"; w.lines[len(w.lines)-1] != want {
		t.Errorf("last record %q, want %q", w.lines[len(w.lines)-1], want)
	}
}

// A journal that is slower than the network must slow senders down, or its
// backlog takes all memory.
func TestSendersWaitForASlowJournal(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	w.journal.refuse = func([]messaging.Record) error { <-release; return nil }
	for i := 0; i*window < maxBacklog; i++ {
		var batch []messaging.Outgoing
		for n := range window {
			batch = append(batch, named(to("0012"), strconv.Itoa(i*window+n)))
		}
		w.send(t.Context(), batch...)
	}
	moved := make(chan error, 1)
	go func() {
		_, err := w.clocks.Advance(context.WithoutCancel(t.Context()), workspace, time.Second)
		moved <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for w.driver.pump.room(ctx) == nil {
		runtime.Gosched()
	}
	before := len(w.store.rows)
	if o := w.channel.Send(ctx, []messaging.Outgoing{to("0006")}); o[0].Verdict != messaging.Deferred || len(w.store.rows) != before {
		t.Errorf("sent into a full backlog: %+v", o[0])
	}
	close(release)
	if err := <-moved; err != nil {
		t.Fatal(err)
	}
	if o := w.channel.Send(t.Context(), []messaging.Outgoing{to("0006")}); o[0].Verdict != messaging.Accepted {
		t.Errorf("once the journal caught up: %+v, want accepted", o[0])
	}
}

// A gateway holds thousands of idle test instances.
func TestIdleChannelIsSmallAndHasNoGoroutine(t *testing.T) {
	const many = 10_000
	w := newWorld(t)
	goroutines := runtime.NumGoroutine()
	channels := make([]messaging.Channel, many)
	before := heapBytes()
	for i := range channels {
		channels[i] = openChannel(t, w.driver, messaging.Instance{ID: instanceID, WorkspaceID: workspace, State: messaging.InstanceConnected})
	}
	if each := (heapBytes() - before) / many; each > 300 {
		t.Errorf("an idle channel takes %d bytes, want at most 300", each)
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines, were %d", got, goroutines)
	}
	runtime.KeepAlive(channels)
}

// heapBytes returns how many bytes live on the heap.
func heapBytes() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
