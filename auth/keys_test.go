package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"portaria/internal/fault"
	"portaria/messaging"
)

func TestCreatedKeyKeepsNothingOfItsSecret(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t, lockedTo("ins_2", "ins_1", "ins_2"), func(n *NewKey) { n.ExpiresIn = 90 * 24 * time.Hour })
	record := h.store.records[key.ID]
	if bcrypt.CompareHashAndPassword([]byte(record.Hash), []byte(token.Reveal())) != nil {
		t.Error("the hash is not the token's")
	}
	if cost, err := bcrypt.Cost([]byte(record.Hash)); err != nil || cost != MinBcryptCost {
		t.Errorf("cost %d, %v", cost, err)
	}
	secret := token.Reveal()[20:50]
	for _, kept := range []string{record.Hash, record.Tag, record.Last4, record.ID, key.Display} {
		if strings.Contains(kept, secret) {
			t.Errorf("%q holds the secret", kept)
		}
	}
	want := Key{
		ID: token.KeyID(), Workspace: "wsp_1", Environment: messaging.Test, Name: "script", Display: token.String(),
		State: KeyActive, Scopes: []string{"whatsapp:send"},
		Instances:     []AllowedInstance{{"ins_1", "name-of-ins_1"}, {"ins_2", "name-of-ins_2"}},
		RatePerMinute: 600, RateBurst: 100, Lineage: token.KeyID(), CreatedAt: key.CreatedAt,
		ExpiresAt: key.CreatedAt.Add(90 * 24 * time.Hour),
	}
	if diff := cmp.Diff(key, want); diff != "" {
		t.Errorf("key (-got +want):\n%s", diff)
	}
}

// The process that minted a token has proven it: the first request of the
// first-run banner does not wait for another bcrypt.
func TestKeyMintedHereIsVerifiedAlready(t *testing.T) {
	h := newHouse(t)
	h.keys.directory = h.directory
	h.load(t)
	_, token := h.create(t)
	h.opens(t, token)
	h.load(t)
	h.opens(t, token)
	if n := h.bcrypt.calls.Load(); n != 0 {
		t.Errorf("bcrypt ran %d times", n)
	}
	h.refuses(t, forge(token), ErrUnauthorized)
}

func TestKeyDraftsAreRefused(t *testing.T) {
	tests := map[string]struct {
		change func(*NewKey)
		field  string
		rule   string
	}{
		"no name":            {func(n *NewKey) { n.Name = "" }, "name", "required"},
		"blank name":         {func(n *NewKey) { n.Name = " \t" }, "name", "required"},
		"long name":          {func(n *NewKey) { n.Name = strings.Repeat("ã", 101) }, "name", "max"},
		"control characters": {func(n *NewKey) { n.Name = "a\x1b[31m" }, "name", "format"},
		"not UTF-8":          {func(n *NewKey) { n.Name = "a\xff" }, "name", "format"},
		"no environment":     {func(n *NewKey) { n.Environment = "" }, "environment", "enum"},
		"wrong environment":  {func(n *NewKey) { n.Environment = "prod" }, "environment", "enum"},
		"no scopes":          {func(n *NewKey) { n.Scopes = nil }, "scopes", "required"},
		"unknown scope":      {func(n *NewKey) { n.Scopes = []string{"keys:mint"} }, "scopes", "enum"},
		"live sandbox": {
			func(n *NewKey) { n.Environment, n.Scopes = messaging.Live, []string{"sandbox:run"} },
			"scopes", "environment",
		},
		"neither list nor all": {lockedTo(), "instances", "required"},
		"list and all":         {func(n *NewKey) { n.Instances = []string{"ins_1"} }, "instances", "exclusive"},
		"negative rate":        {func(n *NewKey) { n.RatePerMinute = -1 }, "rate_per_minute", "range"},
		"huge rate":            {func(n *NewKey) { n.RatePerMinute = 10_000_001 }, "rate_per_minute", "range"},
		"negative burst":       {func(n *NewKey) { n.RateBurst = -1 }, "rate_burst", "range"},
		"huge burst":           {func(n *NewKey) { n.RateBurst = 1_000_001 }, "rate_burst", "range"},
		"negative messages":    {func(n *NewKey) { n.MessagesPerMinute = -1 }, "messages_per_minute", "range"},
		"huge messages":        {func(n *NewKey) { n.MessagesPerMinute = 1 << 62 }, "messages_per_minute", "range"},
		"negative expiry":      {func(n *NewKey) { n.ExpiresIn = -1 }, "expires_in", "min"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			draft := NewKey{Workspace: "wsp_1", Environment: messaging.Test, Name: "a", Scopes: []string{"*"}, AllInstances: true}
			tt.change(&draft)
			_, token, err := h.keys.Create(t.Context(), draft)
			if !errors.Is(err, fault.ErrValidation) || token != (Token{}) {
				t.Fatalf("error %v, token %v", err, token)
			}
			if got := rulesOf(t, err, tt.field); !slices.Contains(got, tt.rule) {
				t.Errorf("rules of %s: %v, want %s", tt.field, got, tt.rule)
			}
			if len(h.store.records) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestBurstIsASixthOfTheRate(t *testing.T) {
	for rate, want := range map[int64]int64{0: 100, 1: 1, 6: 1, 7: 2, 60: 10, 600: 100, 10_000_000: 1_000_000} {
		h := newHouse(t)
		key, _ := h.create(t, func(n *NewKey) { n.RatePerMinute = rate })
		if key.RateBurst != want || (rate != 0 && key.RatePerMinute != rate) {
			t.Errorf("rate %d: %d a minute, burst %d, want %d", rate, key.RatePerMinute, key.RateBurst, want)
		}
	}
}

func TestKeysOfAnotherWorkspaceDoNotExist(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	if _, err := h.keys.Show(t.Context(), "wsp_2", key.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Show: %v", err)
	}
	if _, err := h.keys.Revoke(t.Context(), "wsp_2", key.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Revoke: %v", err)
	}
	if _, _, err := h.keys.Rotate(t.Context(), "wsp_2", key.ID, 0); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Rotate: %v", err)
	}
	if list, err := h.keys.List(t.Context(), "wsp_2"); err != nil || len(list) != 0 {
		t.Errorf("List: %v, %v", list, err)
	}
	h.load(t)
	h.opens(t, token)
}

func TestStatesAndRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		key, _ := h.create(t, func(n *NewKey) { n.ExpiresIn = time.Hour })
		state := func() KeyState {
			t.Helper()
			list, err := h.keys.List(t.Context(), "wsp_1")
			if err != nil {
				t.Fatal(err)
			}
			return list[0].State
		}
		if got := state(); got != KeyActive {
			t.Errorf("state %s", got)
		}
		time.Sleep(time.Hour)
		if got := state(); got != KeyExpired {
			t.Errorf("state %s", got)
		}
		first, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID)
		if err != nil || first.State != KeyRevoked {
			t.Fatalf("Revoke = %v, %v", first, err)
		}
		time.Sleep(time.Minute)
		again, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID)
		if err != nil || !again.RevokedAt.Equal(first.RevokedAt) {
			t.Errorf("revoked at %v, then %v, %v", first.RevokedAt, again.RevokedAt, err)
		}
	})
}

