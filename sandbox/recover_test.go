package sandbox

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
)

// What the network owed when the process died is told by the next one, all of
// it, at the times it was due.
func TestRestartCompletesWhatIsOwed(t *testing.T) {
	w := newWorld(t)
	w.send(t.Context(), to("0006"), to("0018"), to("0019"), to("0010"))
	w.advance(t, 200*time.Millisecond)
	w.stop()
	w.lines = nil
	w.start(t, messaging.InstanceConnected)
	w.advance(t, time.Hour)
	want := []string{
		"sent 0s", "delivered 100ms", "sent 0s", "delivered 100ms", // again: harmless
		"read 300ms", "read 300ms", `received "hi" from +15005550019 400ms`,
		"sent 30s", "delivered 30.1s", "read 30.3s",
	}
	if diff := cmp.Diff(w.lines, want); diff != "" {
		t.Errorf("after the restart (-got +want):\n%s", diff)
	}
	if w.owing() != 0 {
		t.Errorf("%d debts are left", w.owing())
	}
	w.stop()
	w.lines = nil
	w.start(t, messaging.InstanceConnected)
	w.advance(t, time.Hour)
	if len(w.lines) != 0 {
		t.Errorf("settled debts were told again: %v", w.lines)
	}
}

// Owed carriages are read in pages; none may fall between two.
func TestRecoveryReadsEveryPage(t *testing.T) {
	w := newWorld(t)
	const many = 2*recoverPage + 1
	for i := range many {
		if o := w.channel.Send(t.Context(), []messaging.Outgoing{named(to("0006"), fmt.Sprint(i))}); o[0].Verdict != messaging.Accepted {
			t.Fatal(o)
		}
	}
	w.stop()
	w.start(t, messaging.InstanceConnected)
	w.advance(t, time.Second)
	read := make(map[string]bool)
	for _, r := range w.journal.all() {
		if c := r.(messaging.StatusChange); c.Status == messaging.StatusRead {
			read[c.MessageID] = true
		}
	}
	if len(read) != many || w.owing() != 0 {
		t.Errorf("%d messages read, %d owed; want %d and 0", len(read), w.owing(), many)
	}
}

// What happens is a function of recipients, overrides and the clock: it does
// not depend on how the clock is moved, on how messages are batched, on
// restarts, or on messages being sent again after one.
func TestReportsDependOnNothingElse(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		// One message a recipient: which of two to the same one waits for the
		// other does depend on batches.
		messages := rapid.SliceOfNDistinct(rapid.Custom(drawMessage), 1, 12, func(m messaging.Outgoing) string {
			return m.MessageID
		}).Draw(r, "messages")
		calm, wild := newWorld(t), newWorld(t)
		defer calm.stop()
		defer wild.stop()

		calm.send(t.Context(), messages...)
		calm.advance(t, 30*time.Hour)

		for rest := messages; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(r, "batch")
			wild.send(t.Context(), rest[:n]...)
			rest = rest[n:]
		}
		left := 30 * time.Hour
		for range rapid.IntRange(0, 6).Draw(r, "moves") {
			by := time.Duration(rapid.Int64Range(0, int64(40*time.Second)).Draw(r, "by")).Truncate(time.Microsecond)
			wild.advance(t, by)
			left -= by
			if rapid.Bool().Draw(r, "restart") {
				wild.stop()
				wild.start(t, messaging.InstanceConnected)
				wild.resendTaken(t, messages)
			}
		}
		wild.advance(t, left)

		if diff := cmp.Diff(wild.facts(), calm.facts()); diff != "" {
			r.Errorf("reports differ (-wild +calm):\n%s", diff)
		}
		if len(wild.store.rows) != len(calm.store.rows) {
			r.Errorf("carried %d, want %d", len(wild.store.rows), len(calm.store.rows))
		}
		if calm.owing()+wild.owing() != 0 {
			r.Errorf("debts are left: %d, %d", calm.owing(), wild.owing())
		}
	})
}

// drawMessage draws a message to a recipient that does not take the instance
// off the network: that touches other messages by design.
func drawMessage(r *rapid.T) messaging.Outgoing {
	m := to(rapid.SampledFrom([]string{
		"0006", "0009", "0010", "0011", "0012", "0013", "0015", "0016", "0017", "0018", "0019", "0021", "7777",
	}).Draw(r, "to"))
	if rapid.Bool().Draw(r, "overridden") {
		m.Sandbox = &messaging.Override{
			Outcome: rapid.SampledFrom([]string{"", "sent", "delivered", "read", "failed"}).Draw(r, "outcome"),
			DelayMS: rapid.MapOfN(
				rapid.SampledFrom([]string{delaySent, delayDelivered, delayRead}), rapid.Int64Range(0, 40_000), 0, 3,
			).Draw(r, "delays"),
		}
	}
	return m
}

// resendTaken sends again what the network has, as an outbox does that died
// before it could record the network's answer.
func (w *world) resendTaken(t *testing.T, messages []messaging.Outgoing) {
	t.Helper()
	for _, m := range messages {
		if _, taken := w.store.byKey[CarriageKey{m.InstanceID, m.WAMessageID}]; taken {
			m.Attempt = hiccupTries + 1
			w.channel.Send(t.Context(), []messaging.Outgoing{m})
		}
	}
}

// facts returns the different things that were reported, sorted.
func (w *world) facts() []string {
	var out []string
	for _, record := range w.journal.all() {
		switch c := record.(type) {
		case messaging.StatusChange:
			out = append(out, c.MessageID+" "+recordLine(record))
		case messaging.InboundMessage:
			out = append(out, c.Message.WAMessageID+" "+recordLine(record))
		default:
			out = append(out, recordLine(record))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
