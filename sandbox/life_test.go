package sandbox_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

// rehearsal is a test world with its manager, on a frozen clock: what a tester
// does with instances, as the gateway would do it.
type rehearsal struct {
	t       *testing.T
	store   *store.Store
	clocks  *sandbox.Clocks
	driver  *sandbox.Driver
	manager *instances.Manager
	tenancy messaging.Tenancy
	stop    func()

	relinked chan string // the phones that were linked in place of others
}

func newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	r := &rehearsal{t: t, store: storetest.Open(t, store.Options{DataDir: t.TempDir()}), relinked: make(chan string, 8)}
	r.tenancy = storetest.Workspace(t, r.store, "w")
	r.start()
	t.Cleanup(func() { r.stop() })
	if _, err := r.clocks.SetMode(t.Context(), r.tenancy.Workspace(), sandbox.Frozen); err != nil {
		t.Fatal(err)
	}
	return r
}

// start begins a process; stop, which it sets, ends it.
func (r *rehearsal) start() {
	r.t.Helper()
	must := func(err error) {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	var err error
	r.clocks, err = sandbox.NewClocks(sandbox.ClocksOptions{Store: r.store, Idle: r.idle})
	must(err)
	r.driver, err = sandbox.New(sandbox.Options{Store: r.store, Pairings: r.store, Reporter: r.store, Clocks: r.clocks})
	must(err)
	r.manager = instances.NewManager(instances.Options{
		Store: r.store, Pairings: r.store, Reporter: r.store, Test: r.driver,
		Now: func(t messaging.Tenancy, _ string) time.Time { return r.clocks.For(t.Workspace()).Now() },
		Relinked: func(_ context.Context, i messaging.Instance) error {
			r.relinked <- i.Phone
			return nil
		},
	})
	r.store.TellInstances(r.manager.Observe)
	must(r.manager.Load(r.t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.manager.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.stop = func() {
		cancel()
		running.Wait()
		if err := errors.Join(r.manager.Close(), r.driver.Close(), r.clocks.Close()); err != nil {
			r.t.Error(err)
		}
	}
}

// idle is how the clock knows that nothing is in hand: both were found quiet in
// one look.
func (r *rehearsal) idle(ctx context.Context, workspace string) error {
	look, noWait := context.WithCancel(ctx)
	noWait()
	for r.driver.Idle(look, workspace) != nil || r.manager.Idle(look, workspace) != nil {
		if err := errors.Join(r.driver.Idle(ctx, workspace), r.manager.Idle(ctx, workspace)); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) advance(by time.Duration) {
	r.t.Helper()
	if _, err := r.clocks.Advance(r.t.Context(), r.tenancy.Workspace(), by); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rehearsal) create(unpaired bool) messaging.Instance {
	r.t.Helper()
	i, err := r.manager.Create(r.t.Context(), r.tenancy, instances.Draft{Name: "one", Unpaired: unpaired})
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

// after does an act, lets it take effect, and returns the instance.
func (r *rehearsal) after(act func(context.Context, messaging.Tenancy, string) (messaging.Instance, error)) messaging.Instance {
	r.t.Helper()
	if _, err := act(r.t.Context(), r.tenancy, "one"); err != nil {
		r.t.Fatal(err)
	}
	r.advance(0)
	return r.now()
}

func (r *rehearsal) connect(phone string) messaging.Instance {
	r.t.Helper()
	return r.after(func(ctx context.Context, t messaging.Tenancy, id string) (messaging.Instance, error) {
		return r.manager.Connect(ctx, t, id, phone)
	})
}

func (r *rehearsal) now() messaging.Instance {
	r.t.Helper()
	i, err := r.manager.Resolve(r.t.Context(), r.tenancy, "one")
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *rehearsal) scan() error {
	test, _ := r.now().Test()
	err := r.driver.Scan(r.t.Context(), test, "")
	r.advance(0)
	return err
}

// told are the events of the instance so far, oldest first.
func (r *rehearsal) told() (lines []string) {
	r.t.Helper()
	events, err := r.store.Events(r.t.Context(), r.tenancy, messaging.EventFilter{}, messaging.Page{Limit: 100})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range slices.Backward(events) {
		line := string(e.Type)
		if e.Instance.StateReason != "" {
			line += " " + e.Instance.StateReason
		}
		lines = append(lines, line)
	}
	return lines
}

func (r *rehearsal) carries() bool {
	_, ok := r.manager.Channel(r.now().ID)
	return ok
}

// The acts of an owner can be rehearsed without a phone: they bring the states
// and the events that a live instance has.
func TestActsOfAnOwnerAreRehearsed(t *testing.T) {
	r := newRehearsal(t)
	born := r.create(false)
	if i := r.after(r.manager.Disconnect); i.State != messaging.InstanceDisconnected || r.carries() {
		t.Errorf("disconnected: %s, carries: %v", i.State, r.carries())
	}
	r.advance(time.Hour)
	if i := r.now(); i.State != messaging.InstanceDisconnected {
		t.Errorf("an hour later: %s", i.State)
	}
	if i := r.connect(""); i.State != messaging.InstanceConnected || !r.carries() || i.Ask != messaging.AskNothing {
		t.Errorf("connected: %+v, carries: %v", i, r.carries())
	}
	if i := r.after(r.manager.Restart); i.State != messaging.InstanceConnected || !r.carries() || i.Ask != messaging.AskNothing {
		t.Errorf("restarted: %+v, carries: %v", i, r.carries())
	}
	if i := r.after(r.manager.Logout); i.State != messaging.InstanceLoggedOut || r.carries() || i.Linked() || i.Desired != messaging.DesiredDisconnected {
		t.Errorf("logged out: %+v, carries: %v", i, r.carries())
	}
	if i := r.connect(""); i.State != messaging.InstancePairing {
		t.Errorf("connected without a phone: %s", i.State)
	}
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	if i := r.now(); i.State != messaging.InstanceConnected || !r.carries() || i.Phone != born.Phone || i.Relinked {
		t.Errorf("paired again: %+v, carries: %v", i, r.carries())
	}
	want := []string{
		"instance.created", "instance.disconnected disconnected_by_owner", "instance.connected", "instance.connected",
		"instance.logged_out logged_out_by_owner", "instance.pairing", "instance.connected",
	}
	if diff := cmp.Diff(want, r.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A pairing shows one code, by the means that was asked for, until it is scanned
// or its time is up.
func TestAPairingIsRehearsed(t *testing.T) {
	r := newRehearsal(t)
	r.create(true)
	if err := r.scan(); !errors.Is(err, sandbox.ErrNotPairing) {
		t.Errorf("scan of no code: %v", err)
	}
	if i := r.connect(""); i.State != messaging.InstancePairing {
		t.Fatalf("state is %s", i.State)
	}
	byQR := r.shown()
	if !regexp.MustCompile(`^portaria-sandbox:[A-Z2-7]{26}$`).MatchString(byQR.QR) || byQR.Code != "" {
		t.Errorf("shown: %+v", byQR)
	}
	r.advance(100 * time.Second)
	if again := r.connect(""); again.State != messaging.InstancePairing || r.shown() != byQR {
		t.Errorf("another code is shown: %+v", r.shown())
	}
	if i := r.connect("5511912345678"); i.State != messaging.InstancePairing {
		t.Errorf("state is %s", i.State)
	}
	byCode := r.shown()
	if !regexp.MustCompile(`^[A-Z2-7]{4}-[A-Z2-7]{4}$`).MatchString(byCode.Code) || byCode.QR != "" {
		t.Errorf("shown: %+v", byCode)
	}
	r.advance(159 * time.Second)
	if i := r.now(); i.State != messaging.InstancePairing {
		t.Errorf("before its time is up: %s", i.State)
	}
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	if i := r.now(); i.State != messaging.InstanceConnected || i.Phone != "5511912345678" {
		t.Errorf("scanned: %+v", i)
	}
	if _, err := r.manager.Pairing(t.Context(), r.tenancy, "one"); !errors.Is(err, instances.ErrAlreadyConnected) {
		t.Errorf("a code is shown to the next: %v", err)
	}
	r.advance(time.Hour)
	if i := r.now(); i.State != messaging.InstanceConnected {
		t.Errorf("an hour later: %s", i.State)
	}
}

func (r *rehearsal) shown() messaging.Pairing {
	r.t.Helper()
	p, err := r.manager.Pairing(r.t.Context(), r.tenancy, "one")
	if err != nil {
		r.t.Fatalf("pairing: %v", err)
	}
	return p
}

// The time of a pairing goes on through a restart of the process, and the code
// that was shown stays good for it.
func TestAPairingOutlivesTheProcessAndEndsInTime(t *testing.T) {
	r := newRehearsal(t)
	r.create(true)
	r.connect("")
	code := r.shown()
	r.advance(100 * time.Second)
	r.stop()
	r.start()
	if got := r.shown(); got != code {
		t.Errorf("the code became %+v", got)
	}
	r.advance(59 * time.Second)
	if i := r.now(); i.State != messaging.InstancePairing {
		t.Errorf("before its time is up: %s", i.State)
	}
	r.advance(time.Second)
	if i := r.now(); i.State != messaging.InstanceCreated || i.StateReason != messaging.ReasonPairingTimeout || i.Ask != messaging.AskNothing {
		t.Errorf("when its time is up: %+v", i)
	}
	if err := r.scan(); !errors.Is(err, sandbox.ErrNotPairing) {
		t.Errorf("a late scan: %v", err)
	}
	if i := r.connect(""); i.State != messaging.InstancePairing || r.shown().QR == code.QR {
		t.Errorf("connected again: %s with the code %s", i.State, r.shown().QR)
	}
	if i := r.after(r.manager.Disconnect); i.State != messaging.InstanceCreated || i.StateReason != messaging.ReasonDisconnectedByOwner {
		t.Errorf("disconnected: %+v", i)
	}
	want := []string{
		"instance.created", "instance.pairing", "instance.disconnected pairing_timeout",
		"instance.pairing", "instance.disconnected disconnected_by_owner",
	}
	if diff := cmp.Diff(want, r.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// A process may be killed between any two steps of an act; the next one goes on
// where it was, and no step is told twice.
func TestAnActOutlivesTheProcess(t *testing.T) {
	r := newRehearsal(t)
	i := r.create(false)
	r.advance(0)
	r.stop()
	command := instances.NewManager(instances.Options{Store: r.store, Now: func(messaging.Tenancy, string) time.Time { return time.Now() }})
	if _, err := command.Restart(t.Context(), r.tenancy, "one"); err != nil {
		t.Fatal(err)
	}
	half := messaging.InstanceChange{
		WorkspaceID: i.WorkspaceID, Environment: i.Environment, InstanceID: i.ID, State: messaging.InstanceConnecting, At: time.Now(),
	}
	if err := r.store.Report(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.advance(0)
	if i := r.now(); i.State != messaging.InstanceConnected || i.Ask != messaging.AskNothing || !r.carries() {
		t.Errorf("after the restart: %+v, carries: %v", i, r.carries())
	}
	if diff := cmp.Diff([]string{"instance.created", "instance.connected"}, r.told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Numbers can be checked against the magic recipients.
func TestTheSandboxKnowsAllNumbersButTheMagicOnes(t *testing.T) {
	r := newRehearsal(t)
	i := r.create(false)
	got, err := r.manager.Check(t.Context(), r.tenancy, i.ID, []messaging.Address{
		{Input: "+1 500 555 0009", WAID: "15005550009@s.whatsapp.net"}, {Input: "5511912345678", WAID: "5511912345678@s.whatsapp.net"},
	})
	want := []messaging.NumberCheck{
		{Input: "+1 500 555 0009"}, {Input: "5511912345678", WAID: "5511912345678@s.whatsapp.net", Exists: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("check: %v\n%s", err, diff)
	}
}

// A channel that was opened for the ask before may show its code a moment after
// the store has forgotten it. The pairing that is asked for now must not be left
// with that one: nobody could end it but the clock.
func TestACodeOfAnotherKindIsReplaced(t *testing.T) {
	r := newRehearsal(t)
	r.create(true)
	facts := r.connect("")
	facts.PairPhone, facts.AskedAt = "5511912345678", facts.AskedAt.Add(time.Microsecond)
	test, _ := facts.Test()
	channel, err := r.driver.Open(t.Context(), test) // while the QR is shown
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.Close(); err != nil {
		t.Error(err)
	}
	p, err := r.store.FindPairing(t.Context(), facts.WorkspaceID, messaging.Test, facts.ID)
	if err != nil || p.Code == "" || p.QR != "" {
		t.Errorf("shown: %+v, %v", p, err)
	}
}
