package whatsapp

import (
	"context"
	"errors"
	"testing"

	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"

	ours "portaria/store"
)

const someone = "100000000000001_1:0"

// newKeeper returns a keeper on a database of its own, and whatsmeow's store
// behind it, which another process would write with.
func newKeeper(t *testing.T) (*keeper, *sqlstore.SQLStore) {
	t.Helper()
	db, dialect, err := ours.OpenWhatsApp(t.Context(), ours.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	sessions, err := OpenSessions(t.Context(), db, dialect, nil)
	if err != nil {
		t.Fatal(err)
	}
	device := sessions.fresh()
	jid := types.NewADJID("5511900000001", 0, 1)
	device.ID, device.LID, device.Account = &jid, types.NewADJID("100000000000009", types.LIDDomain, 1), account()
	if err := device.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	return watch(device, sessions.scribe), sqlstore.NewSQLStore(sessions.container, jid)
}

func (k *keeper) mustPut(t *testing.T, session string) {
	t.Helper()
	ctx, way := k.carry(t.Context(), types.NewJID("100000000000001", types.HiddenUserServer))
	defer way.release()
	if _, err := k.GetManySessions(ctx, []string{someone}); err != nil {
		t.Fatal(err)
	}
	if err := k.PutManySessions(ctx, map[string][]byte{someone: []byte(session)}); err != nil {
		t.Fatal(err)
	}
}

// sees checks what the next message would be encrypted with.
func (k *keeper) sees(t *testing.T, want string) {
	t.Helper()
	found, err := k.GetManySessions(t.Context(), []string{someone})
	if err != nil || string(found[someone]) != want {
		t.Errorf("the session is %q, %v; want %q", found[someone], err, want)
	}
	one, err := k.GetSession(t.Context(), someone)
	has, hasErr := k.HasSession(t.Context(), someone)
	if string(one) != want || has != (want != "") || err != nil || hasErr != nil {
		t.Errorf("the session is %q (%v), %v %v; want %q", one, has, err, hasErr, want)
	}
}

// TestARememberedSessionIsTheStoredOne, whoever moves it: a send, a decryption,
// one that is rolled back, a deletion, and another process while we were not
// connected.
func TestARememberedSessionIsTheStoredOne(t *testing.T) {
	k, stored := newKeeper(t)
	k.sees(t, "")
	k.mustPut(t, "first")
	k.sees(t, "first")
	if raw, err := stored.GetSession(t.Context(), someone); err != nil || string(raw) != "first" {
		t.Errorf("stored is %q, %v: a frame would leave before its session is on the disk", raw, err)
	}
	broken := errors.New("broken")
	decrypt := func(session string, end error) {
		t.Helper()
		err := k.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
			if err := k.PutSession(ctx, someone, []byte(session)); err != nil {
				return err
			}
			if inside, err := k.GetSession(ctx, someone); err != nil || string(inside) != session {
				t.Errorf("inside, the session is %q, %v", inside, err)
			}
			return end
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	decrypt("rolled back", broken)
	k.sees(t, "first")
	decrypt("second", nil)
	k.sees(t, "second")
	if err := stored.PutSession(t.Context(), someone, []byte("elsewhere")); err != nil {
		t.Fatal(err)
	}
	k.refresh()
	k.sees(t, "elsewhere")
	if err := k.DeleteSession(t.Context(), someone); err != nil {
		t.Fatal(err)
	}
	k.sees(t, "")
	k.mustPut(t, "new")
	if err := k.DeleteAllSessions(t.Context(), "100000000000001_1"); err != nil {
		t.Fatal(err)
	}
	k.sees(t, "")
}

// countedIdentities counts the writes.
type countedIdentities struct {
	store.IdentityStore
	puts int
}

func (c *countedIdentities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	c.puts++
	return c.IdentityStore.PutIdentity(ctx, address, key)
}

// TestAnIdentityIsStoredOnce: whatsmeow stores it with every message, and every
// store is a commit. One that changed, or was deleted, must not be trusted from
// memory.
func TestAnIdentityIsStoredOnce(t *testing.T) {
	k, stored := newKeeper(t)
	counted := &countedIdentities{IdentityStore: stored}
	i := &k.identities
	i.IdentityStore = counted
	old, renewed := [32]byte{1}, [32]byte{2}
	trusts := func(key [32]byte, want bool) {
		t.Helper()
		if got, err := i.IsTrustedIdentity(t.Context(), someone, key); err != nil || got != want {
			t.Errorf("trusts %d: %v, %v; want %v", key[0], got, err, want)
		}
	}
	put := func(key [32]byte, wantPuts int) {
		t.Helper()
		if err := i.PutIdentity(t.Context(), someone, key); err != nil || counted.puts != wantPuts {
			t.Errorf("stored %d times, %v; want %d", counted.puts, err, wantPuts)
		}
	}
	put(old, 1)
	put(old, 1)
	trusts(old, true)
	trusts(renewed, false)
	put(renewed, 2)
	trusts(old, false)
	if err := i.DeleteIdentity(t.Context(), someone); err != nil {
		t.Fatal(err)
	}
	trusts(old, true) // nobody is known by that address any more
	err := k.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
		return errors.Join(i.PutIdentity(ctx, someone, renewed), context.Canceled)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	trusts(old, true) // the transaction was rolled back
	put(old, 4)
}

// account is what a phone vouches for a device with; the table wants all of it.
func account() *waAdv.ADVSignedDeviceIdentity {
	return &waAdv.ADVSignedDeviceIdentity{
		Details: []byte("details"), AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64),
	}
}

// TestNewKeysAreStoredTogether and once: a phone that is linked wants hundreds,
// and gets the same ones when it could not be told of them.
func TestNewKeysAreStoredTogether(t *testing.T) {
	k, stored := newKeeper(t)
	commits := 0
	p := &prekeys{PreKeyStore: stored, together: func(ctx context.Context, f func(context.Context) error) error {
		commits++
		return k.EventBuffer.DoDecryptionTxn(ctx, f)
	}}
	const wanted = 812
	first, err := p.GetOrGenPreKeys(t.Context(), wanted)
	if err != nil || len(first) != wanted || commits != 1 {
		t.Fatalf("%d keys in %d commits, %v", len(first), commits, err)
	}
	again, err := p.GetOrGenPreKeys(t.Context(), wanted)
	if err != nil || len(again) != wanted || again[0].KeyID != first[0].KeyID || *again[0].Priv != *first[0].Priv {
		t.Fatalf("%d keys again, %v; the first was %d and is %d", len(again), err, first[0].KeyID, again[0].KeyID)
	}
	one, err := p.GenOnePreKey(t.Context())
	if err != nil || one.KeyID != first[wanted-1].KeyID+1 {
		t.Errorf("one more is %+v, %v", one, err)
	}
}
