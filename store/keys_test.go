package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"portaria/auth"
	"portaria/internal/fault"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

// keyRecord makes a key's record that is not stored. Its hash is no hash: the
// store does not look at it.
func keyRecord(tenancy messaging.Tenancy, instances ...messaging.Instance) auth.Record {
	token := auth.Mint(tenancy.Environment())
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := auth.Record{
		ID: token.KeyID(), Workspace: tenancy.Workspace(), Environment: tenancy.Environment(), Name: "integração",
		Hash: "$2a$10$" + strings.Repeat("x", 53), Tag: "00c0ffee", Last4: "Zz09", Scopes: "whatsapp:send messages:*",
		AllInstances: len(instances) == 0, RatePerMinute: 600, RateBurst: 100, MessagesPerMinute: 30, Lineage: token.KeyID(),
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	for _, i := range instances {
		r.Instances = append(r.Instances, auth.AllowedInstance{ID: i.ID, Name: i.Name})
	}
	slices.SortFunc(r.Instances, func(a, b auth.AllowedInstance) int { return cmp.Compare(a.ID, b.ID) })
	return r
}

func insertKey(t *testing.T, s *store.Store, r auth.Record) auth.Record {
	t.Helper()
	stored, err := s.InsertKey(t.Context(), r)
	if err != nil {
		t.Fatalf("insert key: %v", err)
	}
	return stored
}

// epochMoves fails unless act raises the key epoch exactly when it should:
// otherwise other processes miss it, or read all keys for nothing.
func epochMoves(t *testing.T, s *store.Store, want bool, act func()) {
	t.Helper()
	before, err := s.KeyEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	act()
	after, err := s.KeyEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if moved := after > before; moved != want || after < before {
		t.Errorf("epoch %d became %d", before, after)
	}
}

func TestAKeyReadsBackAsItWasGiven(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		one, two := storetest.Instance(t, s, tenancy, "one"), storetest.Instance(t, s, tenancy, "two")
		for _, want := range []auth.Record{keyRecord(tenancy, two, one), keyRecord(tenancy)} {
			given := want
			given.Instances = slices.Clone(want.Instances)
			for i := range given.Instances {
				given.Instances[i].Name = "" // names come from the store
			}
			epochMoves(t, s, true, func() {
				if diff := gocmp.Diff(insertKey(t, s, given), want); diff != "" {
					t.Errorf("InsertKey (-got +want):\n%s", diff)
				}
			})
			got, err := s.Key(t.Context(), want.ID)
			if diff := gocmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("Key: %v (-got +want):\n%s", err, diff)
			}
		}
		if _, err := s.Key(t.Context(), "key_absent000000"); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("an absent key: %v", err)
		}
	})
}

// A key must never be locked to a number of another workspace, of the other
// environment, or that is gone, and a refused key must leave nothing behind.
func TestAKeyIsOnlyLockedToInstancesOfItsTenancy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine, other := storetest.Workspace(t, s, "mine"), storetest.Workspace(t, s, "other")
		live := messaging.NewTenancy(mine.Workspace(), messaging.Live, messaging.AllInstances())
		good, gone := storetest.Instance(t, s, mine, "good"), storetest.Instance(t, s, mine, "gone")
		if err := s.DeleteInstance(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		for name, i := range map[string]messaging.Instance{
			"another workspace":   storetest.Instance(t, s, other, "good"),
			"another environment": storetest.Instance(t, s, live, "good"),
			"deleted":             gone,
			"absent":              storetest.NewInstance(mine, "absent"),
		} {
			t.Run(name, func(t *testing.T) {
				r := keyRecord(mine, good, i)
				epochMoves(t, s, false, func() {
					if _, err := s.InsertKey(t.Context(), r); !errors.Is(err, fault.ErrValidation) {
						t.Errorf("error %v, want VALIDATION_FAILED", err)
					}
				})
				if _, err := s.Key(t.Context(), r.ID); !errors.Is(err, fault.ErrNotFound) {
					t.Errorf("the key was stored: %v", err)
				}
			})
		}
	})
}

