package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// streamingServer is a server whose connections a test writes by hand, one
// after the other.
type streamingServer struct {
	*httptest.Server
	newest []string // answer of GET /v1/events?limit=1: ids
	ended  chan struct{}

	mu      sync.Mutex
	resumed []string // guarded by mu; of each connection: from where, and what it asks for
}

// serveStreams answers each connection as the next of turns says; one that comes
// behind the last of them is held open, and ends the test's command.
func serveStreams(t *testing.T, newest []string, turns ...func(w http.ResponseWriter, flush func())) *streamingServer {
	t.Helper()
	s := &streamingServer{newest: newest, ended: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk_test_x" {
			t.Errorf("%s came with the authorization %q", r.URL, r.Header.Get("Authorization"))
		}
		if r.URL.Path == "/v1/events" {
			answerEvents(w, s.newest)
			return
		}
		n := s.connected(strings.TrimSpace(r.Header.Get("Last-Event-ID") + " " + r.URL.RawQuery))
		if n < len(turns) {
			turns[n](w, w.(http.Flusher).Flush)
			return
		}
		startStream(w)
		w.(http.Flusher).Flush()
		if n == len(turns) {
			close(s.ended)
		}
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s
}

// connected notes a connection and returns how many there were before.
func (s *streamingServer) connected(how string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resumed = append(s.resumed, how)
	return len(s.resumed) - 1
}

func (s *streamingServer) connections() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.resumed)
}

func answerEvents(w http.ResponseWriter, ids []string) {
	var events []string
	for _, id := range ids {
		events = append(events, `{"id":"`+id+`"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"success":true,"data":[%s],"page":{"next":null,"limit":1},"request_id":"req_1"}`, strings.Join(events, ","))
}

func startStream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = io.WriteString(w, "retry: 1\n\n")
}

