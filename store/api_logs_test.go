package store_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// logged counts the rows of a tenancy.
func logged(t *testing.T, s *store.Store, tenancy messaging.Tenancy) int {
	t.Helper()
	rows, err := s.RequestLogs(t.Context(), tenancy, messaging.LogFilter{}, messaging.Page{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

// nobodys is the tenancy of the rows that belong to no workspace.
func nobodys() messaging.Tenancy { return messaging.NewTenancy("", "", messaging.AllInstances()) }

// Anybody can ask without a key, as often as they like. That must not fill the
// disk, nor take a row from those who have one.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			o := storetest.Options(t, engine)
			var said strings.Builder
			o.Logger = slog.New(slog.NewTextHandler(&said, nil))
			s := storetest.Open(t, o)
			tenancy := storetest.Workspace(t, s, "w")
			book, begin := s.LogBook(), time.Now()
			for n := range 3000 {
				book.Log(messaging.RequestLog{At: time.Now(), Route: "/v1/*", Status: 401})
				if n%10 == 0 {
					book.Log(messaging.RequestLog{WorkspaceID: tenancy.Workspace(), Environment: messaging.Test, At: time.Now(), Route: "/v1/me"})
				}
			}
			most := 100 + int(20*time.Since(begin).Seconds()) + 1
			if err := book.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := logged(t, s, nobodys()); got < 100 || got > most {
				t.Errorf("%d rows of strangers, want 100 to %d", got, most)
			}
			if got := logged(t, s, tenancy); got != 300 {
				t.Errorf("%d rows of callers with a key, want all 300", got)
			}
			if !strings.Contains(said.String(), "without a valid key not logged") {
				t.Errorf("the log does not tell of the others: %s", said.String())
			}
		})
	}
}

func TestRowsOfStrangersLiveAWeek(t *testing.T) {
	const day = 24 * time.Hour
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		now, book := time.Now(), s.LogBook()
		const crowd = 4100 // more than a sweep looks through at once
		for range crowd {
			book.Log(messaging.RequestLog{WorkspaceID: tenancy.Workspace(), Environment: messaging.Test, At: now.Add(-12 * day), Route: "/v1/me"})
		}
		for age := 12 * day; age >= 0; age -= day {
			book.Log(messaging.RequestLog{At: now.Add(-age), Route: "/v1/*", Status: 401})
			book.Log(messaging.RequestLog{WorkspaceID: tenancy.Workspace(), Environment: messaging.Test, At: now.Add(-age), Route: "/v1/me"})
		}
		if err := book.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			after            time.Duration
			strangers, known int
		}{
			{0, 8, crowd + 13},
			{time.Hour, 7, crowd + 13},
			{3*day + time.Hour, 4, crowd + 13},
			{8 * day, 0, crowd + 13},
			{19*day + time.Hour, 0, 11},
		} {
			if err := s.Sweep(t.Context(), now.Add(c.after)); err != nil {
				t.Fatal(err)
			}
			if got := logged(t, s, nobodys()); got != c.strangers {
				t.Errorf("after %s: %d rows of strangers, want %d", c.after, got, c.strangers)
			}
			if got := logged(t, s, tenancy); got != c.known {
				t.Errorf("after %s: %d other rows, want %d", c.after, got, c.known)
			}
		}
	})
}
