package store_test

import (
	"testing"
	"time"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func TestSweepDeletesOnlyWhatHasOutlivedItsPromise(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		now := time.Now()
		if err := s.Keep(t.Context(), tenancy, messaging.Claim{Scope: "a", RequestHash: "h", Status: 201, Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		book := s.LogBook()
		for _, age := range []time.Duration{31 * 24 * time.Hour, time.Hour} {
			book.Log(messaging.RequestLog{WorkspaceID: tenancy.Workspace(), Environment: messaging.Test, At: now.Add(-age), Route: "/v1/me"})
		}
		if err := book.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			after       time.Duration
			logs, claim int
		}{{0, 1, 1}, {25 * time.Hour, 1, 0}, {31 * 24 * time.Hour, 0, 0}} {
			if err := s.Sweep(t.Context(), now.Add(c.after)); err != nil {
				t.Fatal(err)
			}
			logs, err := s.RequestLogs(t.Context(), tenancy, messaging.LogFilter{}, messaging.Page{Limit: 10})
			if err != nil || len(logs) != c.logs {
				t.Errorf("after %s: %d logs, %v; want %d", c.after, len(logs), err, c.logs)
			}
			if _, ok, err := s.Claimed(t.Context(), tenancy, "a"); err != nil || ok != (c.claim == 1) {
				t.Errorf("after %s: claimed = %v, %v", c.after, ok, err)
			}
		}
	})
}
