package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/sandbox"
	"portaria/store"
	"portaria/store/storetest"
)

// carried makes a message that the network takes and owes receipts for.
func carried(i messaging.Instance, name string, at time.Time) sandbox.Carried {
	return sandbox.Carried{WorkspaceID: i.WorkspaceID, Owes: true, Carriage: messaging.Carriage{
		WAMessageID: "3EB0" + name, MessageID: "msg_" + name, InstanceID: i.ID,
		To:        messaging.Address{Input: "+1 500 555 0006", WAID: "15005550006@" + messaging.UserServer},
		Content:   messaging.Content{Kind: messaging.KindText, Text: &messaging.Text{Body: "olá, " + name}},
		Sandbox:   &messaging.Override{Outcome: "read", DelayMS: map[string]int64{"sent": 5}},
		CarriedAt: at,
	}}
}

func keysOf(batch []sandbox.Carried) []sandbox.CarriageKey {
	var keys []sandbox.CarriageKey
	for i := range batch {
		keys = append(keys, batch[i].Key())
	}
	return keys
}

// The network knows a message by its WhatsApp id: one that comes again keeps
// its row and its time, and a settled one is not owed again.
func TestMessageIsCarriedOnceInTheStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tenancy := storetest.Workspace(t, s, "w")
		i, other := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		at := time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)
		quiet := carried(i, "quiet", at)
		quiet.Owes = false
		first, err := s.Carry(ctx, []sandbox.Carried{carried(i, "a", at), carried(i, "a", at.Add(time.Second)), quiet})
		if err != nil {
			t.Fatal(err)
		}
		owed := sandbox.Taken{Owed: true, CarriedAt: at}
		if diff := cmp.Diff(first, []sandbox.Taken{owed, owed, {CarriedAt: at}}); diff != "" {
			t.Errorf("first (-got +want):\n%s", diff)
		}
		later := at.Add(time.Hour)
		again, err := s.Carry(ctx, []sandbox.Carried{carried(i, "b", later), carried(i, "a", later), carried(i, "quiet", later), carried(other, "a", later)})
		if err != nil {
			t.Fatal(err)
		}
		fresh := sandbox.Taken{Owed: true, CarriedAt: later}
		if diff := cmp.Diff(again, []sandbox.Taken{fresh, owed, {CarriedAt: at}, fresh}); diff != "" {
			t.Errorf("again (-got +want):\n%s", diff)
		}
		if err := s.Settle(ctx, []sandbox.CarriageKey{{InstanceID: i.ID, WAMessageID: "3EB0a"}, {InstanceID: "ins_none", WAMessageID: "x"}}); err != nil {
			t.Fatal(err)
		}
		settled, err := s.Carry(ctx, []sandbox.Carried{carried(i, "a", later)})
		if err != nil || settled[0] != (sandbox.Taken{CarriedAt: at}) {
			t.Errorf("after it was settled: %v, %v", settled, err)
		}
		all, err := s.Carriages(ctx, tenancy, "", messaging.Page{Limit: 50})
		if err != nil || len(all) != 4 {
			t.Errorf("%d carriages, %v; want 4", len(all), err)
		}
	})
}

// What is owed is read back whole, in pages that neither skip nor repeat.
func TestOwedCarriagesAreReadInPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		want := make(map[sandbox.CarriageKey]sandbox.Carried)
		var all []sandbox.Carried
		for _, name := range []string{"w1", "w2"} {
			i := storetest.Instance(t, s, storetest.Workspace(t, s, name), "one")
			for n := range 130 {
				c := carried(i, strconv.Itoa(n), i.CreatedAt.Add(time.Duration(n)*time.Millisecond))
				want[c.Key()] = c
				all = append(all, c)
			}
		}
		if _, err := s.Carry(ctx, all); err != nil {
			t.Fatal(err)
		}
		settled := keysOf(all[:70])
		if err := s.Settle(ctx, settled); err != nil {
			t.Fatal(err)
		}
		for _, key := range settled {
			delete(want, key)
		}
		got := make(map[sandbox.CarriageKey]sandbox.Carried)
		for after, pages := (sandbox.CarriageKey{}), 0; ; pages++ {
			page, err := s.Owed(ctx, after, 50)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page {
				after = c.Key()
				if _, twice := got[after]; twice || c.Position == 0 {
					t.Fatalf("%v: twice %v, position %d", after, twice, c.Position)
				}
				c.Position = 0
				got[after] = c
			}
			if len(page) < 50 {
				break
			}
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("owed (-got +want):\n%s", diff)
		}
	})
}

