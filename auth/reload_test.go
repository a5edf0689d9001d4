package auth

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portaria/messaging"
)

// A leaked key must be dead the moment its owner was told that it is.
func TestRevokedKeyStopsWorkingAtOnce(t *testing.T) {
	h := newHouse(t)
	h.keys.directory = h.directory
	h.load(t)
	key, token := h.create(t)
	h.opens(t, token)
	if _, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID); err != nil {
		t.Fatal(err)
	}
	h.refuses(t, token.Reveal(), ErrUnauthorized)
}

// The command line revokes beside a running server: one poll later it is over,
// and keys it minted are known without a look-up.
func TestOtherProcessesAreFollowedWithinOnePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		key, token := h.create(t)
		h.load(t)
		stop := h.run(t)
		defer stop()
		h.opens(t, token)
		if _, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID); err != nil {
			t.Fatal(err)
		}
		_, fresh := h.create(t)
		h.opens(t, token) // not known here yet
		asked := h.store.single.Load()
		time.Sleep(pollEvery)
		synctest.Wait()
		h.refuses(t, token.Reveal(), ErrUnauthorized)
		h.opens(t, fresh)
		if n := h.store.single.Load() - asked; n != 1 { // the read before bcrypt
			t.Errorf("the store was asked %d times", n)
		}
	})
}

// A reload that was reading while this process revoked a key has the old
// record in its hands. It must not bring the key back.
func TestReloadUnderWayDoesNotUndoARevocation(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	h.load(t)
	h.opens(t, token)
	h.store.onKeys = func() { h.directory.Revoked(key.ID) } // the records are read already
	h.load(t)
	h.store.onKeys = nil
	h.refuses(t, token.Reveal(), ErrUnauthorized)
	h.load(t) // nor does a store restored from a backup
	h.refuses(t, token.Reveal(), ErrUnauthorized)
}

// The same for a change that is no revocation: the reload's record is older.
func TestReloadUnderWayDoesNotUndoAChange(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	h.load(t)
	shortened := h.store.records[key.ID]
	shortened.ExpiresAt = time.Now().Add(-time.Minute)
	h.store.onKeys = func() {
		h.store.set(shortened)
		h.directory.Apply(shortened)
	}
	h.load(t)
	h.refuses(t, token.Reveal(), ErrKeyExpired)
}

// A key revoked while bcrypt runs for it must not slip through with the proof.
func TestKeyRevokedDuringItsVerificationIsRefused(t *testing.T) {
	var h *house
	var key Key
	h = newHouse(t, func(o *Options) {
		o.compare = func([]byte, []byte) error { h.directory.Revoked(key.ID); return nil }
	})
	key, token := h.create(t)
	h.load(t)
	h.refuses(t, token.Reveal(), ErrUnauthorized)
	h.refuses(t, token.Reveal(), ErrUnauthorized)
}

// A digest belongs to the version of the record that it was proven against.
func TestKeyChangedDuringItsVerificationIsVerifiedAgain(t *testing.T) {
	var h *house
	var key Key
	calls := 0
	h = newHouse(t, func(o *Options) {
		o.compare = func([]byte, []byte) error {
			if calls++; calls == 1 {
				changed := h.store.records[key.ID]
				changed.Scopes = "events:read"
				h.store.set(changed)
				h.directory.Apply(changed)
			}
			return nil
		}
	})
	key, token := h.create(t)
	h.load(t)
	if grant := h.opens(t, token); !grant.Can(EventsRead) || grant.Can(WhatsAppSend) {
		t.Errorf("scopes %v", grant.Scopes.Strings())
	}
	if calls != 2 {
		t.Errorf("bcrypt ran %d times", calls)
	}
}

// Any change of any key makes every node reload. The others must not pay for
// it with a bcrypt, nor get their buckets filled anew.
func TestReloadKeepsProofsAndBuckets(t *testing.T) {
	h := newHouse(t)
	_, token := h.create(t, lockedTo("ins_1", "ins_2"), func(n *NewKey) { n.MessagesPerMinute, n.ExpiresIn = 60, time.Hour })
	h.load(t)
	before := h.opens(t, token)
	before.Requests.Take(time.Now(), 7)
	h.create(t)
	h.load(t)
	after := h.opens(t, token)
	if before != after || h.bcrypt.calls.Load() != 1 {
		t.Errorf("grant kept: %v; bcrypt ran %d times", before == after, h.bcrypt.calls.Load())
	}
	if level, _ := after.Requests.Take(time.Now(), 0); level.Remaining > 94 {
		t.Errorf("%d tokens", level.Remaining)
	}
}

