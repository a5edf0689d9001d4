package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"portaria/auth"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// Whatever keys of both environments ask for, in whatever order: no row, answer,
// event, delivery or bucket of one is ever another's, a locked key never sees an
// instance that is not its own, and nothing dials. (That a dial would be seen shows
// TestNoStoryOfATestKeyDials.)
func TestTheWorldsNeverMeet(t *testing.T) {
	for _, engine := range heavyEngines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			g := newRehearsal(t, engine)
			db := rawDatabase(t, g.options)
			n := 0
			rapid.Check(t, func(rt *rapid.T) {
				n++
				w := newTwoWorlds(t, rt, g.realDoor, fmt.Sprintf("twins-%d", n))
				for range rapid.IntRange(5, isolationSteps).Draw(rt, "steps") {
					w.ask(rt)
				}
				w.settle(rt)
				w.checkDeliveries(rt)
				checkRows(rt, db)
				if dials := g.dials.Load(); dials != 0 {
					rt.Errorf("something dialled %d times", dials)
				}
			})
		})
	}
}

// isolationSteps bounds the requests of one history.
const isolationSteps = 16

// twoWorlds are the worlds of one workspace, with everything named alike.
type twoWorlds struct {
	t     *testing.T
	door  realDoor
	keys  []*twinKey
	owner map[string]messaging.Environment // of every id that an answer has shown
	ids   []string                         // the same, in the order of their coming
	hooks map[messaging.Environment]*twinHook
}

// twinKey is a key and what is known of its bucket.
type twinKey struct {
	env    messaging.Environment
	token  string
	only   string // the instance that it is locked to; empty: none
	tokens int    // left in its bucket; -1: nothing was asked yet
}

// twinHook is somebody's endpoint for one environment.
type twinHook struct {
	server *httptest.Server
	mu     sync.Mutex
	bodies [][]byte
}

func newTwinHook(t *testing.T) *twinHook {
	h := new(twinHook)
	h.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies = append(h.bodies, body)
	}))
	t.Cleanup(h.server.Close)
	return h
}

func newTwoWorlds(t *testing.T, rt *rapid.T, door *realDoor, name string) *twoWorlds {
	w := &twoWorlds{
		t: t, door: *door, owner: make(map[string]messaging.Environment),
		hooks: make(map[messaging.Environment]*twinHook),
	}
	w.door.workspace = storetest.Workspace(t, door.app.store, name).Workspace()
	for _, env := range []messaging.Environment{messaging.Live, messaging.Test} {
		all := w.mint(auth.NewKey{Environment: env, Scopes: []string{"*"}, AllInstances: true})
		first := w.make(rt, all, "one")
		w.make(rt, all, "two")
		locked := w.mint(auth.NewKey{Environment: env, Scopes: []string{"*"}, Instances: []string{first}})
		locked.only = first
		w.hooks[env] = newTwinHook(t)
		w.do(rt, all, http.MethodPost, "/v1/webhooks", fmt.Sprintf(`{"url":%q}`, w.hooks[env].server.URL))
	}
	return w
}

// mint makes a key whose bucket does not fill up while the test looks.
func (w *twoWorlds) mint(draft auth.NewKey) *twinKey {
	w.t.Helper()
	draft.Name, draft.RatePerMinute, draft.RateBurst = "twin", 1, 10_000
	_, token := w.door.Mint(w.t, draft)
	k := &twinKey{env: draft.Environment, token: token, tokens: -1}
	w.keys = append(w.keys, k)
	return k
}

// make makes an instance and returns its id.
func (w *twoWorlds) make(rt *rapid.T, k *twinKey, name string) string {
	var made struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(w.do(rt, k, http.MethodPost, "/v1/instances", fmt.Sprintf(`{"name":%q}`, name)), &made); err != nil || made.Data.ID == "" {
		rt.Fatalf("no instance was made: %v", err)
	}
	return made.Data.ID
}

