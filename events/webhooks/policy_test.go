package webhooks_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portaria/events/webhooks"
	"portaria/messaging"
)

func TestPolicies(t *testing.T) {
	usual := webhooks.PolicyOf(&messaging.Webhook{})
	if diff := cmp.Diff(webhooks.Policy{MaxAttempts: 10, Schedule: []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}}, usual); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		hook messaging.Webhook
		want webhooks.Policy
	}{
		"the usual, cut":        {messaging.Webhook{MaxAttempts: 2}, webhooks.Policy{MaxAttempts: 2, Schedule: []time.Duration{0, 5 * time.Second}}},
		"the usual, more often": {messaging.Webhook{MaxAttempts: 20}, webhooks.Policy{MaxAttempts: 20, Schedule: usual.Schedule}},
		"as many as waits":      {messaging.Webhook{Schedule: []time.Duration{1, 2, 3}}, webhooks.Policy{MaxAttempts: 3, Schedule: []time.Duration{1, 2, 3}}},
		"fewer than waits":      {messaging.Webhook{MaxAttempts: 1, Schedule: []time.Duration{1, 2, 3}}, webhooks.Policy{MaxAttempts: 1, Schedule: []time.Duration{1}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, webhooks.PolicyOf(&c.hook)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each delivery has exactly its tries, and each wait is within a fifth of what
// the schedule says, the last one again and again.
func TestWaitsAreThoseOfTheSchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(webhooks.MaxWait)).Draw(t, "wait"))
		})
		hook := messaging.Webhook{
			MaxAttempts: rapid.IntRange(0, webhooks.MaxAttempts).Draw(t, "max"), Schedule: rapid.SliceOfN(wait, 0, webhooks.MaxAttempts).Draw(t, "schedule"),
		}
		p := webhooks.PolicyOf(&hook)
		for tries := 1; ; tries++ {
			got, again := p.Next(tries)
			if again != (tries < p.MaxAttempts) {
				t.Fatalf("after %d of %d tries: %t", tries, p.MaxAttempts, again)
			}
			if !again {
				return
			}
			want := p.Schedule[min(tries, len(p.Schedule)-1)]
			if off := time.Duration(got) - want; off > want/5+1 || off < -want/5-1 {
				t.Fatalf("after %d tries it waits %v, not %v", tries, time.Duration(got), want)
			}
		}
	})
}
