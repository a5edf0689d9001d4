package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"portaria/events/webhooks"
)

// openDoors runs a receiver until the test ends.
func openDoors(t *testing.T, n int) (*receiver, []string) {
	t.Helper()
	r := &receiver{ctx: t.Context()}
	t.Cleanup(func() {
		r.close()
		for _, d := range r.doors {
			if d.fault != nil {
				t.Error(d.fault)
			}
		}
	})
	var addresses []string
	if err := r.Open(n, &addresses); err != nil {
		t.Fatal(err)
	}
	return r, addresses
}

// A client may dial one connection more than it needs, and never ask anything on it.
func TestAReceiverClosesThoughSomebodyOnlyDialed(t *testing.T) {
	r := &receiver{ctx: t.Context()}
	var addresses []string
	if err := r.Open(1, &addresses); err != nil {
		t.Fatal(err)
	}
	silent, err := (&net.Dialer{Timeout: ioTimeout}).DialContext(t.Context(), "tcp", addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := within(t.Context(), ioTimeout, "it is accepted", func() (bool, error) {
		return r.doors[0].server.GetOpenConnectionsCount() == 1, nil
	}); err != nil {
		t.Fatal(err)
	}
	r.close()
	if err := silent.Close(); err != nil {
		t.Error(err)
	}
	if err := r.doors[0].fault; err != nil {
		t.Error(err)
	}
}

func tallyOf(t *testing.T, r *receiver) (now Tally) {
	t.Helper()
	if err := r.Count(struct{}{}, &now); err != nil {
		t.Fatal(err)
	}
	return now
}

// deliver posts a body as the gateway does.
func deliver(t *testing.T, address, body string, secret webhooks.Secret) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	request.Header.Set(webhooks.HeaderID, "evt_1")
	request.Header.Set(webhooks.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(webhooks.HeaderSignature, webhooks.Sign(secret, "evt_1", now, []byte(body)))
	client := &http.Client{Timeout: ioTimeout}
	defer client.CloseIdleConnections()
	if err := post(client, request); err != nil {
		t.Error(err)
	}
}

// TestReceiverNoticesWhatWasNotSigned: deliveries that no receiver would take
// must not make a figure.
func TestReceiverNoticesWhatWasNotSigned(t *testing.T) {
	r, addresses := openDoors(t, 2)
	secret := webhooks.NewSecret()
	if err := r.Trust([]string{secret.Reveal(), secret.Reveal()}, nil); err != nil {
		t.Fatal(err)
	}
	deliver(t, addresses[0], "{}", secret)
	if got := tallyOf(t, r); got.Wrong != 0 || got.Each[0] != 1 || got.Each[1] != 0 || got.Bytes != 2 {
		t.Errorf("a good delivery at the first door: %+v", got)
	}
	deliver(t, addresses[1], "{}", webhooks.NewSecret())
	if got := tallyOf(t, r); got.Wrong != 1 || got.total() != 2 {
		t.Errorf("then another's signature at the second: %+v", got)
	}
}

// TestReceiverTellsHowOldEventsAre by the event's own time, not by one that
// stands in its data.
func TestReceiverTellsHowOldEventsAre(t *testing.T) {
	r, addresses := openDoors(t, 1)
	if err := r.Time(struct{}{}, nil); err != nil {
		t.Fatal(err)
	}
	happened := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)
	deliver(t, addresses[0], `{"timestamp":"`+happened+`","data":{"timestamp":"2001-01-01T00:00:00Z"}}`, webhooks.NewSecret())
	var a Ages
	if err := r.Ages(1, &a); err != nil {
		t.Fatal(err)
	}
	if a.P99 < time.Hour || a.P99 > time.Hour+time.Minute || a.P50 != a.P99 || a.Max != a.P99 {
		t.Errorf("an event of an hour ago is told to be so old: %+v", a)
	}
	for _, body := range []string{"{}", `{"timestamp":"`, `{"timestamp":"yesterday"}`} {
		if at, ok := eventTime([]byte(body)); ok {
			t.Errorf("%s happened at %s", body, at)
		}
	}
}

