package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"portaria/store/storetest"
)

// bulkShown is what the tests read of a bulk.
type bulkShown struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	State  string         `json:"state"`
	Counts map[string]int `json:"counts"`
}

// bulkOf is the body of a bulk with so many recipients.
func bulkOf(name string, rows int, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"name":%q,"message":{"text":"Hello {{name}}"},%s"recipients":[`, name, more)
	for n := range rows {
		if n > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"to":"+55119%08d","variables":{"name":"Customer %d"}}`, n, n)
	}
	b.WriteString("]}")
	return b.String()
}

// bulkGateway is a gateway with one instance, one, and a key that may do all.
func bulkGateway(t *testing.T, engine string) (g *gatewayProcess, key string) {
	t.Helper()
	g = newGateway(t, storetest.Options(t, engine))
	g.start()
	key = g.mint("--scope", "*", "--all-instances", "--rate-per-minute", "10000000", "--rate-burst", "1000000")
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated, nil)
	return g, key
}

func (g *gatewayProcess) bulk(key, id string) (b bulkShown) {
	g.t.Helper()
	g.do(key, http.MethodGet, "/v1/bulk/"+id, "", http.StatusOK, &b)
	return b
}

// untilBulk waits until a bulk satisfies a condition.
func (g *gatewayProcess) untilBulk(key, id string, holds func(bulkShown) bool) (b bulkShown) {
	g.t.Helper()
	if !waitUntil(g.t, patience, func() bool {
		b = g.bulk(key, id)
		return holds(b)
	}) {
		g.t.Fatalf("the bulk is %s, %v", b.State, b.Counts)
	}
	return b
}

// A bulk whose server is killed while it is being accepted is there with all of
// its rows, or not at all; and one that was answered 202 is there.
func TestKillingTheServerDuringTheAcceptanceOfABulkStoresAllOrNothing(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g, key := bulkGateway(t, engine)
			later := `"send_at":"` + time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339) + `",`
			began := time.Now()
			g.do(key, http.MethodPost, "/v1/instances/one/bulk", bulkOf("whole", bulkRows, later), http.StatusAccepted, nil)
			took := time.Since(began)

			const kills = 6
			answered := make(map[string]bool)
			for n := range kills {
				name := fmt.Sprintf("try-%d", n)
				result := make(chan bool)
				go func() {
					status, err := g.try(key, http.MethodPost, "/v1/instances/one/bulk", bulkOf(name, bulkRows, later), "", nil)
					result <- err == nil && status == http.StatusAccepted
				}()
				time.Sleep(took * time.Duration(n+1) / (kills - 1)) // somewhere in it; the last one when it is over
				g.kill()
				answered[name] = <-result
				g.start()
			}
			found := make(map[string]bool)
			for _, b := range pages[bulkShown](g, key, "/v1/bulk") {
				found[b.Name] = true
				rows := pages[struct{ Row int }](g, key, "/v1/bulk/"+b.ID+"/recipients")
				if b.Counts["total"] != bulkRows || len(rows) != bulkRows {
					t.Errorf("bulk %s has %v and %d rows; want all %d or no bulk", b.Name, b.Counts, len(rows), bulkRows)
				}
			}
			for name, accepted := range answered {
				if accepted && !found[name] {
					t.Errorf("bulk %s was answered 202 and is not there", name)
				}
			}
		})
	}
}

// A running bulk goes on after every kill -9, and nobody gets it twice.
func TestKillingTheServerDuringABulkSendsToEverybodyOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g, key := bulkGateway(t, engine)
			g.do(key, http.MethodPost, "/v1/instances", `{"name":"two"}`, http.StatusCreated, nil)
			var b bulkShown
			g.do(key, http.MethodPost, "/v1/bulk", bulkOf("b", bulkRows, `"instances":["one","two"],`), http.StatusAccepted, &b)
			for quarter := 1; quarter <= 3; quarter++ {
				g.untilBulk(key, b.ID, func(b bulkShown) bool {
					return b.Counts["total"]-b.Counts["queued"] >= bulkRows*quarter/4
				})
				g.kill()
				g.start()
			}
			b = g.untilBulk(key, b.ID, func(b bulkShown) bool { return b.Counts["read"] == bulkRows })
			if b.State != "completed" {
				t.Errorf("the bulk is %s", b.State)
			}
			got := make(map[string]int)
			for _, c := range g.carriages(key) {
				got[c.To.WAID]++
			}
			if len(got) != bulkRows {
				t.Errorf("%d recipients of %d have the message", len(got), bulkRows)
			}
			for to, n := range got {
				if n != 1 {
					t.Errorf("%s has the message %d times", to, n)
				}
			}
		})
	}
}

