package pairlink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/instances/pairlink"
	"portaria/internal/fault"
	"portaria/internal/testpg"
	"portaria/messaging"
	"portaria/store"
	"portaria/store/storetest"
)

func TestMain(m *testing.M) { testpg.Main(m) }

// bench is a store with an instance, links on it, and a clock in the test's hand.
type bench struct {
	links    *pairlink.Links
	store    *store.Store
	tenancy  messaging.Tenancy
	instance messaging.Instance
	now      time.Time
}

func each(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	storetest.EachUsed(t, func(t *testing.T, s *store.Store) {
		b := &bench{store: s, now: time.Now().UTC().Truncate(time.Microsecond)}
		b.tenancy = storetest.Workspace(t, s, "w")
		b.instance = storetest.Instance(t, s, b.tenancy, "shop")
		b.links = pairlink.New(s, func() time.Time { return b.now })
		f(t, b)
	})
}

func (b *bench) create(t *testing.T, d pairlink.Draft) string {
	t.Helper()
	d.Tenancy, d.InstanceID = b.tenancy, b.instance.ID
	token, _, err := b.links.Create(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

func (b *bench) open(t *testing.T, token, session string, want error) pairlink.Link {
	t.Helper()
	link, err := b.links.Open(t.Context(), token, session)
	if !errors.Is(err, want) {
		t.Errorf("Open returned %v, want %v", err, want)
	}
	return link
}

// Whoever holds a link reaches one instance, whatever its maker could reach.
func TestALinkOpensItsInstanceAlone(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		other := storetest.Instance(t, b.store, b.tenancy, "other")
		token := b.create(t, pairlink.Draft{})
		link := b.open(t, token, "", nil)
		if link.InstanceID != b.instance.ID || !link.Tenancy.Allowlist().Opens(b.instance.ID) || link.Tenancy.Allowlist().Opens(other.ID) {
			t.Errorf("the link opens %v", link.Tenancy)
		}
		b.open(t, token+"A", "", fault.ErrNotFound)
		b.open(t, strings.ToLower(token), "", fault.ErrNotFound)
		b.open(t, "", "", fault.ErrNotFound)
	})
}

// A database that leaks must not leak working links, nor their PINs.
func TestNeitherTokenNorPINIsStoredOrLogged(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		token, link, err := b.links.Create(t.Context(), pairlink.Draft{Tenancy: b.tenancy, InstanceID: b.instance.ID, PIN: "483920"})
		if err != nil {
			t.Fatal(err)
		}
		if len(token.Reveal()) < 26 {
			t.Errorf("a token of %d characters holds less than 128 bits", len(token.Reveal()))
		}
		stored := fmt.Sprintf("%+v", b.open(t, token.Reveal(), "", pairlink.ErrPINRequired))
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("made", "token", token, "link", &link, "text", fmt.Sprint(token))
		for _, text := range []string{stored, log.String()} {
			if strings.Contains(text, token.Reveal()) || strings.Contains(text, "483920") {
				t.Errorf("the secret shows in %s", text)
			}
		}
		if strings.Contains(log.String(), link.PINHash) {
			t.Errorf("the hash of the PIN shows in %s", log.String())
		}
	})
}

func TestALinkExpires(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		usual, longer := b.create(t, pairlink.Draft{}), b.create(t, pairlink.Draft{ExpiresIn: 24 * time.Hour})
		b.now = b.now.Add(pairlink.DefaultLife - time.Microsecond)
		b.open(t, usual, "", nil)
		b.now = b.now.Add(time.Microsecond)
		b.open(t, usual, "", pairlink.ErrExpired)
		b.open(t, longer, "", nil)
		b.now = b.now.Add(24 * time.Hour)
		b.open(t, longer, "", pairlink.ErrExpired)

		if err := b.store.Sweep(t.Context(), b.now.Add(8*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		b.open(t, longer, "", fault.ErrNotFound)
	})
}

// Once a phone is linked, no link of the instance links another one.
func TestTheFirstSuccessUsesUpEveryLinkOfTheInstance(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		one, two := b.create(t, pairlink.Draft{}), b.create(t, pairlink.Draft{PIN: "000000"})
		other := storetest.Instance(t, b.store, b.tenancy, "other")
		elsewhere, _, err := b.links.Create(t.Context(), pairlink.Draft{Tenancy: b.tenancy, InstanceID: other.ID})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the news may come twice
			if err := b.links.Use(t.Context(), b.instance.ID); err != nil {
				t.Fatal(err)
			}
		}
		b.open(t, one, "", pairlink.ErrUsed)
		b.open(t, two, "", pairlink.ErrUsed)
		b.open(t, elsewhere.Reveal(), "", nil)
		if _, err := b.links.Unlock(t.Context(), two, "000000"); !errors.Is(err, pairlink.ErrUsed) {
			t.Errorf("Unlock returned %v", err)
		}
	})
}

