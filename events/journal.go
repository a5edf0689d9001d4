// Package events is the journal: what happens is recorded once, durably, and
// then told to every sink.
//
// The store does the recording (status, instance state and event in one
// transaction); the journal hears of each commit and tells those who wait in
// this process. Sinks that must not lose anything (webhooks) get rows in the
// same transaction and do not depend on being told.
package events

import (
	"context"
	"sync"

	"portaria/messaging"
)

// Store is what the journal reads.
type Store interface {
	// Message finds a message; fault.ErrNotFound.
	Message(ctx context.Context, tenancy messaging.Tenancy, id string) (messaging.Message, error)
}

// Journal tells what was committed to those who wait for it.
type Journal struct {
	store Store

	mu      sync.Mutex
	waiters map[string][]chan struct{} // by message id
}

// NewJournal returns a journal that reads from store.
func NewJournal(store Store) *Journal {
	return &Journal{store: store, waiters: make(map[string][]chan struct{})}
}

// Tell hears of committed events, in their order. It does not block.
func (j *Journal) Tell(events []messaging.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiters) == 0 {
		return
	}
	for i := range events {
		for _, w := range j.waiters[events[i].MessageID] {
			select {
			case w <- struct{}{}:
			default: // it has been told already and will look again
			}
		}
	}
}

// Await returns a message once it has reached want or an end, or as it stands
// when ctx ends. Fault: fault.ErrNotFound.
func (j *Journal) Await(ctx context.Context, tenancy messaging.Tenancy, id string, want messaging.Status) (messaging.Message, error) {
	told := j.listen(id)
	defer j.leave(id, told)
	for {
		// Reading comes after listening: what is committed in between is told.
		m, err := j.store.Message(context.WithoutCancel(ctx), tenancy, id)
		if err != nil || m.Status.Reached(want) {
			return m, err
		}
		select {
		case <-told:
		case <-ctx.Done():
			return j.last(ctx, told, tenancy, m)
		}
	}
}

// last returns a message as it stands when the wait ends: when both came at
// once, the caller must not read less than what was told.
func (j *Journal) last(ctx context.Context, told <-chan struct{}, tenancy messaging.Tenancy, m messaging.Message) (messaging.Message, error) {
	select {
	case <-told:
		return j.store.Message(context.WithoutCancel(ctx), tenancy, m.ID)
	default:
		return m, nil
	}
}

func (j *Journal) listen(id string) chan struct{} {
	told := make(chan struct{}, 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiters[id] = append(j.waiters[id], told)
	return told
}

func (j *Journal) leave(id string, told chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	rest := j.waiters[id][:0]
	for _, w := range j.waiters[id] {
		if w != told {
			rest = append(rest, w)
		}
	}
	if len(rest) == 0 {
		delete(j.waiters, id)
	} else {
		j.waiters[id] = rest
	}
}
