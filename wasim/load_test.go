package wasim_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"portaria/wasim"
)

// TestHundredClientsAtOnce: they link, log in and send at the same moment, and
// each message is read once by whom it is for.
func TestHundredClientsAtOnce(t *testing.T) {
	const clients, each = loadClients, 3
	s := start(t, wasim.Options{})
	all := make([]*client, clients)
	for i := range all {
		all[i] = newClient(t, s, newDevice())
	}
	var work sync.WaitGroup
	for i, c := range all {
		work.Go(func() {
			c.pair(s.Phone(fmt.Sprintf("5511910000%03d", i)))
			for n := range each {
				if _, err := c.text(fmt.Sprintf("5511920000%03d", (i+n)%clients), fmt.Sprintf("%d.%d", i, n), ""); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	work.Wait()
	eventually(t, "all messages are read", func() bool { return len(s.Received()) >= clients*each })
	seen := map[string]int{}
	for _, r := range s.Received() {
		seen[r.From+r.Text()]++
		if r.Retries != 0 || r.Copies != 0 {
			t.Errorf("%s of %s needed %d retries and came %d times more", r.Text(), r.From, r.Retries, r.Copies)
		}
	}
	if len(seen) != clients*each {
		t.Errorf("%d different messages, want %d", len(seen), clients*each)
	}
}

// TestRoundTripsOverlap: a delay is that of a long line, not of a slow server.
// Many requests at once take one round trip, and a request takes no less.
func TestRoundTripsOverlap(t *testing.T) {
	const delay, requests = 500 * time.Millisecond, 40 // one after the other they would take 20 s
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	s.SetRoundTrip(delay)
	began := time.Now()
	var work sync.WaitGroup
	for i := range requests {
		work.Go(func() {
			if _, err := c.IsOnWhatsApp(t.Context(), []string{fmt.Sprintf("+551190000%04d", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if took := time.Since(began); took < delay || took > requests*delay/2 {
		t.Errorf("%d requests took %s with a round trip of %s", requests, took, delay)
	}
	s.SetRoundTrip(0)
}
