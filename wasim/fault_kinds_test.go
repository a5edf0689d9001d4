package wasim_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"portaria/wasim"
)

func inject(t testing.TB, s *wasim.Server, f wasim.Fault) int {
	t.Helper()
	met, err := s.Inject(f)
	if err != nil {
		t.Fatal(err)
	}
	return met
}

func nothing(*client) {}

// faultCase is what an unmodified client does when a fault strikes.
type faultCase struct {
	name  string
	fault wasim.Fault
	tells func(*client) // waits for the event that the client must tell
	stays bool          // the client does not come back by itself
	gone  bool          // its session is deleted
}

// faultsOfStreams are those that strike a connection that lives.
func faultsOfStreams() []faultCase {
	return []faultCase{
		{name: "drop", fault: wasim.Fault{Name: wasim.FaultDrop}, tells: func(c *client) { await[*events.Disconnected](c) }},
		{name: "515", fault: wasim.Fault{Name: wasim.FaultStreamError, Code: 515}, tells: nothing},
		{
			name: "503", fault: wasim.Fault{Name: wasim.FaultStreamError, Code: 503},
			tells: func(c *client) { await[*events.Disconnected](c) },
		},
		{
			name: "another", fault: wasim.Fault{Name: wasim.FaultStreamError, Code: 516},
			tells: func(c *client) {
				await(c, func(e *events.StreamError) bool { return e.Code == "516" })
				await[*events.Disconnected](c)
			},
		},
		{
			name: "replaced", fault: wasim.Fault{Name: wasim.FaultReplaced}, stays: true,
			tells: func(c *client) { await[*events.StreamReplaced](c) },
		},
		{
			name: "device removed", fault: wasim.Fault{Name: wasim.FaultDeviceRemoved}, stays: true, gone: true,
			tells: func(c *client) { await(c, func(e *events.LoggedOut) bool { return !e.OnConnect }) },
		},
	}
}

// faultsOfLogins are those that strike when a client connects.
func faultsOfLogins() []faultCase {
	refused := func(code int) wasim.Fault { return wasim.Fault{Name: wasim.FaultLoginFailure, Code: code} }
	loggedOut := func(reason events.ConnectFailureReason) func(*client) {
		return func(c *client) {
			await(c, func(e *events.LoggedOut) bool { return e.OnConnect && e.Reason == reason })
		}
	}
	ban := refused(402)
	ban.Ban, ban.Expire = 104, 2*time.Hour
	isBan := func(code events.TempBanReason, expire time.Duration) func(*client) {
		return func(c *client) {
			await(c, func(e *events.TemporaryBan) bool { return e.Code == code && e.Expire == expire })
		}
	}
	return []faultCase{
		{name: "401", fault: refused(401), stays: true, gone: true, tells: loggedOut(events.ConnectFailureLoggedOut)},
		{name: "403", fault: refused(403), stays: true, gone: true, tells: loggedOut(events.ConnectFailureMainDeviceGone)},
		{name: "406", fault: refused(406), stays: true, gone: true, tells: loggedOut(events.ConnectFailureUnknownLogout)},
		{name: "402", fault: refused(402), stays: true, tells: isBan(101, time.Hour)},
		{name: "402 with a code and an end", fault: ban, stays: true, tells: isBan(104, 2*time.Hour)},
		{name: "405", fault: refused(405), stays: true, tells: func(c *client) { await[*events.ClientOutdated](c) }},
		{name: "500", fault: refused(500), tells: func(c *client) { await[*events.Disconnected](c) }},
		{name: "503", fault: refused(503), tells: func(c *client) { await[*events.Disconnected](c) }},
		{name: "another", fault: refused(418), stays: true, tells: func(c *client) {
			await(c, func(e *events.ConnectFailure) bool { return e.Reason == 418 })
		}},
	}
}