// TestHeldDeliveriesAreAnsweredWhenReleased: this is how a queue is made before
// it is measured, and how an endpoint is dead.
func TestHeldDeliveriesAreAnsweredWhenReleased(t *testing.T) {
	r, addresses := openDoors(t, 2)
	if err := r.Hold(1, nil); err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		deliver(t, addresses[1], "{}", webhooks.NewSecret())
	}()
	deliver(t, addresses[0], "{}", webhooks.NewSecret()) // which is not held
	if got := tallyOf(t, r); got.Each[0] != 1 || got.Each[1] != 0 {
		t.Errorf("while the second door is held: %+v", got)
	}
	if err := r.Release(struct{}{}, nil); err != nil {
		t.Fatal(err)
	}
	<-answered
	if got := tallyOf(t, r); got.Each[1] != 1 {
		t.Errorf("after its release: %+v", got)
	}
}

// TestPosterPostsUntilItIsStopped to every door, with bodies of the size that it
// was told.
func TestPosterPostsUntilItIsStopped(t *testing.T) {
	r, addresses := openDoors(t, 2)
	p := &poster{ctx: t.Context()}
	if err := p.Start(Posting{Addresses: addresses, Each: 2, Bytes: 700}, nil); err != nil {
		t.Fatal(err)
	}
	err := eventually(t.Context(), "each door has got some posts", func() (bool, error) {
		got := tallyOf(t, r)
		return got.Each[0] >= 10 && got.Each[1] >= 10, nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := p.Stop(struct{}{}, nil); err != nil {
		t.Error(err)
	}
	if got := tallyOf(t, r); got.Bytes != 700*got.total() {
		t.Errorf("%d bytes in %d posts", got.Bytes, got.total())
	}
}

// TestSteadyLoadPostsEachMessageOnceInItsTime: the events that the nine should
// keep up with are as many as are told.
func TestSteadyLoadPostsEachMessageOnceInItsTime(t *testing.T) {
	seen := make(chan string, 100)
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Immutable: true})
	app.Post("/", func(c *fiber.Ctx) error {
		seen <- string(c.Body())
		return c.SendStatus(http.StatusAccepted)
	})
	target := &target{address: serveHere(t, app), paths: []string{"/"}, post: true, want: http.StatusAccepted}
	began := time.Now()
	const n = 53
	if err := steadily(t.Context(), target, 10, 200, n); err != nil {
		t.Fatal(err)
	}
	if took, least := time.Since(began), 52*time.Second/200; took < least {
		t.Errorf("%d messages at 200 a second took %s, less than %s", n, took, least)
	}
	bodies := make(map[string]bool)
	for range len(seen) {
		bodies[<-seen] = true
	}
	if len(bodies) != n {
		t.Errorf("%d different messages came, want %d", len(bodies), n)
	}
}

// TestDeadEndpointIsWatchedForAMinuteInAFullRun, and for a moment when somebody
// waits for one section.
func TestDeadEndpointIsWatchedForAMinuteInAFullRun(t *testing.T) {
	for _, c := range []struct {
		args string
		want time.Duration
	}{
		{"", time.Minute},
		{"-only webhooks", steadyShort},
		{"-only webhooks -deadend 9s", 9 * time.Second},
		{"-deadend 9s", 9 * time.Second},
	} {
		o, err := parse(strings.Fields(c.args), t.Output())
		if err != nil {
			t.Fatal(err)
		}
		if got := o.steadyFor(); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}

// TestTableSaysWhetherTheNineKeepUp: it is asked for, though without a number.
func TestTableSaysWhetherTheNineKeepUp(t *testing.T) {
	said := make(map[string]int)
	for _, m := range webhookMetrics(sqlite) {
		said[fmt.Sprint(m.verdict(0.4), " / ", m.verdict(30))]++
	}
	if said["no target: the nine keep up / no target: THE NINE DO NOT KEEP UP"] != 2 || said["no target / no target"] != len(webhookMetrics(sqlite))-2 {
		t.Errorf("verdicts of 0.4 and of 30: %v", said)
	}
}