// What changes takes effect, with a new proof; limits that stay keep their
// buckets, and those that change get new ones.
func TestReloadTakesChangesIn(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t, lockedTo("ins_1"))
	h.load(t)
	before := h.opens(t, token)

	record := h.store.records[key.ID]
	record.Instances, record.MessagesPerMinute = nil, 6 // its instance was deleted
	h.store.set(record)
	h.load(t)
	after := h.opens(t, token)
	if len(after.Instances) != 0 || !after.Locked() || h.bcrypt.calls.Load() != 2 {
		t.Errorf("instances %v, bcrypt ran %d times", after.Instances, h.bcrypt.calls.Load())
	}
	if after.Requests != before.Requests || before.Messages != nil || after.Messages.Burst() != 1 {
		t.Error("the wrong bucket was kept")
	}

	record.RatePerMinute, record.RateBurst = 60, 5
	h.store.set(record)
	h.load(t)
	if last := h.opens(t, token); last.Requests.Burst() != 5 || last.Messages != after.Messages {
		t.Error("limits were not taken in")
	}
}

// Rotation must not double what a client may do: old and new key draw from the
// same buckets, in the process that rotated, in those that reload, and after a
// restart that finds the first key of the chain revoked.
func TestLineageSharesItsBuckets(t *testing.T) {
	h := newHouse(t)
	first, token1 := h.create(t, func(n *NewKey) { n.MessagesPerMinute = 60 })
	h.load(t)
	grant1 := h.opens(t, token1)
	second, token2, err := h.keys.Rotate(t.Context(), "wsp_1", first.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	third, token3, err := h.keys.Rotate(t.Context(), "wsp_1", second.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if third.Lineage != first.ID {
		t.Errorf("lineage %s", third.Lineage)
	}
	same := func(grants ...*Grant) {
		t.Helper()
		for _, g := range grants[1:] {
			if g.Requests != grants[0].Requests || g.Messages != grants[0].Messages || g.Messages == nil {
				t.Error("keys of one lineage have buckets of their own")
			}
		}
	}
	same(grant1, h.opens(t, token3), h.opens(t, token2)) // by look-up
	h.load(t)
	same(grant1, h.opens(t, token1), h.opens(t, token2), h.opens(t, token3)) // by reload

	if _, err := h.keys.Revoke(t.Context(), "wsp_1", first.ID); err != nil {
		t.Fatal(err)
	}
	restarted := newHouse(t)
	restarted.directory.store = h.store
	restarted.load(t)
	same(restarted.opens(t, token2), restarted.opens(t, token3))
	restarted.refuses(t, token1.Reveal(), ErrUnauthorized)
}

func TestLastUseIsWrittenInBatchesAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var tokens []Token
		want := make(map[string]time.Time)
		for i := range 3 {
			key, token := h.create(t, named("k%d", i))
			tokens = append(tokens, token)
			want[key.ID] = time.Now().UTC()
		}
		h.load(t)
		stop := h.run(t)
		for _, token := range tokens {
			h.opens(t, token)
		}
		if got := h.store.touches(); len(got) != 0 {
			t.Errorf("written on the request's path: %v", got)
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		if diff := cmp.Diff(h.store.touches(), want); diff != "" {
			t.Errorf("after a flush (-got +want):\n%s", diff)
		}
		h.opens(t, tokens[1])
		want[tokens[1].KeyID()] = time.Now().UTC()
		h.refuses(t, forge(tokens[0]), ErrUnauthorized) // a refusal is no use
		stop()
		if diff := cmp.Diff(h.store.touches(), want); diff != "" {
			t.Errorf("after the end (-got +want):\n%s", diff)
		}
	})
}

