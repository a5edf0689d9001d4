// Package stream follows the journal for callers who listen: what they missed is
// read from the store, and what happens from then on comes as it is committed.
//
//	commit ─Tell─► feed of the world ──each event once──► buffer ──► listener
//	                 │ EventsAfter                           │ full
//	                 ▼                                       ▼
//	               store ◄───────── catching up ─────────────┘
//
// The store is the only source: being told says merely that there is something
// to read, so what another process wrote is found too, at the next poll. Events
// of a world become visible in the order of their sequences, and so each
// listener gets what it asked for in that order, nothing twice, nothing left
// out.
//
// Memory is bounded. A listener whose buffer overflows reads the store by itself
// until it has caught up; one that does not manage that in time is told ErrSlow.
package stream

import (
	"context"

	"portaria/messaging"
)

// Store is what streams are read from.
type Store interface {
	// EventHead returns the last sequence of a world; 0 before the first event.
	EventHead(ctx context.Context, w messaging.World) (int64, error)
	// EventsAfter returns the events of a world behind a sequence, oldest first.
	EventsAfter(ctx context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error)
}
