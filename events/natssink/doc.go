// Package natssink publishes the journal to a NATS JetStream: every event, in
// the order of its world, at least once. The cursor moves only when the server
// has acknowledged what was published.
package natssink

import (
	"context"

	"portaria/messaging"
)

// Store is what the sink reads, and where it keeps how far it has got.
type Store interface {
	Worlds(ctx context.Context) ([]messaging.World, error)
	EventHead(ctx context.Context, w messaging.World) (int64, error)
	// EventsAfter returns the events of a world behind a sequence, oldest first.
	EventsAfter(ctx context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error)
	// SinkCursors returns how far a sink has got in each world that it knows.
	SinkCursors(ctx context.Context, sink string) (map[messaging.World]int64, error)
	MoveSinkCursor(ctx context.Context, sink string, w messaging.World, sequence int64) error
}
