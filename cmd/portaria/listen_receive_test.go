package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"portaria/events/webhooks"
)

// newReceiver is a receiver in this process, with what it shows.
func newReceiver(t *testing.T, forward *forwarder, secrets ...webhooks.Secret) (url string, out, complaints *lockedBuffer) {
	t.Helper()
	out, complaints = new(lockedBuffer), new(lockedBuffer)
	r := &receiver{
		out: &eventPrinter{streams: streams{out: out, err: complaints}}, secrets: secrets, forward: forward,
		now: time.Now, failed: make(chan error, 1),
	}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return s.URL, out, complaints
}

// deliver posts a body as a webhook; change may spoil it.
func deliver(t *testing.T, url string, secret webhooks.Secret, body string, change func(*http.Request)) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = (&forwarder{secrets: []webhooks.Secret{secret}}).headers(numberedEvent(5), time.Now(), []byte(body))
	if change != nil {
		change(req)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, strings.TrimSpace(string(text))
}

// The receiver is what developers compare their own with: it must refuse what a
// good one refuses, and say why.
func TestReceiverBelievesOnlyWhatIsSigned(t *testing.T) {
	old, current, strange := webhooks.NewSecret(), webhooks.NewSecret(), webhooks.NewSecret()
	for _, c := range []struct {
		name   string
		secret webhooks.Secret
		change func(*http.Request)
		status int
		says   string
	}{
		{"as it should be", current, nil, 200, "(verified)"},
		{"with the secret before a rotation", old, nil, 200, "(verified)"},
		{"with another secret", strange, nil, 401, "no webhook-signature"},
		{"a changed byte", current, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(eventOf(6))) }, 401, "no webhook-signature"},
		{"another id", current, func(r *http.Request) { r.Header.Set("webhook-id", "evt_other") }, 401, "no webhook-signature"},
		{"a later timestamp", current, func(r *http.Request) { shiftTimestamp(r, time.Second) }, 401, "no webhook-signature"},
		{"an old one", current, signedAt(current, -6*time.Minute), 401, "five minutes"},
		{"one of the future", current, signedAt(current, 6*time.Minute), 401, "five minutes"},
		{"nearly too old", current, signedAt(current, -4*time.Minute), 200, "(verified)"},
		{"no signature", current, func(r *http.Request) { r.Header.Del("webhook-signature") }, 400, "missing"},
		{"no id", current, func(r *http.Request) { r.Header.Del("webhook-id") }, 400, "missing"},
		{"no number", current, func(r *http.Request) { r.Header.Set("webhook-timestamp", "now") }, 400, "cannot be read"},
		{"by GET", current, func(r *http.Request) { r.Method = http.MethodGet }, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, out, complaints := newReceiver(t, nil, current, old)
			status, answer := deliver(t, url, c.secret, eventOf(5), c.change)
			if status != c.status || !strings.Contains(out.String(), c.says) {
				t.Errorf("status = %d (%s), shown:\n%s\nwant %d and %q", status, answer, out.String(), c.status, c.says)
			}
			if status != http.StatusOK && strings.Contains(out.String(), "Olá") {
				t.Errorf("it shows what it does not believe:\n%s", out.String())
			}
			if complaints.String() != "" {
				t.Errorf("standard error: %s", complaints.String())
			}
		})
	}
}

func shiftTimestamp(r *http.Request, by time.Duration) {
	seconds, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(seconds+int64(by/time.Second), 10))
}

// signedAt is a webhook that was rightly signed at another time, and kept.
func signedAt(secret webhooks.Secret, off time.Duration) func(*http.Request) {
	return func(r *http.Request) {
		f := &forwarder{secrets: []webhooks.Secret{secret}}
		r.Header = f.headers(numberedEvent(5), time.Now().Add(off), []byte(eventOf(5)))
	}
}

func TestReceiverBoundsBodies(t *testing.T) {
	secret := webhooks.NewSecret()
	url, out, _ := newReceiver(t, nil, secret)
	fits := `{"id":"evt_1","text":"` + strings.Repeat("x", maxWebhook-24) + `"}`
	if status, answer := deliver(t, url, secret, fits, nil); len(fits) != maxWebhook || status != http.StatusOK {
		t.Errorf("%d bytes are answered with %d: %s; want 200", len(fits), status, answer)
	}
	if status, _ := deliver(t, url, secret, fits+" ", nil); status != http.StatusRequestEntityTooLarge || !strings.Contains(out.String(), "larger than 1 MiB") {
		t.Errorf("one byte more is answered with %d; want 413", status)
	}
}