// A rotation must neither widen what a key may do nor cut a client off before
// it has the successor.
func TestRotationKeepsRightsAndGrantsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.keys.directory = h.directory
		h.load(t)
		old, token := h.create(t, lockedTo("ins_1"), func(n *NewKey) {
			n.ExpiresIn, n.MessagesPerMinute, n.Scopes = 30*24*time.Hour, 30, []string{"whatsapp:*", "bulk:read"}
		})
		time.Sleep(24 * time.Hour)
		successor, fresh, err := h.keys.Rotate(t.Context(), "wsp_1", old.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		want := old
		want.ID, want.Display, want.CreatedAt = fresh.KeyID(), fresh.String(), time.Now().UTC()
		want.ExpiresAt = want.CreatedAt.Add(30 * 24 * time.Hour)
		if diff := cmp.Diff(successor, want); diff != "" {
			t.Errorf("successor (-got +want):\n%s", diff)
		}
		shown, err := h.keys.Show(t.Context(), "wsp_1", old.ID)
		if err != nil || shown.SuccessorID != successor.ID || !shown.ExpiresAt.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("old key %+v, %v", shown, err)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		h.opens(t, token)
		h.opens(t, fresh)
		time.Sleep(time.Nanosecond)
		h.refuses(t, token.Reveal(), ErrKeyExpired)
		h.opens(t, fresh)

		if _, _, err := h.keys.Rotate(t.Context(), "wsp_1", old.ID, time.Hour); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("rotated twice: %v", err)
		}
		if _, _, err := h.keys.Rotate(t.Context(), "wsp_1", successor.ID, -1); !errors.Is(err, fault.ErrValidation) {
			t.Errorf("negative grace: %v", err)
		}
	})
}

func TestGraceNeverLengthensALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		old, _ := h.create(t, func(n *NewKey) { n.ExpiresIn = time.Hour })
		if _, _, err := h.keys.Rotate(t.Context(), "wsp_1", old.ID, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		shown, err := h.keys.Show(t.Context(), "wsp_1", old.ID)
		if err != nil || !shown.ExpiresAt.Equal(old.ExpiresAt) {
			t.Errorf("expires %v, was %v; %v", shown.ExpiresAt, old.ExpiresAt, err)
		}
	})
}

func TestRotationWithoutGraceRevokesNow(t *testing.T) {
	h := newHouse(t)
	h.keys.directory = h.directory
	h.load(t)
	old, token := h.create(t)
	_, fresh, err := h.keys.Rotate(t.Context(), "wsp_1", old.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.refuses(t, token.Reveal(), ErrUnauthorized)
	h.opens(t, fresh)
	if _, _, err := h.keys.Rotate(t.Context(), "wsp_1", old.ID, 0); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a revoked key was rotated: %v", err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	if got, err := h.keys.Check(t.Context(), " "+token.Reveal()+"\n"); err != nil || got.ID != key.ID || got.State != KeyActive {
		t.Errorf("Check = %+v, %v", got, err)
	}
	if _, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := h.keys.Check(t.Context(), token.Reveal()); err != nil || got.State != KeyRevoked {
		t.Errorf("Check of a revoked key = %+v, %v", got, err)
	}
	sentences := make(map[string]bool)
	for _, text := range []string{"sk_live_nonsense", Mint(messaging.Test).Reveal(), forge(token)} {
		_, err := h.keys.Check(t.Context(), text)
		if !errors.Is(err, ErrUnauthorized) {
			t.Fatalf("error %v", err)
		}
		sentences[fault.As(err).Message()] = true
	}
	if len(sentences) != 3 {
		t.Errorf("the three refusals say %v", sentences)
	}
}

func TestBcryptCostIsBounded(t *testing.T) {
	for _, cost := range []int{-1, 3, 15} {
		if _, err := NewKeys(KeysOptions{Store: newMemory(), BcryptCost: cost}); err == nil {
			t.Errorf("cost %d was accepted", cost)
		}
	}
	keys, err := NewKeys(KeysOptions{Store: newMemory()})
	if err != nil || keys.cost != DefaultBcryptCost {
		t.Errorf("%v, %v", keys, err)
	}
}