func refuseStream(status int, code string) func(http.ResponseWriter, func()) {
	return func(w http.ResponseWriter, _ func()) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"success":false,"error":{"code":"%s","message":"No.","details":{}},"request_id":"req_1"}`, code)
	}
}

// tellEvents is a connection that tells events by their numbers and ends.
func tellEvents(numbers ...int64) func(http.ResponseWriter, func()) {
	return func(w http.ResponseWriter, flush func()) {
		startStream(w)
		for _, n := range numbers {
			fmt.Fprintf(w, "id: %s\nevent: message.sent\ndata: %s\n\n", numberedEvent(n), eventOf(n))
			flush()
		}
	}
}

func numberedEvent(n int64) string {
	return messaging.NewEventID(n, time.UnixMilli(n))[:20] + "0000000000" // without what is drawn
}

func eventOf(n int64) string {
	return fmt.Sprintf(`{"id":"%s","type":"message.sent","api_version":"v1","environment":"test","workspace_id":"wsp_1","instance_id":"ins_1",`+
		`"sequence":%d,"timestamp":"2026-01-31T12:00:00.000Z","data":{"message":{"direction":"outbound","to":{"wa_id":"15005550006"},`+
		`"type":"text","status":"sent","content":{"body":"Olá %d"}}}}`, numberedEvent(n), n, n)
}

// listen runs the command until the server's turns are over, or it ends by
// itself.
func (s *streamingServer) listen(t *testing.T, flags ...string) (exit int, out, complaints string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	var stdout, stderr lockedBuffer
	args := append([]string{"listen", "--url", s.URL, "--api-key", "sk_test_x"}, flags...)
	exit = run(ctx, args, streams{in: strings.NewReader(""), out: &stdout, err: &stderr})
	return exit, stdout.String(), stderr.String()
}

// What happens while the connection is lost must not be missed: each one begins
// behind the last event that was shown, and the first one behind the newest
// event, so that nothing falls between it and the second.
func TestListenMissesNothingWhenTheConnectionIsLost(t *testing.T) {
	s := serveStreams(t, []string{numberedEvent(4)},
		tellEvents(), tellEvents(5, 6), refuseStream(503, "UNAVAILABLE"), tellEvents(7))
	exit, out, complaints := s.listen(t, "--json", "--type", "message.*,call.received", "--instance", "shop")
	if exit != exitDone {
		t.Errorf("exit = %d; want 0", exit)
	}
	if want := eventOf(5) + "\n" + eventOf(6) + "\n" + eventOf(7) + "\n"; out != want {
		t.Errorf("standard output:\n%s\nwant:\n%s", out, want)
	}
	const query = " instance=shop&type=message.%2A%2Ccall.received"
	want := []string{
		numberedEvent(4) + query, numberedEvent(4) + query, numberedEvent(6) + query, numberedEvent(6) + query, numberedEvent(7) + query,
	}
	if diff := cmp.Diff(want, s.connections()); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	if got := strings.Count(complaints, "the stream ended: "); got != 4 || !strings.Contains(complaints, "UNAVAILABLE") {
		t.Errorf("standard error tells of %d ends; want 4, one with UNAVAILABLE:\n%s", got, complaints)
	}
}

func TestListenBeginsWhereItIsTold(t *testing.T) {
	t.Run("behind an event", func(t *testing.T) {
		s := serveStreams(t, []string{numberedEvent(4)})
		s.listen(t, "--after", numberedEvent(2))
		if want := []string{numberedEvent(2)}; !cmp.Equal(s.connections(), want) {
			t.Errorf("connections = %q; want %q", s.connections(), want)
		}
	})
	t.Run("in an empty journal", func(t *testing.T) {
		s := serveStreams(t, nil)
		s.listen(t)
		if n, ok := messaging.EventSequence(s.connections()[0]); !ok || n != 0 {
			t.Errorf("it begins behind %q; want an id before the first event's", s.connections()[0])
		}
	})
}

// What the server refuses for good ends the command with the server's words, at
// once or when it happens; only what passes is waited for.
func TestListenEndsWhenTheServerRefusesForGood(t *testing.T) {
	for _, c := range []struct {
		name  string
		turns []func(http.ResponseWriter, func())
		want  string
	}{
		{"a revoked key", []func(http.ResponseWriter, func()){tellEvents(5), refuseStream(401, "UNAUTHORIZED")}, "portaria: No. (UNAUTHORIZED)"},
		{"a missing scope", []func(http.ResponseWriter, func()){refuseStream(403, "INSUFFICIENT_SCOPE")}, "portaria: No. (INSUFFICIENT_SCOPE)"},
		{"no such instance", []func(http.ResponseWriter, func()){refuseStream(404, "INSTANCE_NOT_FOUND")}, "portaria: No. (INSTANCE_NOT_FOUND)"},
		{"unavailable from the start", []func(http.ResponseWriter, func()){refuseStream(503, "UNAVAILABLE")}, "portaria: No. (UNAVAILABLE)"},
		{
			"no Portaria",
			[]func(http.ResponseWriter, func()){func(w http.ResponseWriter, _ func()) { fmt.Fprint(w, "<html>") }},
			"(NOT_PORTARIA)",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveStreams(t, []string{numberedEvent(4)}, c.turns...)
			exit, _, complaints := s.listen(t)
			if exit != exitFailed || !strings.Contains(complaints, c.want) {
				t.Errorf("exit = %d and\n%s\nwant 1 and %s", exit, complaints, c.want)
			}
		})
	}
}

func TestListenSaysThatNobodyIsThere(t *testing.T) {
	s := serveStreams(t, nil)
	s.Close()
	if exit, _, complaints := s.listen(t); exit != exitFailed || !strings.Contains(complaints, "SERVER_UNREACHABLE") {
		t.Errorf("exit = %d and\n%s\nwant 1 and SERVER_UNREACHABLE", exit, complaints)
	}
}

// A connection through a dead router stays open for ever; the silence gives it
// away, for a living server shows itself every 15 seconds.
func TestListenLeavesASilentServer(t *testing.T) {
	release := make(chan struct{})
	s := serveStreams(t, []string{numberedEvent(4)}, func(w http.ResponseWriter, flush func()) {
		tellEvents(5)(w, flush)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		<-s.ended
		cancel()
	}()
	var out, complaints lockedBuffer
	cmd := &listenCmd{URL: s.URL, APIKey: "sk_test_x"}
	f, err := cmd.newFollower(&eventPrinter{streams: streams{out: &out, err: &complaints}})
	if err != nil {
		t.Fatal(err)
	}
	f.silence = 200 * time.Millisecond
	f.handle = handleEvents(f.out, nil)
	if err := f.run(ctx); err != nil {
		t.Errorf("run = %v; want nil", err)
	}
	resumed := s.connections()
	if len(resumed) < 2 || resumed[1] != numberedEvent(5) || !strings.Contains(complaints.String(), "the server is silent") {
		t.Errorf("connections %q, and\n%s\nwant a second one behind the event", resumed, complaints.String())
	}
}

// The stream tells about itself too: that events are missing, that its reader
// was too slow. People must see it, and nothing of it is an event.
func TestListenTellsWhatTheStreamSaysOfItself(t *testing.T) {
	s := serveStreams(t, []string{numberedEvent(4)}, func(w http.ResponseWriter, flush func()) {
		startStream(w)
		fmt.Fprint(w, "event: gap\ndata: {\"after\":\"evt_a\",\"first\":\"evt_b\"}\n\nevent: gap\ndata: {\"after\":\"evt_a\",\"first\":null}\n\n"+
			"event: dropped\ndata: {\"code\":\"TOO_SLOW\",\"message\":\"Too \\u001b[31mslow.\",\"last_event_id\":null}\n\nevent: later\ndata: what?\n\n")
	})
	exit, out, complaints := s.listen(t)
	for _, want := range []string{"behind evt_a and before evt_b", "those behind evt_a are", "TOO_SLOW Too ·[31mslow."} {
		if !strings.Contains(complaints, want) {
			t.Errorf("standard error lacks %q:\n%s", want, complaints)
		}
	}
	if exit != exitDone || out != "" {
		t.Errorf("exit = %d with %q on standard output; want 0 and nothing", exit, out)
	}
}

func TestListenRefusesFlagsThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct{ flags, want string }{
		{"--type Message", "--type"},
		{"--type message.", "--type"},
		{"--after evt_1", "--after"},
		{"--forward localhost:3000", "--forward"},
		{"--forward ftp://localhost", "--forward"},
		{"--receive 9000 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "--receive"},
		{"--receive 127.0.0.1:0", "--secret"},
		{"--receive 127.0.0.1:0 --secret nonsense!", "--secret"},
		{"--receive 127.0.0.1:0 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw --type message.*", "--type"},
		{"--api-key=", "--api-key"},
		{"--url 127.0.0.1", "--url"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			var out, complaints lockedBuffer
			args := append([]string{"listen", "--api-key", "sk_test_x"}, strings.Fields(c.flags)...)
			exit := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &complaints})
			if exit != exitUsage || !strings.Contains(complaints.String(), c.want) || out.String() != "" {
				t.Errorf("exit = %d and\n%s\nwant 2 and a sentence on %s", exit, complaints.String(), c.want)
			}
			if strings.Contains(complaints.String(), "MfKQ9r8") {
				t.Errorf("the secret is shown:\n%s", complaints.String())
			}
		})
	}
}
