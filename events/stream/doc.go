// Package stream follows the journal for callers who listen: what they missed is
// read from the store, and what happens from then on comes as it is committed.
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