// TestWhatClientsDoOnFaultsOfConnections is the table that gateways are built
// on: what is told, whether the client comes back, whether its session is left.
func TestWhatClientsDoOnFaultsOfConnections(t *testing.T) {
	check := func(t *testing.T, test faultCase, strike func(*wasim.Server, *client)) {
		t.Parallel()
		s := start(t, wasim.Options{})
		c := paired(t, s, own)
		strike(s, c)
		test.tells(c)
		if test.gone {
			eventually(t, "the session is deleted", c.Store.Container.(*memStore).isDeleted)
		}
		if !test.stays {
			await[*events.Connected](c)
			c.mustText(friend, "back")
			return
		}
		eventually(t, "the connection ends", c.isGone)
		if !test.gone {
			if c.Store.Container.(*memStore).isDeleted() {
				t.Error("the session is deleted")
			}
			c.reconnect()
			c.mustText(friend, "brought back")
		}
	}
	for _, test := range faultsOfStreams() {
		t.Run("stream "+test.name, func(t *testing.T) {
			check(t, test, func(s *wasim.Server, _ *client) {
				if met := inject(t, s, test.fault); met != 1 {
					t.Errorf("met %d connections, want 1", met)
				}
			})
		})
	}
	for _, test := range faultsOfLogins() {
		t.Run("login "+test.name, func(t *testing.T) {
			check(t, test, func(s *wasim.Server, _ *client) {
				inject(t, s, test.fault)
				inject(t, s, wasim.Fault{Name: wasim.FaultDrop})
			})
		})
	}
}

// TestWhatClientsDoOnFaultsOfMessages, and what the contact sees. The message
// before and the one after are well in each case.
func TestWhatClientsDoOnFaultsOfMessages(t *testing.T) {
	refused := func(code string) func(error) bool {
		return func(err error) bool {
			return errors.Is(err, whatsmeow.ErrServerReturnedError) && strings.HasSuffix(err.Error(), code)
		}
	}
	unanswered := func(err error) bool { return errors.Is(err, context.Canceled) }
	well := func(err error) bool { return err == nil }
	tests := map[string]struct {
		fault  wasim.Fault
		ends   func(error) bool
		shown  bool
		copies int
	}{
		"463":             {fault: wasim.Fault{Name: wasim.FaultAckError, Code: 463}, ends: refused("463")},
		"479":             {fault: wasim.Fault{Name: wasim.FaultAckError, Code: 479}, ends: refused("479")},
		"429":             {fault: wasim.Fault{Name: wasim.FaultAckError, Code: 429}, ends: refused("429")},
		"no ack":          {fault: wasim.Fault{Name: wasim.FaultNoAck}, ends: unanswered, shown: true},
		"lost message":    {fault: wasim.Fault{Name: wasim.FaultLostMessage}, ends: unanswered},
		"slow ack":        {fault: wasim.Fault{Name: wasim.FaultSlowAck, Delay: 300 * time.Millisecond}, ends: well, shown: true},
		"lost frame":      {fault: wasim.Fault{Name: wasim.FaultLostFrame}, ends: well, shown: true},
		"duplicate frame": {fault: wasim.Fault{Name: wasim.FaultDuplicateFrame}, ends: well, shown: true, copies: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, wasim.Options{})
			c := paired(t, s, own)
			c.mustText(friend, "before")
			inject(t, s, test.fault)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if test.fault.Name == wasim.FaultNoAck || test.fault.Name == wasim.FaultLostMessage {
				go func() { // nothing more comes once it has struck
					defer cancel()
					whenQuiet(ctx, func() bool { return len(s.Faults()) == 0 })
				}()
			}
			began := time.Now()
			if err := c.textWithin(ctx, friend, "struck"); !test.ends(err) {
				t.Errorf("the send ended with %v", err)
			}
			if took := time.Since(began); took < test.fault.Delay {
				t.Errorf("the send took %s, want at least %s", took, test.fault.Delay)
			}
			c.mustText(friend, "after")
			want := []string{"before", "struck", "after"}
			if !test.shown {
				want = []string{"before", "after"}
			}
			if got := wantTexts(t, s.Received, want...); got[1].Copies != test.copies {
				t.Errorf("%d copies, want %d", got[1].Copies, test.copies)
			}
			if left := s.Faults(); len(left) != 0 {
				t.Errorf("not used up: %+v", left)
			}
		})
	}
}

// whenQuiet waits until something has happened, and then a moment for an answer
// that must not come.
func whenQuiet(ctx context.Context, happened func() bool) {
	for tick := time.Tick(5 * time.Millisecond); !happened(); {
		select {
		case <-tick:
		case <-ctx.Done():
			return
		}
	}
	<-time.After(100 * time.Millisecond)
}

