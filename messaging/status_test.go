package messaging_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/messaging"
)

func apply(s *messaging.State, statuses ...messaging.Status) (recorded []messaging.Status) {
	for _, status := range statuses {
		recorded = append(recorded, s.Apply(messaging.StatusChange{Status: status, At: time.Unix(1, 0)})...)
	}
	return recorded
}

func TestStatesRecordEachStepOnce(t *testing.T) {
	for name, c := range map[string]struct{ changes, recorded []messaging.Status }{
		"the happy way":                  {[]messaging.Status{"sent", "delivered", "read"}, []messaging.Status{"sent", "delivered", "read"}},
		"a receipt twice":                {[]messaging.Status{"sent", "delivered", "delivered"}, []messaging.Status{"sent", "delivered"}},
		"read before delivered":          {[]messaging.Status{"sent", "read", "delivered"}, []messaging.Status{"sent", "read", "delivered"}},
		"a receipt proves the send":      {[]messaging.Status{"delivered", "sent"}, []messaging.Status{"sent", "delivered"}},
		"what was carried cannot fail":   {[]messaging.Status{"sent", "failed", "expired", "canceled"}, []messaging.Status{"sent"}},
		"an end is never left":           {[]messaging.Status{"failed", "sent", "read", "queued"}, []messaging.Status{"failed"}},
		"waiting statuses alternate":     {[]messaging.Status{"held", "queued", "sending", "queued", "sent"}, []messaging.Status{"held", "queued", "sending", "queued", "sent"}},
		"nothing goes back to the queue": {[]messaging.Status{"sent", "queued", "held"}, []messaging.Status{"sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := messaging.State{Status: messaging.StatusQueued}
			if diff := cmp.Diff(c.recorded, apply(&s, c.changes...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The order in which receipts arrive does not matter, and status never falls.
func TestStatusNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := messaging.State{Status: messaging.StatusQueued}
		for _, status := range rapid.SliceOf(rapid.SampledFrom(messaging.Statuses)).Draw(rt, "changes") {
			before := s.Status
			apply(&s, status)
			switch {
			case before.Ended() && s.Status != before:
				rt.Fatalf("%s was left for %s", before, s.Status)
			case before.Carried() && !s.Status.Reached(before):
				rt.Fatalf("%s fell to %s", before, s.Status)
			case before.Carried() && s.Status.Ended():
				rt.Fatalf("%s ended as %s", before, s.Status)
			}
		}
	})
}
