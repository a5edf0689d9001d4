package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const bulkID = "blk_01h455vb4pex5vsknk084sn02q"

// bulkJSON is a bulk at a state, as the server shows it.
func bulkJSON(state, counts string) string {
	return fmt.Sprintf(`{"id":"%s","name":null,"state":"%s","counts":{%s},"send_at":null,"estimated_completion_at":null,"a_later_member":1}`, bulkID, state, counts)
}

func answered(data string) string {
	return `{"success":true,"data":` + data + `,"request_id":"req_1"}`
}

func refusedWith(code, details string) string {
	return `{"success":false,"error":{"code":"` + code + `","message":"No.","details":{` + details + `}},"request_id":"req_1"}`
}

// reply is what a server answers once.
type reply struct {
	status int
	body   string
}

// bulkServer answers uploads and looks as a test writes them.
type bulkServer struct {
	*httptest.Server
	me     string            // instances of GET /v1/me
	upload reply             // of a POST
	busy   int               // how many POSTs are answered 429 before it
	looks  []reply           // of GET /v1/bulk/{id}, one after the other; the last one stays
	tables map[string]string // of the recipients as CSV, by status

	stdin io.Reader // of the commands; nil: empty

	mu     sync.Mutex
	looked int        // guarded by mu
	asked  int        // guarded by mu; how often GET /v1/me was
	posts  []uploaded // guarded by mu
}

// uploaded is a request that carried a bulk.
type uploaded struct {
	URL, Key, ContentType string
	Length                int64
	Parts                 map[string]string // by name
	Types                 map[string]string
}

func serveBulks(t *testing.T) *bulkServer {
	s := &bulkServer{
		me:     `[{"id":"ins_1","name":"demo"}]`,
		upload: reply{http.StatusAccepted, answered(bulkJSON("running", `"total":3,"queued":3`))},
		looks:  []reply{{http.StatusOK, answered(bulkJSON("completed", `"total":3,"read":3`))}},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk_test_x" {
			t.Errorf("%s came with the authorization %q", r.URL, r.Header.Get("Authorization"))
		}
		switch {
		case r.URL.Path == "/v1/me":
			s.mu.Lock()
			s.asked++
			s.mu.Unlock()
			fmt.Fprint(w, answered(`{"id":"key_1","scopes":["*"],"instances":`+s.me+`}`))
		case r.Method == http.MethodPost:
			if s.take(t, r); len(s.uploads()) <= s.busy {
				w.Header().Set("Retry-After", "1")
				write(w, reply{http.StatusTooManyRequests, refusedWith("RATE_LIMITED", "")})
				return
			}
			write(w, s.upload)
		case strings.HasSuffix(r.URL.Path, "/recipients"):
			if r.Header.Get("Accept") != "text/csv" {
				t.Errorf("recipients were asked for as %q", r.Header.Get("Accept"))
			}
			fmt.Fprint(w, s.tables[r.URL.Query().Get("status")])
		case r.URL.Path == "/v1/bulk/"+bulkID:
			write(w, s.look())
		default:
			t.Errorf("asked for %s", r.URL)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func write(w http.ResponseWriter, r reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

func (s *bulkServer) look() reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.looked, len(s.looks)-1)
	s.looked++
	return s.looks[n]
}

func (s *bulkServer) looksSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looked
}

// keysSoFar is how often a key was asked about.
func (s *bulkServer) keysSoFar() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *bulkServer) take(t *testing.T, r *http.Request) {
	u := uploaded{
		URL: r.URL.String(), Key: r.Header.Get("Idempotency-Key"), Length: r.ContentLength,
		Parts: make(map[string]string), Types: make(map[string]string),
	}
	form, err := r.MultipartReader()
	if err != nil {
		t.Errorf("no form: %v", err)
		return
	}
	for {
		part, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // as it is documented
			break
		}
		if err != nil {
			t.Errorf("a broken form: %v", err)
			return
		}
		text, err := io.ReadAll(part)
		if err != nil {
			t.Errorf("a broken part: %v", err)
		}
		u.Parts[part.FormName()], u.Types[part.FormName()] = string(text), part.Header.Get("Content-Type")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, u)
}

func (s *bulkServer) uploads() []uploaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}

// run runs a command against the server.
func (s *bulkServer) run(ctx context.Context, args ...string) (exit int, out, complaints string) {
	var stdout, stderr lockedBuffer
	args = append(args, "--url", s.URL, "--api-key", "sk_test_x")
	in := s.stdin
	if in == nil {
		in = strings.NewReader("")
	}
	exit = run(ctx, args, streams{in: in, out: &stdout, err: &stderr})
	return exit, stdout.String(), stderr.String()
}
