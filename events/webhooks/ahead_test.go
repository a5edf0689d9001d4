package webhooks_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// On an instant clock events happen ahead of its time, and one commit may queue
// what is due already and what is due a moment later. The latter must not lie
// there until another event comes.
func TestWhatIsDueSoonIsNotForgottenBehindWhatIsDueNow(t *testing.T) {
	w := newWorld(t)
	w.start()
	r := newReceiver(t, nil)
	w.webhook(r.URL)
	first := w.event("ins_a") // the lane looks ahead when it is new
	w.idle()
	now, soon := w.together(0, 300*time.Millisecond)
	w.idle()
	if diff := cmp.Diff([]string{first.ID, now.ID}, r.ids()); diff != "" {
		t.Fatalf("before the clock has moved (-want +got):\n%s", diff)
	}
	w.pass(300 * time.Millisecond)
	if diff := cmp.Diff([]string{first.ID, now.ID, soon.ID}, r.ids()); diff != "" {
		t.Errorf("when the clock has moved (-want +got):\n%s", diff)
	}
}

// together records two events, so much ahead of the clock, in one commit.
func (w *world) together(ahead, further time.Duration) (one, other messaging.Event) {
	event := func(ahead time.Duration) messaging.Event {
		return messaging.Event{
			Type: messaging.EventMessageReceived, WorkspaceID: w.tenancy.Workspace(), Environment: messaging.Test,
			InstanceID: "ins_a", Timestamp: w.clock.Now().Add(ahead),
		}
	}
	one, other = event(ahead), event(further)
	w.memory.mu.Lock()
	ids := w.memory.record(&one)
	w.memory.record(&other)
	tell := w.memory.queued
	w.memory.mu.Unlock()
	tell(ids)
	return one, other
}