// twinRequests are what may be asked. {i} is an instance, and {msg} and the like any
// such id that was seen, of whichever world; connections of live instances are not asked for, so
// that nothing may dial.
var twinRequests = []string{
	`POST /v1/instances/{i}/messages {"to":"+12025550123","text":"x"}`,
	`POST /v1/instances/{i}/messages {"to":"+15005550019","text":"x"}`,
	`POST /v1/instances/{i}/messages {"to":"+12025550123","text":"x","send_at":"{at}"}`,
	`POST /v1/instances/{i}/messages {"to":"+12025550123","type":"reaction","reaction":{"message_id":"{msg}","emoji":"x"}}`,
	`POST /v1/bulk {"instances":["one","two"],"message":{"text":"x"},"recipients":[{"to":"+12025550101"},{"to":"+12025550102"}]}`,
	`POST /v1/instances/{i}/bulk {"message":{"text":"x"},"recipients":[{"to":"+12025550101"}]}`,
	`POST /v1/instances/{i}/bulk?dry_run=true {"message":{"text":"x"},"recipients":[{"to":"+12025550101"}]}`,
	`POST /v1/bulk/{blk}/pause`, `POST /v1/bulk/{blk}/cancel`, `GET /v1/bulk/{blk}`, `GET /v1/bulk`, `GET /v1/bulk/{blk}/recipients`,
	`GET /v1/messages`, `GET /v1/messages?instance={i}`, `GET /v1/messages/{msg}`, `GET /v1/messages/{msg}/events`,
	`POST /v1/messages/{msg}/cancel`, `DELETE /v1/messages/{msg}`, `PATCH /v1/messages/{msg} {"text":"y"}`,
	`GET /v1/events`, `GET /v1/events?instance={i}`, `GET /v1/events?after={evt}`, `GET /v1/logs`, `GET /v1/me`,
	`GET /v1/instances`, `GET /v1/instances/{i}`, `GET /v1/instances/{i}/pace`, `PATCH /v1/instances/{i} {"metadata":{"a":"b"}}`,
	`POST /v1/instances/{i}/disconnect`, `POST /v1/instances {"name":"three"}`, `DELETE /v1/instances/three`,
	`POST /v1/opt-outs {"to":"+12025550199"}`, `GET /v1/opt-outs`,
	`GET /v1/webhooks`, `GET /v1/webhooks/{whk}`, `GET /v1/webhooks/{whk}/deliveries`, `POST /v1/webhooks/{whk}/test`,
	`POST /v1/media {"base64":"iVBORw0KGgo=","filename":"a.png"}`, `GET /v1/media/{med}`,
	`GET /v1/sandbox/clock`, `PUT /v1/sandbox/clock {"mode":"instant"}`, `PUT /v1/sandbox/clock {"mode":"frozen"}`,
	`POST /v1/sandbox/clock/advance {"seconds":1}`, `GET /v1/sandbox/messages`, `GET /v1/sandbox/messages?instance={i}`,
	`POST /v1/sandbox/instances/{i}/drop`, `POST /v1/sandbox/instances/{i}/reconnect`, `POST /v1/sandbox/instances/{i}/logout`,
	`POST /v1/sandbox/instances/{i}/ban {"seconds":60}`, `POST /v1/sandbox/instances/{i}/inbound {"from":"+12025550155","text":"STOP"}`,
	`POST /v1/sandbox/runs {"instance":"{i}","steps":[{"send":{"to":"+12025550123","text":"x"}},{"expect":{"event":"message.read"}}]}`,
	`POST /v1/sandbox/runs {"steps":["drop","reconnect"]}`, `GET /v1/sandbox/runs/{run}`, `POST /v1/sandbox/reset`,
}

// ask makes one request of somebody's.
func (w *twoWorlds) ask(rt *rapid.T) {
	k := rapid.SampledFrom(w.keys).Draw(rt, "key")
	request := rapid.SampledFrom(twinRequests).Draw(rt, "request")
	instance := rapid.SampledFrom(append(w.seen(messaging.InstancePrefix), "one", "two", "one", "two")).Draw(rt, "instance")
	request = strings.NewReplacer("{i}", instance, "{at}", tomorrow()).Replace(request)
	request = anyPlace.ReplaceAllStringFunc(request, func(place string) string {
		noun := messaging.IDPrefix(strings.Trim(place, "{}") + "_")
		return rapid.SampledFrom(append(w.seen(noun), string(noun)+strings.Repeat("0", 26))).Draw(rt, "id")
	})
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	w.do(rt, k, method, path, body)
}

var anyPlace = regexp.MustCompile(`\{[a-z]{3}\}`)

// seen are the ids with a prefix, of both worlds.
func (w *twoWorlds) seen(prefix messaging.IDPrefix) (ids []string) {
	for _, id := range w.ids {
		if strings.HasPrefix(id, string(prefix)) {
			ids = append(ids, id)
		}
	}
	return ids
}

var anyID = regexp.MustCompile(`\b(ins|msg|evt|whk|dlv|med|blk|rcp|run)_[0-9a-z]{26}\b`)

