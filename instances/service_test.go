package instances_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portaria/instances"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// An instance is seen in its own tenancy only, by id and by name alike, and a
// tenancy that does not open it must not learn that it exists.
func TestAnInstanceIsResolvedInItsTenancyOnly(t *testing.T) {
	each(t, func(w *world) {
		one, two := w.create("one"), w.create("two")
		workspace := w.tenancy.Workspace()
		foreign := storetest.Workspace(w.t, w.store, "other")
		for name, c := range map[string]struct {
			tenancy messaging.Tenancy
			opens   bool
		}{
			"all instances":     {w.tenancy, true},
			"locked to it":      {messaging.NewTenancy(workspace, messaging.Test, messaging.OnlyInstances(one.ID)), true},
			"locked elsewhere":  {messaging.NewTenancy(workspace, messaging.Test, messaging.OnlyInstances(two.ID)), false},
			"locked to nothing": {messaging.NewTenancy(workspace, messaging.Test, messaging.Allowlist{}), false},
			"live":              {messaging.NewTenancy(workspace, messaging.Live, messaging.AllInstances()), false},
			"other workspace":   {foreign, false},
		} {
			for _, ref := range []string{one.ID, one.Name} {
				got, err := w.manager.Resolve(w.t.Context(), c.tenancy, ref)
				if c.opens {
					if diff := cmp.Diff(one, got); diff != "" || err != nil {
						w.t.Errorf("%s: resolve %s: %v\n%s", name, ref, err, diff)
					}
				} else if !errors.Is(err, instances.ErrNotFound) {
					w.t.Errorf("%s: resolve %s = %s, %v; want ErrNotFound", name, ref, got.ID, err)
				}
			}
		}
	})
}

func TestAListShowsWhatTheTenancyOpensNewestFirst(t *testing.T) {
	each(t, func(w *world) {
		var ids []string
		for n := range 5 {
			ids = append([]string{w.create(fmt.Sprint("n", n)).ID}, ids...)
		}
		if _, err := w.manager.Create(w.t.Context(), live(w.tenancy), instances.Draft{Name: "n0"}); err != nil {
			w.t.Fatal(err)
		}
		list := func(t messaging.Tenancy, page messaging.Page) (got []string) {
			all, err := w.manager.List(context.Background(), t, page)
			if err != nil {
				w.t.Error(err)
			}
			for _, i := range all {
				got = append(got, i.ID)
			}
			return got
		}
		locked := messaging.NewTenancy(w.tenancy.Workspace(), messaging.Test, messaging.OnlyInstances(ids[1], ids[3]))
		for name, c := range map[string]struct{ got, want []string }{
			"all":          {list(w.tenancy, messaging.Page{Limit: 50}), ids},
			"one too many": {list(w.tenancy, messaging.Page{Limit: 2}), ids[:3]},
			"next page":    {list(w.tenancy, messaging.Page{Limit: 50, Cursor: ids[2]}), ids[3:]},
			"locked":       {list(locked, messaging.Page{Limit: 50}), []string{ids[1], ids[3]}},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				w.t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func live(t messaging.Tenancy) messaging.Tenancy {
	return messaging.NewTenancy(t.Workspace(), messaging.Live, messaging.AllInstances())
}

// What a caller may rely on right after a 201.
func TestANewInstanceIsAsItsWorldMakesIt(t *testing.T) {
	each(t, func(w *world) {
		for name, c := range map[string]struct {
			tenancy messaging.Tenancy
			draft   instances.Draft
			driver  messaging.DriverName
			desired messaging.Desired
			state   messaging.InstanceState
			sends   bool
		}{
			"paired":   {w.tenancy, instances.Draft{}, messaging.DriverSandbox, messaging.DesiredConnected, messaging.InstanceConnected, true},
			"unpaired": {w.tenancy, instances.Draft{Unpaired: true}, messaging.DriverSandbox, messaging.DesiredDisconnected, messaging.InstanceCreated, false},
			"live":     {live(w.tenancy), instances.Draft{}, messaging.DriverWhatsApp, messaging.DesiredDisconnected, messaging.InstanceCreated, false},
		} {
			c.draft.Name, c.draft.Metadata = name, []byte(`{"client":"acme"}`)
			got, err := w.manager.Create(w.t.Context(), c.tenancy, c.draft)
			if err != nil {
				w.t.Fatalf("%s: %v", name, err)
			}
			if got.Driver != c.driver || got.Desired != c.desired || got.State != c.state || (got.Phone != "") != c.sends {
				w.t.Errorf("%s: %+v", name, got)
			}
			if string(got.Metadata) != `{"client":"acme"}` || string(got.Settings) != `{}` {
				w.t.Errorf("%s: metadata %s, settings %s", name, got.Metadata, got.Settings)
			}
			if _, ok := w.manager.Channel(got.ID); ok != c.sends {
				w.t.Errorf("%s: has a channel to send on: %v", name, ok)
			}
			stored, err := w.store.FindInstance(w.t.Context(), got.WorkspaceID, got.Environment, name)
			if diff := cmp.Diff(got, stored); diff != "" || err != nil {
				w.t.Errorf("%s: stored: %v\n%s", name, err, diff)
			}
		}
	})
}

// Of many who want a name one gets it, and it is free again after a deletion.
func TestANameBelongsToOneInstanceOfAnEnvironment(t *testing.T) {
	each(t, func(w *world) {
		var mu sync.Mutex
		var won []messaging.Instance
		var callers sync.WaitGroup
		for range 12 {
			callers.Go(func() {
				i, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "support"})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, i)
				} else if !errors.Is(err, store.ErrNameTaken) {
					w.t.Errorf("create: %v; want NAME_TAKEN", err)
				}
			})
		}
		callers.Wait()
		if len(won) != 1 {
			w.t.Fatalf("%d callers got the name", len(won))
		}
		if _, err := w.manager.Create(w.t.Context(), live(w.tenancy), instances.Draft{Name: "support"}); err != nil {
			w.t.Errorf("the same name in the other environment: %v", err)
		}
		if _, err := w.manager.Delete(w.t.Context(), w.tenancy, won[0].ID); err != nil {
			w.t.Fatal(err)
		}
		again := w.create("support")
		if got := w.resolve("support"); got.ID != again.ID {
			w.t.Errorf("support is %s, want the new instance %s", got.ID, again.ID)
		}
	})
}

