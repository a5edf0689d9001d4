package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portaria/internal/fault"
	"portaria/messaging"
)

func TestVerifiedKeyRunsBcryptOnce(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t, lockedTo("ins_1"), func(n *NewKey) { n.MessagesPerMinute = 60 })
	h.load(t)
	first := h.opens(t, token)
	for range 100 {
		if again := h.opens(t, token); again != first {
			t.Fatal("another grant for the same key")
		}
	}
	if n := h.bcrypt.calls.Load(); n != 1 {
		t.Errorf("bcrypt ran %d times", n)
	}
	if first.KeyID != key.ID || first.Lineage != key.ID || first.Name != "script" || first.Workspace != "wsp_1" ||
		first.Environment != messaging.Test || !first.Can(WhatsAppSend) || first.Can(WhatsAppRead) ||
		first.RatePerMinute != 600 || first.RateBurst != 100 || first.Requests.Burst() != 100 || first.Messages.Burst() != 10 {
		t.Errorf("grant %+v", first)
	}
	if id, ok := first.InstanceID("name-of-ins_1"); !ok || id != "ins_1" {
		t.Errorf("InstanceID = %q, %v", id, ok)
	}
}

// Whoever probes for keys must not learn whether an id exists, was revoked, or
// only its secret was wrong: the very same fault answers.
func TestRefusalsCannotBeToldApart(t *testing.T) {
	h := newHouse(t)
	_, good := h.create(t)
	gone, revoked := h.create(t)
	if _, err := h.keys.Revoke(t.Context(), "wsp_1", gone.ID); err != nil {
		t.Fatal(err)
	}
	h.load(t)
	h.opens(t, good)
	changed := []byte(good.Reveal())
	changed[57] ^= 1
	other := "sk_live_" + good.Reveal()[8:checksumAt]
	sum := encodeChecksum(checksum(other))
	for name, text := range map[string]string{
		"absent":              "",
		"malformed":           "Bearer",
		"bad checksum":        string(changed),
		"unknown id":          Mint(messaging.Test).Reveal(),
		"wrong secret":        forge(good),
		"revoked":             revoked.Reveal(),
		"revoked, wrong":      forge(revoked),
		"another environment": other + string(sum[:]),
	} {
		t.Run(name, func(t *testing.T) { h.refuses(t, text, ErrUnauthorized) })
	}
}

// A caller who knows a key's id (it is shown in lists) must not be able to keep
// the processors busy with bcrypt, before or after the key was verified.
func TestWrongSecretsNeverReachBcrypt(t *testing.T) {
	h := newHouse(t)
	_, token := h.create(t)
	h.load(t)
	for range 5_000 {
		h.refuses(t, forge(token), ErrUnauthorized)
	}
	h.opens(t, token)
	for range 5_000 {
		h.refuses(t, forge(token), ErrUnauthorized)
	}
	if n := h.bcrypt.calls.Load(); n != 1 {
		t.Errorf("bcrypt ran %d times; 1 was for the right secret", n)
	}
	if n := h.store.single.Load(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
}

// One wrong secret in four billion has the right tag. bcrypt must stop it, and
// its failure must not be kept as a proof.
func TestTagAloneOpensNothing(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	wrong, err := Parse(forge(token))
	if err != nil {
		t.Fatal(err)
	}
	record := h.store.records[key.ID]
	record.Tag = formatTag(tagOf(wrong))
	h.store.set(record)
	h.load(t)
	for range 3 {
		h.refuses(t, wrong.Reveal(), ErrUnauthorized)
	}
	if n := h.bcrypt.calls.Load(); n != 3 {
		t.Errorf("bcrypt ran %d times", n)
	}
}

// KEY_EXPIRED tells that a key existed: only its holder may learn that.
func TestExpiryIsToldOnlyToWhoHoldsTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		_, token := h.create(t, func(n *NewKey) { n.ExpiresIn = time.Hour })
		h.load(t)
		time.Sleep(time.Hour - time.Nanosecond)
		h.opens(t, token)
		time.Sleep(time.Nanosecond)
		h.refuses(t, token.Reveal(), ErrKeyExpired)
		h.refuses(t, forge(token), ErrUnauthorized)

		fresh := newHouse(t)
		fresh.store = h.store
		fresh.directory.store = h.store
		fresh.load(t)
		fresh.refuses(t, token.Reveal(), ErrKeyExpired) // proven by bcrypt first
		if n := fresh.bcrypt.calls.Load(); n != 1 {
			t.Errorf("bcrypt ran %d times", n)
		}
	})
}