// TestFaultStrikesWhomItIsFor: one account, one contact, so many times.
func TestFaultStrikesWhomItIsFor(t *testing.T) {
	const other, third = "5511900000002", "5511988880000"
	s := start(t, wasim.Options{})
	struck, spared := paired(t, s, own), paired(t, s, other)
	inject(t, s, wasim.Fault{Name: wasim.FaultAckError, Code: 463, Number: "+" + own, Contact: friend, Count: 2})
	spared.mustText(friend, "of another account")
	struck.mustText(third, "to another contact")
	for range 2 {
		if _, err := struck.text(friend, "refused", ""); err == nil {
			t.Error("the message was taken")
		}
	}
	struck.mustText(friend, "used up")
	wantTexts(t, s.Received, "of another account", "to another contact", "used up")
	if met := inject(t, s, wasim.Fault{Name: wasim.FaultDrop, Number: other}); met != 1 {
		t.Errorf("met %d connections, want 1", met)
	}
	await[*events.Disconnected](spared)
	if !struck.IsConnected() {
		t.Error("the other account was struck too")
	}
}

// TestFaultsAreCleared, and end with their time.
func TestFaultsAreCleared(t *testing.T) {
	t.Parallel() // it waits for most of its time
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	endless := wasim.Fault{Name: wasim.FaultAckError, Code: 429, Count: wasim.UntilCleared}
	inject(t, s, endless)
	inject(t, s, wasim.Fault{Name: wasim.FaultRoundTrip, Delay: time.Hour})
	if diff := cmp.Diff([]wasim.Fault{endless}, s.Faults()); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if err := s.ClearFaults(); err != nil {
		t.Fatal(err)
	}
	c.mustText(friend, "cleared")
	inject(t, s, wasim.Fault{Name: wasim.FaultAckError, Code: 429, For: 4 * time.Second})
	for range 2 {
		if _, err := c.text(friend, "refused", ""); err == nil {
			t.Error("the message was taken")
		}
	}
	eventually(t, "the fault ends", func() bool { return len(s.Faults()) == 0 })
	c.mustText(friend, "ended")
}