func TestKeysAreListedByWorkspaceNewestFirst(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		mine, other := storetest.Workspace(t, s, "mine"), storetest.Workspace(t, s, "other")
		i := storetest.Instance(t, s, mine, "one")
		var want []auth.Record
		for n := range 3 {
			r := keyRecord(mine, i)
			r.CreatedAt = r.CreatedAt.Add(time.Duration(n) * time.Second)
			want = append([]auth.Record{insertKey(t, s, r)}, want...)
		}
		foreign := insertKey(t, s, keyRecord(other))
		got, err := s.ListKeys(t.Context(), mine.Workspace())
		if diff := gocmp.Diff(got, want); err != nil || diff != "" {
			t.Errorf("ListKeys: %v (-got +want):\n%s", err, diff)
		}
		all, err := s.Keys(t.Context())
		if err != nil || len(all) != 4 {
			t.Errorf("Keys: %d, %v", len(all), err)
		}
		if _, err := s.FindKey(t.Context(), mine.Workspace(), foreign.ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a key of another workspace: %v", err)
		}
	})
}

// A new instance under an old name must not be inside an old lock, and a lock
// whose last instance is gone must not turn into all instances.
func TestDeletingAnInstanceEmptiesTheLock(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "loja")
		r := insertKey(t, s, keyRecord(tenancy, i))
		epochMoves(t, s, true, func() {
			if err := s.DeleteInstance(t.Context(), i); err != nil {
				t.Fatal(err)
			}
		})
		storetest.Instance(t, s, tenancy, "loja")
		got, err := s.Key(t.Context(), r.ID)
		if err != nil || len(got.Instances) != 0 || got.AllInstances {
			t.Errorf("Key = %+v, %v", got, err)
		}
	})
}

func TestRevocationKeepsItsFirstTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		r := insertKey(t, s, keyRecord(tenancy))
		at := r.CreatedAt.Add(time.Minute)
		epochMoves(t, s, true, func() {
			got, err := s.RevokeKey(t.Context(), r.Workspace, r.ID, at)
			if err != nil || !got.RevokedAt.Equal(at) {
				t.Errorf("RevokeKey = %v, %v", got.RevokedAt, err)
			}
		})
		epochMoves(t, s, false, func() {
			got, err := s.RevokeKey(t.Context(), r.Workspace, r.ID, at.Add(time.Hour))
			if err != nil || !got.RevokedAt.Equal(at) {
				t.Errorf("a second RevokeKey = %v, %v", got.RevokedAt, err)
			}
			if _, err := s.RevokeKey(t.Context(), "wsp_other", r.ID, at); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("of another workspace: %v", err)
			}
		})
	})
}

func TestRotationStoresBothOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "one")
		old := insertKey(t, s, keyRecord(tenancy, i))
		successor := keyRecord(tenancy, i)
		successor.Lineage = old.ID
		old.ExpiresAt, old.SuccessorID = old.CreatedAt.Add(time.Minute), successor.ID
		epochMoves(t, s, true, func() {
			if err := s.RotateKey(t.Context(), auth.Rotation{Old: old, Successor: successor}); err != nil {
				t.Fatal(err)
			}
		})
		for _, want := range []auth.Record{old, successor} {
			got, err := s.Key(t.Context(), want.ID)
			if diff := gocmp.Diff(got, want); err != nil || diff != "" {
				t.Errorf("%v (-got +want):\n%s", err, diff)
			}
		}
		again := keyRecord(tenancy)
		epochMoves(t, s, false, func() {
			if err := s.RotateKey(t.Context(), auth.Rotation{Old: old, Successor: again}); !errors.Is(err, fault.ErrConflict) {
				t.Errorf("a second rotation: %v", err)
			}
		})
		if _, err := s.Key(t.Context(), again.ID); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("its successor was stored: %v", err)
		}
	})
}

// Two operators who rotate one key together get one successor, not two.
func TestConcurrentRotationsMakeOneSuccessor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		keys, err := auth.NewKeys(auth.KeysOptions{Store: s, BcryptCost: auth.MinBcryptCost})
		if err != nil {
			t.Fatal(err)
		}
		old := insertKey(t, s, keyRecord(tenancy))
		results := make([]error, 8)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { _, _, results[i] = keys.Rotate(t.Context(), old.Workspace, old.ID, time.Hour) })
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, fault.ErrConflict):
				t.Error(err)
			}
		}
		if list, err := s.ListKeys(t.Context(), old.Workspace); won != 1 || err != nil || len(list) != 2 {
			t.Errorf("%d rotations won, %d keys, %v", won, len(list), err)
		}
	})
}

