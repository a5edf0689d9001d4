package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"portaria/auth"
	"portaria/messaging"
	"portaria/outbox"
)

// serveHere serves an app on loopback until the test ends.
func serveHere(t *testing.T, app *fiber.App) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(app.ShutdownWithTimeout(time.Minute), <-done); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func windowFor(warm, measure time.Duration) window {
	from := time.Now().Add(warm)
	return window{from: from, until: from.Add(measure)}
}

// TestMessagesAreWhatTheGoalsSpeakOf: 196 bytes, and recipients that the
// product accepts, each another one.
func TestMessagesAreWhatTheGoalsSpeakOf(t *testing.T) {
	seen := make(map[string]bool)
	for _, n := range []int{0, 1, 64, 12_345_678, 99_999_999} {
		body := messageBody()
		setRecipient(body, n)
		if len(body) != bodySize {
			t.Fatalf("%d bytes, want %d", len(body), bodySize)
		}
		var m hello
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		if _, err := outbox.ParseRecipient(m.To); err != nil {
			t.Errorf("%s: %v", m.To, err)
		}
		if seen[m.To] {
			t.Errorf("%s comes twice", m.To)
		}
		seen[m.To] = true
	}
}

// TestLoadCountsAnswersInsideTheWindow compares what the load says with what
// the server saw.
func TestLoadCountsAnswersInsideTheWindow(t *testing.T) {
	app := rawApp()
	target := &target{address: serveHere(t, app), paths: []string{rawPath}, post: true, want: http.StatusOK}
	const measure = time.Second
	latencies, err := hammer(t.Context(), target, 4, windowFor(50*time.Millisecond, measure), 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (result{latencies: latencies, elapsed: measure}).sample()
	if err != nil {
		t.Fatal(err)
	}
	if got := s[rate] * measure.Seconds(); got < 10 || int(got+0.5) != len(latencies) {
		t.Errorf("%v answers by the rate, %d latencies", got, len(latencies))
	}
	if s[p50] <= 0 || s[p99] < s[p50] {
		t.Errorf("p50 %v, p99 %v", s[p50], s[p99])
	}
}

// TestPaceIsKept: the flood of bogus tokens is as large as it says only if the
// load neither runs ahead nor falls behind.
func TestPaceIsKept(t *testing.T) {
	target := &target{address: serveHere(t, rawApp()), paths: []string{rawPath}, post: true, want: http.StatusOK}
	latencies, err := hammer(t.Context(), target, 2, windowFor(0, 2*time.Second), 40*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(latencies); n < 10 || n > 100 { // 2 × 50, on a machine that may be busy
		t.Errorf("%d requests in two seconds at 50 a second", n)
	}
}

// TestUnexpectedAnswerFailsTheRun: refusals are quick, and would make the best
// figures of all.
func TestUnexpectedAnswerFailsTheRun(t *testing.T) {
	target := &target{address: serveHere(t, rawApp()), paths: []string{"/nowhere"}, post: true, want: http.StatusOK}
	if _, err := hammer(t.Context(), target, 2, windowFor(0, time.Minute), 0); !errors.Is(err, errStatus) {
		t.Errorf("got %v, want %v", err, errStatus)
	}
	if err := send(t.Context(), target, 2, 0, 10); !errors.Is(err, errStatus) {
		t.Errorf("got %v, want %v", err, errStatus)
	}
}

// TestSendPostsEachMessageOnce: the life cycle waits for exactly so many.
func TestSendPostsEachMessageOnce(t *testing.T) {
	var mu sync.Mutex
	recipients, paths, bearers := make(map[string]int), make(map[string]int), make(map[string]int)
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Immutable: true})
	app.Post("/:lane", func(c *fiber.Ctx) error {
		var m hello
		if err := json.Unmarshal(c.Body(), &m); err != nil {
			return fiber.ErrBadRequest
		}
		mu.Lock()
		defer mu.Unlock()
		recipients[m.To]++
		paths[c.Params("lane")]++
		bearers[c.Get("Authorization")]++
		return c.SendStatus(http.StatusAccepted)
	})
	target := &target{
		address: serveHere(t, app), paths: []string{"/a", "/b", "/c"}, tokens: []string{"x", "y"},
		post: true, want: http.StatusAccepted,
	}
	const n = 300
	if err := send(t.Context(), target, 8, 1000, n); err != nil {
		t.Fatal(err)
	}
	if len(recipients) != n {
		t.Errorf("%d recipients, want %d", len(recipients), n)
	}
	for to, times := range recipients {
		if times != 1 {
			t.Errorf("%s got %d messages", to, times)
		}
	}
	for _, lane := range []string{"a", "b", "c"} {
		if paths[lane] != n/3 {
			t.Errorf("lane %s got %d messages, want %d", lane, paths[lane], n/3)
		}
	}
	if bearers["Bearer x"] != n/2 || bearers["Bearer y"] != n/2 {
		t.Errorf("tokens were used so: %v", bearers)
	}
}

// TestForgedTokensFailAtTheSecretOnly: a malformed one would be refused before
// it costs the server anything.
func TestForgedTokensFailAtTheSecretOnly(t *testing.T) {
	genuine := auth.Mint(messaging.Test)
	text, err := forge(genuine.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := auth.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if forged.KeyID() != genuine.KeyID() || text == genuine.Reveal() {
		t.Error("not another secret for the same key")
	}
	if _, err := forge("sk_test_short"); err == nil {
		t.Error("forged what is no token")
	}
}