// TestLookupErrorIsToldToWhoAsks.
func TestLookupErrorIsToldToWhoAsks(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	inject(t, s, wasim.Fault{Name: wasim.FaultLookupError, Code: 429})
	ask := func() error {
		_, err := c.IsOnWhatsApp(t.Context(), []string{"+" + friend})
		return err
	}
	if err := ask(); !errors.Is(err, whatsmeow.ErrIQRateOverLimit) {
		t.Errorf("the question ended with %v", err)
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
}

// TestMediaErrorRefusesFiles, and no message that has none.
func TestMediaErrorRefusesFiles(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	inject(t, s, wasim.Fault{Name: wasim.FaultMediaError, Code: 507})
	c.mustText(friend, "no file")
	if _, err := c.Upload(t.Context(), []byte("a picture"), whatsmeow.MediaImage); err == nil || !strings.Contains(err.Error(), "507") {
		t.Errorf("the upload ended with %v", err)
	}
	if _, err := c.Upload(t.Context(), []byte("a picture"), whatsmeow.MediaImage); err != nil {
		t.Error(err)
	}
}

// TestRoundTripDelaysEverything.
func TestRoundTripDelaysEverything(t *testing.T) {
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	c.mustText(friend, "first")
	const delay = 150 * time.Millisecond
	inject(t, s, wasim.Fault{Name: wasim.FaultRoundTrip, Delay: delay})
	began := time.Now()
	c.mustText(friend, "second")
	if took := time.Since(began); took < delay {
		t.Errorf("the answer took %s, want at least %s", took, delay)
	}
}

// TestOutageRefusesAndEnds: the address is the same afterwards, and nothing is
// lost.
func TestOutageRefusesAndEnds(t *testing.T) {
	t.Parallel() // it waits for most of its time
	s := start(t, wasim.Options{})
	c := paired(t, s, own)
	address := s.Addr()
	inject(t, s, wasim.Fault{Name: wasim.FaultOutage, For: 4 * time.Second})
	await[*events.Disconnected](c)
	if response, err := s.HTTPClient().Get("https://web.whatsapp.com/"); err == nil {
		_ = response.Body.Close()
		t.Error("somebody answers during the outage")
	}
	await[*events.Connected](c)
	if s.Addr() != address {
		t.Errorf("listens on %s afterwards, want %s", s.Addr(), address)
	}
	c.mustText(friend, "after")
	c.Disconnect()
	for _, end := range []func() error{s.ClearFaults, s.Restart, s.Close} {
		inject(t, s, wasim.Fault{Name: wasim.FaultOutage})
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Inject(wasim.Fault{Name: wasim.FaultOutage}); !errors.Is(err, wasim.ErrClosed) {
		t.Errorf("an outage of a closed server: %v", err)
	}
}

// TestHalfOpenConnectionSaysNothing: the client learns it from its own signs
// of life only, and a new connection helps when the fault is over.
func TestHalfOpenConnectionSaysNothing(t *testing.T) {
	t.Parallel()
	s := start(t, wasim.Options{})
	struck, spared := paired(t, s, own), paired(t, s, "5511900000002")
	if met := inject(t, s, wasim.Fault{Name: wasim.FaultHalfOpen, Number: own}); met != 1 {
		t.Errorf("met %d connections, want 1", met)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := struck.textWithin(ctx, friend, "unheard"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the send ended with %v", err)
	}
	await[*events.KeepAliveTimeout](struck)
	spared.mustText(friend, "heard")
	if err := s.ClearFaults(); err != nil {
		t.Fatal(err)
	}
	struck.reconnect()
	struck.mustText(friend, "heard again")
	wantTexts(t, s.Received, "heard", "heard again")
}

// TestHalfOpenServerTakesConnections and says nothing to strangers either. A
// whatsmeow client would wait 20 seconds for the answer to its hello.
func TestHalfOpenServerTakesConnections(t *testing.T) {
	s := start(t, wasim.Options{})
	inject(t, s, wasim.Fault{Name: wasim.FaultHalfOpen})
	ws, _, err := websocket.Dial(t.Context(), "wss://web.whatsapp.com/ws/chat", &websocket.DialOptions{HTTPClient: s.HTTPClient()})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	// An empty hello: answered with a closed connection at other times.
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte{'W', 'A', 6, 3, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := ws.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading ended with %v", err)
	}
	if err := s.ClearFaults(); err != nil {
		t.Fatal(err)
	}
	paired(t, s, own).mustText(friend, "heard")
}

// TestFaultsThatMeanNothingAreRefused, so that a typing error is no passed test.
func TestFaultsThatMeanNothingAreRefused(t *testing.T) {
	s := start(t, wasim.Options{})
	for _, f := range []wasim.Fault{
		{},
		{Name: "tsunami"},
		{Name: wasim.FaultAckError},
		{Name: wasim.FaultAckError, Code: 200},
		{Name: wasim.FaultAckError, Code: 4630},
		{Name: wasim.FaultAckError, Code: 463, Expire: time.Hour},
		{Name: wasim.FaultAckError, Code: 463, Count: -2},
		{Name: wasim.FaultSlowAck},
		{Name: wasim.FaultDrop, Count: 3},
		{Name: wasim.FaultOutage, For: -time.Second},
	} {
		if _, err := s.Inject(f); !errors.Is(err, wasim.ErrFault) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if _, err := s.Inject(wasim.Fault{Name: wasim.FaultDrop, Number: "nobody"}); !errors.Is(err, wasim.ErrNumber) {
		t.Errorf("an account that is no number: %v", err)
	}
	if left := s.Faults(); len(left) != 0 {
		t.Errorf("ordered nevertheless: %+v", left)
	}
}

// TestEveryFaultIsExplained: the table is the help of the command line.
func TestEveryFaultIsExplained(t *testing.T) {
	seen := map[wasim.FaultName]bool{}
	for _, k := range wasim.FaultKinds() {
		if k.Name == "" || k.When == "" || k.Help == "" || k.Client == "" || seen[k.Name] || k.Needs > len(k.Options) {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
	}
	if len(seen) != 16 {
		t.Errorf("%d faults", len(seen))
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range seen {
		if !strings.Contains(string(readme), "\n| `"+string(name)+"` |") {
			t.Errorf("%s is not in the README's table", name)
		}
	}
}