func TestLastUseOnlyMovesForward(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		at := time.Now().UTC().Truncate(time.Microsecond)
		used := make(map[string]time.Time)
		for n := range 300 { // more than one transaction's worth
			r := keyRecord(tenancy)
			r.Name = fmt.Sprintf("k%d", n)
			used[insertKey(t, s, r).ID] = at
		}
		epochMoves(t, s, false, func() {
			if err := s.TouchKeys(t.Context(), used); err != nil {
				t.Fatal(err)
			}
			for id := range used {
				if err := s.TouchKeys(t.Context(), map[string]time.Time{id: at.Add(-time.Minute), "key_absent000000": at}); err != nil {
					t.Fatal(err)
				}
				break
			}
		})
		all, err := s.Keys(t.Context())
		if err != nil || len(all) != 300 {
			t.Fatalf("%d keys, %v", len(all), err)
		}
		for _, r := range all {
			if !r.LastUsedAt.Equal(at) {
				t.Fatalf("%s was used at %v, want %v", r.Name, r.LastUsedAt, at)
			}
		}
	})
}

// The whole story on real parts: keys minted, rotated and revoked by one
// process (the command line) take effect in another (the server) within a
// second, and the server writes when they were used.
func TestTheServerFollowsTheCommandLine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		tenancy := storetest.Workspace(t, s, "w")
		i := storetest.Instance(t, s, tenancy, "loja")
		keys, err := auth.NewKeys(auth.KeysOptions{Store: s, BcryptCost: auth.MinBcryptCost})
		if err != nil {
			t.Fatal(err)
		}
		directory, stop := serve(t, s)
		key, token, err := keys.Create(t.Context(), auth.NewKey{
			Workspace: tenancy.Workspace(), Environment: messaging.Test, Name: "script",
			Scopes: []string{"whatsapp:send"}, Instances: []string{i.ID},
		})
		if err != nil {
			t.Fatal(err)
		}
		grant, err := directory.Authenticate(t.Context(), token.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := grant.InstanceID("loja"); !ok || id != i.ID || grant.Tenancy().Workspace() != tenancy.Workspace() {
			t.Errorf("grant %+v", grant)
		}
		successor, fresh, err := keys.Rotate(t.Context(), tenancy.Workspace(), key.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		refusedSoon(t, directory, token)
		if _, err := directory.Authenticate(t.Context(), fresh.Reveal()); err != nil {
			t.Errorf("the successor: %v", err)
		}
		if _, err := keys.Revoke(t.Context(), tenancy.Workspace(), successor.ID); err != nil {
			t.Fatal(err)
		}
		refusedSoon(t, directory, fresh)
		stop()
		list, err := keys.List(t.Context(), tenancy.Workspace())
		if err != nil || len(list) != 2 {
			t.Fatalf("%d keys, %v", len(list), err)
		}
		for _, k := range list {
			if k.LastUsedAt.IsZero() || k.State != auth.KeyRevoked {
				t.Errorf("%s is %s, last used %v", k.Display, k.State, k.LastUsedAt)
			}
		}
	})
}

// serve runs a directory as a server does, until stop.
func serve(t *testing.T, s *store.Store) (directory *auth.Directory, stop func()) {
	t.Helper()
	directory, err := auth.New(auth.Options{Store: s, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- directory.Run(ctx) }()
	return directory, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// refusedSoon waits until a token is refused. That it is so within a second is
// shown in auth, where the time is that of a bubble.
func refusedSoon(t *testing.T, directory *auth.Directory, token auth.Token) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < time.Minute; <-tick.C {
		if _, err := directory.Authenticate(t.Context(), token.Reveal()); errors.Is(err, auth.ErrUnauthorized) {
			return
		}
	}
	t.Errorf("%v still works a minute after it was revoked", token)
}