// At least once means sometimes twice; whoever develops wants to see which.
func TestReceiverMarksRepeats(t *testing.T) {
	secret := webhooks.NewSecret()
	url, out, _ := newReceiver(t, nil, secret)
	deliver(t, url, webhooks.NewSecret(), eventOf(5), nil) // a forged one is no first one
	for range 2 {
		deliver(t, url, secret, eventOf(5), nil)
	}
	if got := regexp.MustCompile(`\((verified.*)\)`).FindAllString(out.String(), -1); fmt.Sprint(got) != "[(verified) (verified, repeat)]" {
		t.Errorf("shown as %v in\n%s", got, out.String())
	}
}

func TestMemoryForgetsTheOldest(t *testing.T) {
	var m memory
	for n := range rememberedIDs + 1 {
		if m.add(strconv.Itoa(n)) {
			t.Fatalf("%d is taken for a repeat", n)
		}
	}
	if m.add("0") || !m.add(strconv.Itoa(rememberedIDs)) || m.add("1") || len(m.known) != rememberedIDs {
		t.Errorf("after one more than it holds, it knows %d ids; want the newest %d", len(m.known), rememberedIDs)
	}
}

// Behind the receiver stands the program that is being developed: it sees what
// Portaria sent, and Portaria sees what it answers.
func TestReceiverPassesTheAnswerBack(t *testing.T) {
	secret := webhooks.NewSecret()
	for _, status := range []int{200, 204, 302, 410, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			program := runProgram(t, secret, status)
			url, out, _ := newReceiver(t, &forwarder{url: program.URL, client: newForwardClient()}, secret)
			client := *http.DefaultClient
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(eventOf(5)))
			if err != nil {
				t.Fatal(err)
			}
			signedAt(secret, 0)(req)
			r, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close()
			if r.StatusCode != status || len(program.told) != 1 || !strings.Contains(out.String(), "forwarded: "+strconv.Itoa(status)) {
				t.Errorf("answered %d, told %d times, shown:\n%s", r.StatusCode, len(program.told), out.String())
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		program := runProgram(t, secret)
		program.Close()
		url, _, _ := newReceiver(t, &forwarder{url: program.URL, client: newForwardClient()}, secret)
		if status, _ := deliver(t, url, secret, eventOf(5), nil); status != http.StatusBadGateway {
			t.Errorf("answered %d; want 502", status)
		}
	})
}

// The whole command: it says where it listens, and ends well on Ctrl-C.
func TestListenReceives(t *testing.T) {
	secret := webhooks.NewSecret()
	t.Setenv("PORTARIA_WEBHOOK_SECRET", secret.Reveal())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, complaints lockedBuffer
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"listen", "--receive", "127.0.0.1:0", "--json"}, streams{in: new(bytes.Buffer), out: &out, err: &complaints})
	}()
	var url string
	waitUntil(t, patience, func() bool {
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(complaints.String())
		return url != ""
	})
	if status, answer := deliver(t, url, secret, eventOf(5), nil); status != http.StatusOK {
		t.Errorf("answered %d: %s", status, answer)
	}
	cancel()
	if got := <-exit; got != exitDone || out.String() != eventOf(5)+"\n" {
		t.Errorf("exit = %d, standard output:\n%s", got, out.String())
	}
	if strings.Contains(out.String()+complaints.String(), secret.Reveal()) {
		t.Error("the secret is shown")
	}
}

// A receiver whose output has gone, as into `head`, must not go on saying yes.
func TestReceiverEndsWithItsOutput(t *testing.T) {
	secret := webhooks.NewSecret()
	errGone := errors.New("gone")
	r := &receiver{
		out: &eventPrinter{streams: streams{out: writerFunc(func([]byte) (int, error) { return 0, errGone }), err: io.Discard}},
		now: time.Now, secrets: []webhooks.Secret{secret}, failed: make(chan error, 1),
	}
	s := httptest.NewUnstartedServer(nil)
	ended := make(chan error, 1)
	go func() { ended <- r.serve(t.Context(), s.Listener) }()
	if status, _ := deliver(t, "http://"+s.Listener.Addr().String(), secret, eventOf(5), nil); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d; want 503", status)
	}
	if err := <-ended; !errors.Is(err, errGone) {
		t.Errorf("serve = %v; want %v", err, errGone)
	}
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
