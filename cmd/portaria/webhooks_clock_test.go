package main

import (
	"net/http"
	"testing"
	"time"

	"portaria/store/storetest"
)

// A rehearsal moves the test clock and finds done what was due: the tries of a
// webhook too. A broker that is down is nothing to wait for.
func TestAMovedClockFindsTheRetriesDone(t *testing.T) {
	t.Parallel()
	g := hooked(newGateway(t, storetest.Options(t, storetest.Light)))
	g.env = append(g.env, "PORTARIA_NATS_URL=nats://127.0.0.1:1") // nobody listens there
	g.start()
	key := g.mint("--scope", "*", "--all-instances")
	g.do(key, http.MethodPut, "/v1/sandbox/clock", `{"mode":"frozen"}`, http.StatusOK, nil)
	r := newEndpoint(t)
	r.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	id := r.listens(g, key, `,"events":["instance.created"],"retry_policy":{"schedule":["0s","1h","1d"]}`)
	g.do(key, http.MethodPost, "/v1/instances", `{"name":"one"}`, http.StatusCreated, nil)
	for tries, seconds := range []string{"0", "5400", "108000"} {
		began := time.Now()
		g.do(key, http.MethodPost, "/v1/sandbox/clock/advance", `{"seconds":`+seconds+`}`, http.StatusOK, nil)
		deliveries := pages[struct {
			State    string
			Attempts int
		}](g, key, "/v1/webhooks/"+id+"/deliveries")
		want := map[bool]string{false: "pending", true: "failed"}[tries == 2]
		if len(deliveries) != 1 || deliveries[0].Attempts != tries+1 || deliveries[0].State != want {
			t.Errorf("after %s s: %+v, want %d tries and %s; the clock took %s", seconds, deliveries, tries+1, want, time.Since(began))
		}
	}
}