func TestAPINOpensItsLinkAndNoOther(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		token, other := b.create(t, pairlink.Draft{PIN: "012345"}), b.create(t, pairlink.Draft{PIN: "012345"})
		b.open(t, token, "", pairlink.ErrPINRequired)
		session, err := b.links.Unlock(t.Context(), token, "012345")
		if err != nil {
			t.Fatal(err)
		}
		b.open(t, token, session, nil)
		b.open(t, other, session, pairlink.ErrPINRequired)
		b.open(t, token, session[1:], pairlink.ErrPINRequired)
		open := b.create(t, pairlink.Draft{})
		if session, err := b.links.Unlock(t.Context(), open, "999999"); err != nil || session != "" {
			t.Errorf("a link without PIN: %q, %v", session, err)
		}
	})
}

// Five wrong PINs end a link, however many come at the same moment: a million
// PINs would not outlast a guesser otherwise.
func TestTheFifthWrongPINEndsTheLink(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		token := b.create(t, pairlink.Draft{PIN: "123456"})
		for left := 4; left >= 1; left-- {
			_, err := b.links.Unlock(t.Context(), token, "000000")
			if f := fault.As(err); !errors.Is(err, pairlink.ErrPINWrong) || f.Details()["tries_left"] != left {
				t.Fatalf("with %d tries left: %v", left, err)
			}
		}
		if session, err := b.links.Unlock(t.Context(), token, "123456"); err != nil || session == "" {
			t.Fatalf("the right PIN at the last try: %v", err)
		}
		if _, err := b.links.Unlock(t.Context(), token, "000000"); !errors.Is(err, pairlink.ErrBlocked) {
			t.Errorf("the fifth wrong PIN: %v", err)
		}
		if _, err := b.links.Unlock(t.Context(), token, "123456"); !errors.Is(err, pairlink.ErrBlocked) {
			t.Errorf("the right PIN after the end: %v", err)
		}

		crowded := b.create(t, pairlink.Draft{PIN: "123456"})
		var wrong, ended atomic.Int64
		var guessers sync.WaitGroup
		for n := range 20 {
			guessers.Go(func() {
				switch _, err := b.links.Unlock(context.Background(), crowded, fmt.Sprintf("%06d", n)); {
				case errors.Is(err, pairlink.ErrPINWrong):
					wrong.Add(1)
				case errors.Is(err, pairlink.ErrBlocked):
					ended.Add(1)
				default:
					t.Errorf("guess %d: %v", n, err)
				}
			})
		}
		guessers.Wait()
		if wrong.Load() != pairlink.MaxWrongPINs-1 || ended.Load() != 20-wrong.Load() {
			t.Errorf("%d guesses were looked at, and %d refused", wrong.Load(), ended.Load())
		}
	})
}

// The claim stands or falls with the link: a repeated request makes no second one.
func TestALinkAndItsClaimAreOneWrite(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		draft := pairlink.Draft{Tenancy: b.tenancy, InstanceID: b.instance.ID}
		draft.ClaimFor = func(pairlink.Link) (*messaging.Claim, error) {
			return &messaging.Claim{Scope: "scope", RequestHash: "hash", Status: 201, Body: []byte("{}")}, nil
		}
		if _, _, err := b.links.Create(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
		token, _, err := b.links.Create(t.Context(), draft)
		if !errors.Is(err, store.ErrIdempotencyRace) {
			t.Fatalf("the second: %v", err)
		}
		b.open(t, token.Reveal(), "", fault.ErrNotFound)
	})
}

func TestDraftsAreChecked(t *testing.T) {
	each(t, func(t *testing.T, b *bench) {
		for name, c := range map[string]struct {
			draft pairlink.Draft
			want  []string
		}{
			"too short":    {pairlink.Draft{ExpiresIn: time.Second}, []string{"expires_in"}},
			"too long":     {pairlink.Draft{ExpiresIn: 25 * time.Hour}, []string{"expires_in"}},
			"five digits":  {pairlink.Draft{PIN: "12345"}, []string{"pin"}},
			"letters":      {pairlink.Draft{PIN: "12345x"}, []string{"pin"}},
			"other digits": {pairlink.Draft{PIN: "١٢٣"}, []string{"pin"}},
			"all":          {pairlink.Draft{ExpiresIn: 1, PIN: "1"}, []string{"expires_in", "pin"}},
		} {
			c.draft.Tenancy, c.draft.InstanceID = b.tenancy, b.instance.ID
			_, _, err := b.links.Create(t.Context(), c.draft)
			var got []string
			if f := fault.As(err); f != nil {
				fields, _ := f.Details()["fields"].([]fault.Field)
				for _, field := range fields {
					got = append(got, field.Field)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}