// A thousand callers that start with one key together cost one bcrypt.
func TestConcurrentFirstCallsShareOneVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		h := newHouse(t, func(o *Options) {
			o.compare = func([]byte, []byte) error {
				calls.Add(1)
				time.Sleep(90 * time.Millisecond)
				return nil
			}
		})
		_, token := h.create(t)
		h.load(t)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if _, err := h.directory.Authenticate(t.Context(), token.Reveal()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("bcrypt ran %d times", n)
		}
	})
}

// After a restart all keys want to be verified at once. Some run, some wait,
// the rest are told when to come back; verified callers are not in the way.
func TestFullQueueAnswersBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := atomic.Int64{}, atomic.Int64{}
		h := newHouse(t, func(o *Options) {
			o.Concurrency, o.Queue = 2, 3
			o.compare = func([]byte, []byte) error {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				time.Sleep(100 * time.Millisecond)
				return nil
			}
		})
		var tokens []Token
		for range 20 {
			_, token := h.create(t)
			tokens = append(tokens, token)
		}
		h.load(t)
		h.opens(t, tokens[0])
		opened, busy := atomic.Int64{}, atomic.Int64{}
		var wg sync.WaitGroup
		for _, token := range tokens[1:] {
			wg.Go(func() {
				switch _, err := h.directory.Authenticate(t.Context(), token.Reveal()); {
				case err == nil:
					opened.Add(1)
				case errors.Is(err, ErrBusy) && fault.As(err).RetryAfter() > 0:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		h.opens(t, tokens[0])
		wg.Wait()
		if opened.Load() != 5 || busy.Load() != 14 || most.Load() != 2 {
			t.Errorf("%d opened, %d busy, %d at once; want 5, 14, 2", opened.Load(), busy.Load(), most.Load())
		}
	})
}

// A key minted a moment ago by the command line works on the running server
// before the next poll.
func TestKeyMintedElsewhereWorksAtOnce(t *testing.T) {
	h := newHouse(t)
	h.load(t)
	_, token := h.create(t)
	h.opens(t, token)
	if n := h.store.all.Load(); n != 1 {
		t.Errorf("all keys were read %d times", n)
	}
}

func TestUnknownIDsCostAtMostOneLookUp(t *testing.T) {
	h := newHouse(t)
	h.load(t)
	invented := Mint(messaging.Test)
	for range 100 {
		h.refuses(t, invented.Reveal(), ErrUnauthorized)
		h.refuses(t, forge(invented), ErrUnauthorized)
	}
	if n := h.store.single.Load(); n != 1 {
		t.Errorf("the store was asked %d times", n)
	}
}

// Fresh inventions every time defeat the memory of unknown ids: their pace is
// bounded, and that memory too.
func TestInventedIDsCannotFloodTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		_, token := h.create(t)
		h.load(t)
		h.opens(t, token)
		asked := h.store.single.Load()
		busy := 0
		for range 10_000 {
			_, err := h.directory.Authenticate(t.Context(), Mint(messaging.Live).Reveal())
			if errors.Is(err, ErrBusy) {
				busy++
			}
		}
		if n := h.store.single.Load() - asked; n != lookUpBurst || busy != 10_000-lookUpBurst {
			t.Errorf("the store was asked %d times, %d were told to wait", n, busy)
		}
		h.opens(t, token)
		for range 2 * maxUnknown {
			h.directory.unknown.add(Mint(messaging.Live).publicID())
		}
		if n := len(h.directory.unknown.ids); n > maxUnknown {
			t.Errorf("%d unknown ids are remembered", n)
		}
	})
}

// A store that does not answer is not a wrong key: clients throw keys away
// that are answered 401.
func TestStoreOutageIsNotARefusal(t *testing.T) {
	h := newHouse(t)
	_, known := h.create(t)
	_, proven := h.create(t)
	h.load(t)
	h.opens(t, proven)
	h.store.fail(errors.New("connection refused"))
	for _, text := range []string{known.Reveal(), Mint(messaging.Test).Reveal()} {
		if _, err := h.directory.Authenticate(t.Context(), text); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("error %v, want UNAVAILABLE", err)
		}
	}
	h.opens(t, proven)
	h.store.fail(nil)
	h.opens(t, known)
}

// A caller that gives up must not spoil the verification for those who share it.
func TestCallerThatGoesAwayDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(o *Options) {
			o.compare = func([]byte, []byte) error { time.Sleep(100 * time.Millisecond); return nil }
		})
		_, token := h.create(t)
		h.load(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = h.directory.Authenticate(ctx, token.Reveal()) })
		synctest.Wait()
		cancel()
		wg.Go(func() { h.opens(t, token) })
		wg.Wait()
	})
}

func TestDirectoryNeedsAStore(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no error")
	}
}