// An outage of the store ends neither Run nor what was noted meanwhile.
func TestRunSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		key, token := h.create(t)
		h.load(t)
		stop := h.run(t)
		h.opens(t, token)
		usedAt := time.Now().UTC()
		h.store.fail(errors.New("connection refused"))
		time.Sleep(flushEvery + pollEvery)
		h.store.fail(nil)
		if _, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollEvery)
		synctest.Wait()
		h.refuses(t, token.Reveal(), ErrUnauthorized)
		stop()
		if got := h.store.touches()[key.ID]; !got.Equal(usedAt) {
			t.Errorf("last use %v, want %v", got, usedAt)
		}
	})
}

// An id that was probed before it existed must work once it exists.
func TestUnknownIDsAreForgottenWhenKeysChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.load(t)
		stop := h.run(t)
		defer stop()
		key, token := h.create(t)
		record := h.store.records[key.ID]
		delete(h.store.records, key.ID)
		h.refuses(t, token.Reveal(), ErrUnauthorized)
		h.store.set(record)
		time.Sleep(pollEvery)
		synctest.Wait()
		h.opens(t, token)
		if n := len(h.directory.unknown.ids); n != 0 {
			t.Errorf("%d ids are still unknown", n)
		}
	})
}

// Keys that were revoked long ago cost no memory, and one look-up when somebody
// still tries them.
func TestKeysRevokedBeforeTheStartAreRefused(t *testing.T) {
	h := newHouse(t)
	key, token := h.create(t)
	if _, err := h.keys.Revoke(t.Context(), "wsp_1", key.ID); err != nil {
		t.Fatal(err)
	}
	h.load(t)
	before := h.store.single.Load()
	for range 10 {
		h.refuses(t, token.Reveal(), ErrUnauthorized)
	}
	if entries, asked := h.directory.entries.Load().count, h.store.single.Load()-before; entries != 0 || asked != 1 {
		t.Errorf("%d entries, the store was asked %d times", entries, asked)
	}
}

// A look-up that still saw a key alive must not bring it in after this process
// has revoked it, though the key was not known here before.
func TestLookUpUnderWayDoesNotUndoARevocation(t *testing.T) {
	for name, end := range map[string]func(*Directory, Record){
		"Revoked": func(d *Directory, r Record) { d.Revoked(r.ID) },
		"Apply":   func(d *Directory, r Record) { r.RevokedAt = time.Now(); d.Apply(r) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.load(t)
			key, token := h.create(t)
			h.store.onKey = func() { end(h.directory, h.store.records[key.ID]) }
			h.refuses(t, token.Reveal(), ErrUnauthorized)
			h.refuses(t, token.Reveal(), ErrUnauthorized)
		})
	}
}

// Every field of a record that a grant shows must count as a change.
func TestEveryChangeOfARecordIsNoticed(t *testing.T) {
	record := Record{
		ID: "key_000000000001", Workspace: "wsp_1", Environment: messaging.Test, Name: "a", Tag: "00000001",
		Scopes: "whatsapp:send", Instances: []AllowedInstance{{"ins_1", "loja"}}, RatePerMinute: 600, RateBurst: 100,
		MessagesPerMinute: 6, Lineage: "key_000000000001", ExpiresAt: time.Unix(1e9, 0),
	}
	e := newEntry(&record, nil, nil)
	if !e.describes(&record) {
		t.Fatal("an entry does not describe its own record")
	}
	for i, change := range []func(*Record){
		func(r *Record) { r.Workspace = "wsp_2" },
		func(r *Record) { r.Environment = messaging.Live },
		func(r *Record) { r.Name = "b" },
		func(r *Record) { r.Tag = "00000002" },
		func(r *Record) { r.Scopes = "whatsapp:*" },
		func(r *Record) { r.AllInstances = true },
		func(r *Record) { r.Instances = nil },
		func(r *Record) { r.Instances = []AllowedInstance{{"ins_2", "loja"}} },
		func(r *Record) { r.RatePerMinute++ },
		func(r *Record) { r.RateBurst++ },
		func(r *Record) { r.MessagesPerMinute++ },
		func(r *Record) { r.Lineage = "key_000000000002" },
		func(r *Record) { r.ExpiresAt = time.Time{} },
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			changed := record
			change(&changed)
			if e.describes(&changed) {
				t.Errorf("not noticed: %+v", changed)
			}
		})
	}
}