// do makes a request and checks what its answer shows.
func (w *twoWorlds) do(rt *rapid.T, k *twinKey, method, path, body string) []byte {
	rt.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.door.url+path, strings.NewReader(body))
	if err != nil {
		rt.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+k.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		rt.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		rt.Fatal(err)
	}
	where := fmt.Sprintf("%s %s %s by a %s key (locked: %t): %s", method, path, body, k.env, k.only != "", answer.Status)
	if answer.StatusCode >= http.StatusInternalServerError {
		rt.Fatalf("%s: %s", where, text)
	}
	if got := answer.Header.Get("Portaria-Environment"); got != string(k.env) {
		rt.Errorf("%s: it says %q", where, got)
	}
	w.checkIDs(rt, k, where, text)
	w.checkBucket(rt, k, where, answer)
	return text
}

// checkIDs holds the ids of an answer against who has seen them first. The
// request's own ids are in no answer but as its own objects.
func (w *twoWorlds) checkIDs(rt *rapid.T, k *twinKey, where string, text []byte) {
	for _, found := range anyID.FindAll(text, -1) {
		id := string(found)
		owner, known := w.owner[id]
		if !known {
			w.owner[id] = k.env
			w.ids = append(w.ids, id)
			continue
		}
		if owner != k.env {
			rt.Errorf("%s shows %s, which is of %s", where, id, owner)
		}
	}
	if k.only == "" {
		return
	}
	for _, found := range anyID.FindAll(text, -1) {
		if id := string(found); strings.HasPrefix(id, "ins_") && id != k.only {
			rt.Errorf("%s shows the instance %s", where, id)
		}
	}
}

// checkBucket notes that nobody but the key itself has spent its tokens.
func (w *twoWorlds) checkBucket(rt *rapid.T, k *twinKey, where string, answer *http.Response) {
	left, err := strconv.Atoi(answer.Header.Get("X-RateLimit-Remaining"))
	if err != nil {
		rt.Fatalf("%s: no bucket is shown: %v", where, err)
	}
	const dearest = 3 // what the dearest request of the test costs
	if k.tokens >= 0 && (left < k.tokens-dearest || left > k.tokens+1) {
		rt.Errorf("%s: %d tokens are left of %d", where, left, k.tokens)
	}
	k.tokens = left
}

// settle lets the test world come to rest.
func (w *twoWorlds) settle(rt *rapid.T) {
	w.do(rt, w.keys[2], http.MethodPut, "/v1/sandbox/clock", `{"mode":"frozen"}`)
	w.do(rt, w.keys[2], http.MethodPost, "/v1/sandbox/clock/advance", `{"seconds":5}`)
}

// worldlyTables are those whose rows name an instance and their world.
var worldlyTables = []string{
	"api_key_instances", "messages", "outbox", "events", "sandbox_carriages", "pairings", "media", "calls", "pairing_links", "webhook_instances",
	"webhook_deliveries", "bulk_instances", "bulk_recipients", "opt_outs", "sandbox_runs",
}

// checkRows looks for rows whose instance is of another world than they are.
func checkRows(rt *rapid.T, db *sql.DB) {
	for _, table := range worldlyTables {
		var strays int
		if err := db.QueryRow(`SELECT COUNT(*) FROM ` + table + ` r JOIN instances i ON i.id = r.instance_id
			WHERE r.environment <> i.environment OR r.workspace_id <> i.workspace_id`).Scan(&strays); err != nil {
			rt.Fatalf("%s: %v", table, err)
		}
		if strays > 0 {
			rt.Errorf("%s has %d rows whose instance is of another world", table, strays)
		}
	}
}

// rawDatabase opens a store's database beside it.
func rawDatabase(t *testing.T, o store.Options) *sql.DB {
	t.Helper()
	driver, at := "sqlite", "file:"+filepath.Join(o.DataDir, "portaria.db")+"?mode=ro"
	if o.DatabaseURL != "" {
		driver, at = "postgres", o.DatabaseURL
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// checkDeliveries reads what the endpoints were told.
func (w *twoWorlds) checkDeliveries(rt *rapid.T) {
	for env, h := range w.hooks {
		h.mu.Lock()
		bodies := slices.Clone(h.bodies)
		h.mu.Unlock()
		for _, body := range bodies {
			if !bytes.Contains(body, []byte(`"environment":"`+string(env)+`"`)) {
				rt.Errorf("the endpoint of %s was told %s", env, body)
			}
			for _, found := range anyID.FindAll(body, -1) {
				if owner, known := w.owner[string(found)]; known && owner != env {
					rt.Errorf("the endpoint of %s was told of %s", env, found)
				}
			}
		}
	}
}
