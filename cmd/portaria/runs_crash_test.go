package main

import (
	"database/sql"
	"net/http"
	"strings"
	"sync"
	"testing"

	"portaria/store/storetest"
)

// A server that is killed in the middle of a run leaves no instance of the run
// behind, and says of the run that it was broken off.
func TestKillingTheServerDuringRunsLeavesNoneOpen(t *testing.T) {
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			options := storetest.Options(t, engine)
			g := newGateway(t, options)
			g.start()
			key := g.mintFor("test", "--scope", "*", "--all-instances")
			step := `{"send":{"to":"+15005550013","text":"x"}},{"advance":3600}`
			script := `{"steps":[` + strings.Repeat(step+",", 200) + `{"advance":1}]}`
			const runs = 3
			var asked sync.WaitGroup
			for range runs {
				asked.Go(func() { _, _ = g.try(key, http.MethodPost, "/v1/sandbox/runs", script, "", nil) }) // it is cut off
			}
			waitUntil(t, patience, func() bool { return len(g.carriages(key)) >= 2*runs })
			g.kill()
			asked.Wait()
			db := rawDatabase(t, options)
			if n := count(t, db, `SELECT COUNT(*) FROM sandbox_runs WHERE state = 'running'`); n != runs {
				t.Fatalf("%d runs were killed, not %d", n, runs)
			}
			g.start()
			if n := count(t, db, `SELECT COUNT(*) FROM sandbox_runs WHERE state = 'aborted'`); n != runs {
				t.Errorf("%d runs are aborted", n)
			}
			if n := count(t, db, `SELECT COUNT(*) FROM instances WHERE name LIKE 'run-%' AND deleted_at = 0`); n != 0 {
				t.Errorf("%d instances are left", n)
			}
			seen := make(map[string]bool)
			for _, c := range g.carriages(key) {
				if seen[c.WAMessageID] {
					t.Errorf("%s was carried twice", c.WAMessageID)
				}
				seen[c.WAMessageID] = true
			}
			g.do(key, http.MethodPost, "/v1/sandbox/runs", `{"steps":[{"send":{"to":"+12025550123","text":"x"}},{"expect":{"event":"message.read"}}]}`, http.StatusCreated, nil)
		})
	}
}

func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
