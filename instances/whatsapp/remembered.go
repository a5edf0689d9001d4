package whatsapp

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// The stores below save a message its questions to the database, and the
// commits of what is stored already: whatsmeow stores both sides' identities
// with every message. A session has one client and no other writer, so what was
// read once holds until the client writes.

// identities are the keys by which people's devices are known.
type identities struct {
	store.IdentityStore
	saved known[[32]byte]
}

// PutIdentity implements store.IdentityStore.
func (i *identities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	if saved, ok := i.saved.get(address); ok && saved == key {
		return nil
	}
	since, err := i.saved.change(address, func() error { return i.IdentityStore.PutIdentity(ctx, address, key) })
	if err == nil {
		i.saved.put(since, address, key)
	}
	return err
}

// IsTrustedIdentity implements store.IdentityStore.
func (i *identities) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	if saved, ok := i.saved.get(address); ok {
		return saved == key, nil
	}
	return i.IdentityStore.IsTrustedIdentity(ctx, address, key)
}

// DeleteIdentity implements store.IdentityStore.
func (i *identities) DeleteIdentity(ctx context.Context, address string) error {
	_, err := i.saved.change(address, func() error { return i.IdentityStore.DeleteIdentity(ctx, address) })
	return err
}

// DeleteAllIdentities implements store.IdentityStore.
func (i *identities) DeleteAllIdentities(ctx context.Context, phone string) error {
	return i.saved.changeAll(func() error { return i.IdentityStore.DeleteAllIdentities(ctx, phone) })
}

// tokens are what people give to those whom they let write to them.
type tokens struct {
	store.PrivacyTokenStore
	read known[*store.PrivacyToken] // nil: there is none
}

// GetPrivacyToken implements store.PrivacyTokenStore.
func (t *tokens) GetPrivacyToken(ctx context.Context, user types.JID) (*store.PrivacyToken, error) {
	key := user.ToNonAD().String()
	if token, ok := t.read.get(key); ok {
		return copyOf(token), nil
	}
	since := t.read.now()
	token, err := t.PrivacyTokenStore.GetPrivacyToken(ctx, user)
	if err == nil {
		t.read.put(since, key, copyOf(token))
	}
	return token, err
}

func copyOf(token *store.PrivacyToken) *store.PrivacyToken {
	if token == nil {
		return nil
	}
	c := *token
	return &c
}

// PutPrivacyTokens implements store.PrivacyTokenStore. A token may be stored
// under a number and asked for by an id, so all are read again.
func (t *tokens) PutPrivacyTokens(ctx context.Context, given ...store.PrivacyToken) error {
	return t.read.changeAll(func() error { return t.PrivacyTokenStore.PutPrivacyTokens(ctx, given...) })
}

// DeleteExpiredPrivacyTokens implements store.PrivacyTokenStore.
func (t *tokens) DeleteExpiredPrivacyTokens(ctx context.Context, cutoff time.Time) (deleted int64, err error) {
	err = t.read.changeAll(func() error {
		deleted, err = t.PrivacyTokenStore.DeleteExpiredPrivacyTokens(ctx, cutoff)
		return err
	})
	return deleted, err
}

// salt is what a number without a token proves itself with.
type salt struct {
	store.NCTSaltStore
	read known[[]byte] // under one key; nil: there is none
}

// GetNCTSalt implements store.NCTSaltStore.
func (s *salt) GetNCTSalt(ctx context.Context) ([]byte, error) {
	if read, ok := s.read.get(""); ok {
		return read, nil
	}
	since := s.read.now()
	read, err := s.NCTSaltStore.GetNCTSalt(ctx)
	if err == nil {
		s.read.put(since, "", read)
	}
	return read, err
}

// PutNCTSalt implements store.NCTSaltStore.
func (s *salt) PutNCTSalt(ctx context.Context, given []byte) error {
	_, err := s.read.change("", func() error { return s.NCTSaltStore.PutNCTSalt(ctx, given) })
	return err
}

// DeleteNCTSalt implements store.NCTSaltStore.
func (s *salt) DeleteNCTSalt(ctx context.Context) error {
	_, err := s.read.change("", func() error { return s.NCTSaltStore.DeleteNCTSalt(ctx) })
	return err
}