// Senders and the pump meet in the committer; each keeps its own rows.
func TestCarriagesOfManySendersShareCommits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tenancy := storetest.Workspace(t, s, "w")
		const senders, batches, size = 8, 10, 16
		var wg sync.WaitGroup
		for n := range senders {
			i := storetest.Instance(t, s, tenancy, fmt.Sprint("i", n))
			wg.Go(func() {
				for b := range batches {
					var batch []sandbox.Carried
					for m := range size {
						batch = append(batch, carried(i, fmt.Sprint(b, "-", m), i.CreatedAt))
					}
					if _, err := s.Carry(ctx, batch); err != nil {
						t.Error(err)
					}
					if err := s.Settle(ctx, keysOf(batch[1:])); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		owed, err := s.Owed(ctx, sandbox.CarriageKey{}, 10_000)
		if err != nil || len(owed) != senders*batches {
			t.Errorf("%d owed, %v; want %d", len(owed), err, senders*batches)
		}
	})
}

func TestCarriagesAreListedWithinTheTenancy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		tenancy := storetest.Workspace(t, s, "w")
		stranger := storetest.Workspace(t, s, "other")
		a, b := storetest.Instance(t, s, tenancy, "a"), storetest.Instance(t, s, tenancy, "b")
		for n := range 5 {
			if _, err := s.Carry(ctx, []sandbox.Carried{carried(a, strconv.Itoa(n), a.CreatedAt), carried(b, strconv.Itoa(n), b.CreatedAt)}); err != nil {
				t.Fatal(err)
			}
		}
		list := func(tenancy messaging.Tenancy, instance string, page messaging.Page) (names []string, last string) {
			t.Helper()
			found, err := s.Carriages(ctx, tenancy, instance, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range found {
				names = append(names, map[string]string{a.ID: "a", b.ID: "b"}[c.InstanceID]+c.Content.Text.Body[len("olá, "):])
				last = strconv.FormatInt(c.Position, 10)
			}
			return names, last
		}
		expect := func(what string, got []string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("%s (-got +want):\n%s", what, diff)
			}
		}
		first, cursor := list(tenancy, "", messaging.Page{Limit: 3})
		expect("first page and one", first, "b4", "a4", "b3", "a3")
		next, _ := list(tenancy, "", messaging.Page{Limit: 1, Cursor: cursor})
		expect("behind it", next, "b2", "a2")
		one, _ := list(tenancy, a.ID, messaging.Page{Limit: 9})
		expect("of one instance", one, "a4", "a3", "a2", "a1", "a0")
		locked := messaging.NewTenancy(tenancy.Workspace(), messaging.Test, messaging.OnlyInstances(b.ID))
		mine, _ := list(locked, "", messaging.Page{Limit: 1})
		expect("of a locked caller", mine, "b4", "b3")
		foreign, _ := list(locked, a.ID, messaging.Page{Limit: 9})
		expect("outside the lock", foreign)
		theirs, _ := list(stranger, "", messaging.Page{Limit: 9})
		expect("of another workspace", theirs)
		live, _ := list(messaging.NewTenancy(tenancy.Workspace(), messaging.Live, messaging.AllInstances()), "", messaging.Page{Limit: 9})
		expect("of the live world", live)
		if _, err := s.Carriages(ctx, tenancy, "", messaging.Page{Limit: 1, Cursor: "no"}); !errors.Is(err, fault.ErrBadRequest) {
			t.Errorf("bad cursor: %v", err)
		}
	})
}

func TestSandboxClockIsReadAsItWasSaved(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		w := storetest.Workspace(t, s, "w").Workspace()
		for _, want := range []sandbox.SavedClock{
			{Mode: sandbox.Real}, // nothing saved
			{Mode: sandbox.Frozen, FrozenAt: time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)},
			{Mode: sandbox.Instant, Offset: -90*time.Minute + time.Microsecond},
			{Mode: sandbox.Real, Offset: 366 * 24 * time.Hour},
		} {
			if want != (sandbox.SavedClock{Mode: sandbox.Real}) {
				if err := s.SaveSandboxClock(ctx, w, want); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := s.SandboxClock(ctx, w); err != nil || got != want {
				t.Errorf("clock %v, %v; want %v", got, err, want)
			}
		}
	})
}

// The whole sandbox on a real database: what one process carried, the next one
// completes.
func TestSandboxCompletesItsDebtsOnBothEngines(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		clocks, driver := startSandbox(t, s)
		if _, err := clocks.SetMode(t.Context(), i.WorkspaceID, sandbox.Frozen); err != nil {
			t.Fatal(err)
		}
		var batch []messaging.Outgoing
		for n := range 100 {
			m := storetest.Message(i, "15005550018", strconv.Itoa(n))
			batch = append(batch, messaging.Outgoing{
				WorkspaceID: m.WorkspaceID, Environment: m.Environment, MessageID: m.ID, InstanceID: m.InstanceID,
				WAMessageID: m.WAMessageID, To: m.Peer, Content: m.Content, Attempt: 1,
			})
		}
		instance, _ := i.Test()
		channel, err := driver.Open(t.Context(), instance)
		if err != nil {
			t.Fatal(err)
		}
		for n, o := range channel.Send(t.Context(), batch) {
			if o.Verdict != messaging.Pending {
				t.Fatalf("message %d: %+v, want pending", n, o)
			}
		}
		_ = channel.Close()
		_ = driver.Close()
		_ = clocks.Close()

		clocks, driver = startSandbox(t, s)
		defer clocks.Close()
		defer driver.Close()
		if err := driver.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := clocks.Advance(t.Context(), i.WorkspaceID, time.Minute); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(time.Minute)
		for {
			owed, err := s.Owed(t.Context(), sandbox.CarriageKey{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(owed) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the debts were not settled in a minute")
			}
			if err := driver.Idle(t.Context(), i.WorkspaceID); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func startSandbox(t *testing.T, s *store.Store) (*sandbox.Clocks, *sandbox.Driver) {
	t.Helper()
	var driver *sandbox.Driver
	clocks, err := sandbox.NewClocks(sandbox.ClocksOptions{Store: s, Idle: func(ctx context.Context, workspace string) error {
		return driver.Idle(ctx, workspace)
	}})
	if err != nil {
		t.Fatal(err)
	}
	driver, err = sandbox.New(sandbox.Options{Store: s, Reporter: s, Clocks: clocks})
	if err != nil {
		t.Fatal(err)
	}
	return clocks, driver
}