func TestADraftThatIsNotValidIsRefusedWithItsFields(t *testing.T) {
	w := newWorld(t, storetest.Light, lateness{})
	big := func(n int) []byte { return []byte(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	for name, c := range map[string]struct {
		tenancy messaging.Tenancy
		draft   instances.Draft
		fields  []string
	}{
		"no name":          {w.tenancy, instances.Draft{}, []string{"name"}},
		"upper case":       {w.tenancy, instances.Draft{Name: "Support"}, []string{"name"}},
		"dash first":       {w.tenancy, instances.Draft{Name: "-a"}, []string{"name"}},
		"too long":         {w.tenancy, instances.Draft{Name: strings.Repeat("a", 65)}, []string{"name"}},
		"like an id":       {w.tenancy, instances.Draft{Name: "ins_a"}, []string{"name"}},
		"unpaired live":    {live(w.tenancy), instances.Draft{Name: "a", Unpaired: true}, []string{"sandbox"}},
		"metadata a list":  {w.tenancy, instances.Draft{Name: "a", Metadata: []byte(`[]`)}, []string{"metadata"}},
		"metadata broken":  {w.tenancy, instances.Draft{Name: "a", Metadata: []byte(`{"a":`)}, []string{"metadata"}},
		"metadata too big": {w.tenancy, instances.Draft{Name: "a", Metadata: big(4097)}, []string{"metadata"}},
		"settings too big": {w.tenancy, instances.Draft{Name: "a", Settings: big(16385)}, []string{"settings"}},
		"several":          {w.tenancy, instances.Draft{Metadata: []byte(`1`), Settings: []byte(`null`)}, []string{"name", "metadata", "settings"}},
	} {
		_, err := w.manager.Create(t.Context(), c.tenancy, c.draft)
		if diff := cmp.Diff(c.fields, refused(err)); diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	draft := instances.Draft{Name: strings.Repeat("a", 64), Metadata: big(4096), Settings: big(16384)}
	if _, err := w.manager.Create(t.Context(), w.tenancy, draft); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
}

// refused are the fields that a validation fault names.
func refused(err error) (names []string) {
	if !errors.Is(err, fault.ErrValidation) {
		return nil
	}
	for _, f := range fault.As(err).Details()["fields"].([]fault.Field) {
		names = append(names, f.Field)
	}
	return names
}

// A deletion is for good: nothing is sent from the number again, and what
// waits is canceled.
func TestADeletedInstanceIsGoneAtOnce(t *testing.T) {
	each(t, func(w *world) {
		one, other := w.create("one"), w.create("other")
		if _, err := w.manager.Delete(w.t.Context(), w.tenancy, "one"); err != nil {
			w.t.Fatal(err)
		}
		if _, ok := w.manager.Channel(one.ID); ok {
			w.t.Error("a deleted instance has a channel")
		}
		if _, done := w.drains.counts(one.ID); done != 1 {
			w.t.Errorf("drained %d times", done)
		}
		for _, ref := range []string{one.ID, one.Name} {
			if _, err := w.manager.Resolve(w.t.Context(), w.tenancy, ref); !errors.Is(err, instances.ErrNotFound) {
				w.t.Errorf("resolve %s: %v", ref, err)
			}
		}
		if _, err := w.manager.Delete(w.t.Context(), w.tenancy, one.ID); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("delete it again: %v", err)
		}
		patch := instances.Patch{Metadata: []byte(`{"a":1}`)}
		if _, err := w.manager.Update(w.t.Context(), w.tenancy, one.ID, patch); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("patch it: %v", err)
		}
		if _, ok := w.manager.Channel(other.ID); !ok {
			w.t.Error("the other instance lost its channel")
		}
	})
}

// The claim of an Idempotency-Key names the new instance, and is stored with it
// or not at all.
func TestAClaimIsStoredWithItsInstance(t *testing.T) {
	each(t, func(w *world) {
		claim := func(i messaging.Instance) (*messaging.Claim, error) {
			return &messaging.Claim{Scope: "s", RequestHash: "h", Status: 201, Body: []byte(i.ID)}, nil
		}
		i, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "one", ClaimFor: claim})
		if err != nil {
			w.t.Fatal(err)
		}
		if kept, ok, err := w.store.Claimed(w.t.Context(), w.tenancy, "s"); err != nil || !ok || string(kept.Body) != i.ID {
			w.t.Errorf("Claimed = %+v, %v, %v", kept, ok, err)
		}
		if _, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "two", ClaimFor: claim}); !errors.Is(err, store.ErrIdempotencyRace) {
			w.t.Errorf("the same claim again: %v", err)
		}
		failing := func(messaging.Instance) (*messaging.Claim, error) { return nil, errDown }
		if _, err := w.manager.Create(w.t.Context(), w.tenancy, instances.Draft{Name: "two", ClaimFor: failing}); !errors.Is(err, errDown) {
			w.t.Errorf("a claim that cannot be made: %v", err)
		}
		if _, err := w.manager.Resolve(w.t.Context(), w.tenancy, "two"); !errors.Is(err, instances.ErrNotFound) {
			w.t.Errorf("an instance without its claim: %v", err)
		}
	})
}