// A bulk that was paused stays paused when its server is killed, and goes on
// where it stood when it is resumed.
func TestAPausedBulkStaysPausedThroughAKill(t *testing.T) {
	t.Parallel()
	g, key := bulkGateway(t, storetest.Light)
	b, rows := g.runningBulk(t, key, func(b bulkShown) bool {
		status, err := g.try(key, http.MethodPost, "/v1/bulk/"+b.ID+"/pause", "", "", &b)
		if err == nil && b.State != "paused" {
			t.Fatalf("the bulk is %s after pause", b.State)
		}
		return status == http.StatusOK && b.Counts["queued"] > b.Counts["total"]/10 // what is in hand goes out
	})
	g.kill()
	g.start()
	stood := g.untilBulk(key, b.ID, func(b bulkShown) bool { // receipts that were owed still come
		return b.Counts["read"]+b.Counts["queued"] == rows
	})
	if stood.State != "paused" || stood.Counts["queued"] == 0 {
		t.Fatalf("the bulk is %s with %v", stood.State, stood.Counts)
	}
	// Something of another sender goes its whole way meanwhile.
	g.do(key, http.MethodPost, "/v1/instances/one/messages?wait=sent&timeout=30s", `{"to":"+12025550100","text":"a code","priority":"high"}`, http.StatusOK, nil)
	if now := g.bulk(key, b.ID); now.Counts["queued"] != stood.Counts["queued"] {
		t.Errorf("a paused bulk went from %v to %v", stood.Counts, now.Counts)
	}
	g.do(key, http.MethodPost, "/v1/bulk/"+b.ID+"/resume", "", http.StatusOK, nil)
	g.untilBulk(key, b.ID, func(b bulkShown) bool { return b.State == "completed" && b.Counts["read"] == rows })
}

// runningBulk begins a bulk, and does something while it runs. A machine may be
// too busy for that: what came too late is done again to a bulk that lasts longer.
func (g *gatewayProcess) runningBulk(t *testing.T, key string, during func(bulkShown) (inTime bool)) (b bulkShown, rows int) {
	t.Helper()
	for rows = bulkRows; rows <= 16*bulkRows; rows *= 2 {
		b = bulkShown{}
		g.do(key, http.MethodPost, "/v1/instances/one/bulk", bulkOf("b", rows, ""), http.StatusAccepted, &b)
		g.untilBulk(key, b.ID, func(b bulkShown) bool { return b.Counts["queued"] < rows })
		if during(b) {
			return b, rows
		}
	}
	t.Fatalf("a bulk of %d rows was over before anything could be done to it", rows/2)
	return b, rows
}

// A one-time password does not wait for a bulk that is being sent from its
// instance.
func TestAnUrgentMessagePassesARunningBulk(t *testing.T) {
	t.Parallel()
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g, key := bulkGateway(t, engine)
			b, rows := g.runningBulk(t, key, func(b bulkShown) bool {
				for n := range 5 {
					body := fmt.Sprintf(`{"to":"+120255501%02d","text":"your code","priority":"high"}`, n)
					g.do(key, http.MethodPost, "/v1/instances/one/messages?wait=sent&timeout=30s", body, http.StatusOK, nil)
				}
				return g.bulk(key, b.ID).Counts["queued"] > 0
			})
			g.untilBulk(key, b.ID, func(b bulkShown) bool { return b.Counts["read"] == rows })
		})
	}
}
