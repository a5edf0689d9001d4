package whatsapp

import (
	"context"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/util/keys"
)

// prekeys stores the keys of strangers' first messages. A phone that was just
// linked wants 812 of them, and whatsmeow would commit each.
type prekeys struct {
	store.PreKeyStore
	together func(context.Context, func(context.Context) error) error

	// Both ways to new keys share a lock behind this one, and a database with a
	// single connection: taken in two orders, they would wait for each other.
	mu sync.Mutex
}

// GetOrGenPreKeys implements store.PreKeyStore.
func (p *prekeys) GetOrGenPreKeys(ctx context.Context, count uint32) (found []*keys.PreKey, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = p.together(ctx, func(ctx context.Context) (err error) {
		found, err = p.PreKeyStore.GetOrGenPreKeys(ctx, count)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// GenOnePreKey implements store.PreKeyStore.
func (p *prekeys) GenOnePreKey(ctx context.Context) (*keys.PreKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.PreKeyStore.GenOnePreKey(ctx)
}
