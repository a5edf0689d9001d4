package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"portaria/events/webhooks"
)

// localProgram is what somebody develops: it notes what it is told, and answers
// as its answers say, then 204.
type localProgram struct {
	*httptest.Server
	told []string // event ids, one for each try
}

func runProgram(t *testing.T, secret webhooks.Secret, answers ...int) *localProgram {
	t.Helper()
	p := new(localProgram)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if err := webhooks.Verify(r.Header, body, time.Now(), secret); err != nil {
			t.Errorf("it is told what it must not believe: %v", err)
		}
		id := r.Header.Get(webhooks.HeaderID)
		if !strings.Contains(string(body), `"id":"`+id+`"`) || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("webhook-id %s came with %s as %s", id, body, r.Header.Get("Content-Type"))
		}
		p.told = append(p.told, id)
		if n := len(p.told); n <= len(answers) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(answers[n-1])
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(p.Close)
	return p
}

// A program under development crashes and is started again: what was refused is
// tried again before the next event is told, and one that is never taken holds
// up nothing for ever.
func TestForwardKeepsTheOrderAndGivesUpInTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []int
		told    []int64
		says    []string
	}{
		{"taken", nil, []int64{5, 6}, []string{"204 in"}},
		{"fails twice", []int{500, 503}, []int64{5, 5, 5, 6}, []string{"204 in"}},
		{"is busy", []int{429}, []int64{5, 5, 6}, []string{"204 in"}},
		{"never takes the first", []int{500, 500, 500, 500}, []int64{5, 5, 5, 5, 6}, []string{"500 in", "after 4 tries (failed)", "204 in"}},
		{"refuses it", []int{404}, []int64{5, 6}, []string{"404 in", "(failed)", "204 in"}},
		{"points elsewhere", []int{302}, []int64{5, 6}, []string{"302 in", "(failed)", "204 in"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret := webhooks.NewSecret()
			program := runProgram(t, secret, c.answers...)
			var out lockedBuffer
			f := &forwarder{url: program.URL, secrets: []webhooks.Secret{secret}, client: newForwardClient(), waits: make([]time.Duration, 3)}
			handle := handleEvents(&eventPrinter{streams: streams{out: &out, err: io.Discard}}, f)
			for _, n := range []int64{5, 6} {
				if err := handle(t.Context(), numberedEvent(n), jsontext.Value(eventOf(n))); err != nil {
					t.Fatal(err)
				}
			}
			var want []string
			for _, n := range c.told {
				want = append(want, numberedEvent(n))
			}
			if diff := cmp.Diff(want, program.told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			for _, says := range c.says {
				if !strings.Contains(out.String(), says) {
					t.Errorf("it does not say %q:\n%s", says, out.String())
				}
			}
		})
	}
}

func TestForwardToNobodyIsTold(t *testing.T) {
	program := runProgram(t, webhooks.NewSecret())
	program.Close()
	var out lockedBuffer
	f := &forwarder{url: program.URL, client: newForwardClient(), waits: make([]time.Duration, 1)}
	handle := handleEvents(&eventPrinter{streams: streams{out: io.Discard, err: &out}, json: true}, f)
	if err := handle(t.Context(), numberedEvent(5), jsontext.Value(eventOf(5))); err != nil {
		t.Errorf("it ends the listener: %v", err)
	}
	if said := out.String(); !strings.Contains(said, "no answer") || !strings.Contains(said, "after 2 tries (failed)") {
		t.Errorf("it says %q", said)
	}
}

// Ctrl-C ends the command also while it waits to try a forward again.
func TestForwardEndsWithTheCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		cancel()
	}))
	t.Cleanup(program.Close)
	f := &forwarder{url: program.URL, client: newForwardClient(), waits: []time.Duration{time.Hour}}
	if o := f.insist(ctx, "evt_1", []byte("{}")); o.tries != 1 {
		t.Errorf("it tried %d times; want 1", o.tries)
	}
}

// A listener that draws its secret shows it, or the program could not verify
// what it is told.
func TestListenForwardsWithADrawnSecret(t *testing.T) {
	s := serveStreams(t, []string{numberedEvent(4)}, tellEvents(5))
	var verified error
	body := ""
	var headers http.Header
	program := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body, headers = string(b), r.Header
	}))
	t.Cleanup(program.Close)
	exit, _, complaints := s.listen(t, "--forward", program.URL+"/hooks")
	_, text, _ := strings.Cut(complaints, "signed with ")
	text, _, _ = strings.Cut(text, "\n")
	secret, err := webhooks.ParseSecret(text)
	if err != nil {
		t.Fatalf("standard error shows no secret: %v\n%s", err, complaints)
	}
	verified = webhooks.Verify(headers, []byte(body), time.Now(), secret)
	if exit != exitDone || verified != nil || body != eventOf(5) {
		t.Errorf("exit = %d, the program got %s, verified: %v", exit, body, verified)
	}
}

// During a rotation both secrets sign: programs with either one believe it.
func TestForwardSignsWithEverySecret(t *testing.T) {
	old, current := webhooks.NewSecret(), webhooks.NewSecret()
	f := &forwarder{secrets: []webhooks.Secret{current, old}}
	h := f.headers("evt_1", time.Now(), []byte("{}"))
	for n, secret := range []webhooks.Secret{old, current} {
		if err := webhooks.Verify(h, []byte("{}"), time.Now(), secret); err != nil {
			t.Errorf("secret %d: %v", n, err)
		}
	}
}

// The vector is that of the Standard Webhooks reference libraries.
func TestForwardSignsByTheStandard(t *testing.T) {
	secret, err := webhooks.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{secrets: []webhooks.Secret{secret}}
	h := f.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get(webhooks.HeaderSignature), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature = %s; want %s", got, want)
	}
}
