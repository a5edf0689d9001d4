// Package natssink publishes the journal to a NATS JetStream: every event, in
// the order of its world, at least once. The cursor moves only when the server
// has acknowledged what was published (docs/events-nats.md).
//
//	commit ──Tell──► worlds with news ──a page of one world at a time──► stream
//	  ▲ poll: other processes       │ EventsAfter          all acknowledged │
//	store ◄─────────────────────────┴──────────── MoveSinkCursor ◄──────────┘
//
// A page is published at once, and yet what the stream keeps of it is always its
// beginning: each event is refused by the server unless the one before it is the
// stream's last (fence). So a page that failed halfway is published again from
// the cursor, the server drops what it has by its id, and order holds.
package natssink

import (
	"context"

	"portaria/messaging"
)

// Store is what the sink reads, and where it keeps how far it has got.
type Store interface {
	// Worlds returns the worlds that have events.
	Worlds(ctx context.Context) ([]messaging.World, error)
	EventHead(ctx context.Context, w messaging.World) (int64, error)
	// EventsAfter returns the events of a world behind a sequence, oldest first.
	EventsAfter(ctx context.Context, w messaging.World, after int64, limit int) ([]messaging.Event, error)
	// SinkCursors returns how far a sink has got in each world that it knows.
	SinkCursors(ctx context.Context, sink string) (map[messaging.World]int64, error)
	// MoveSinkCursor notes how far a sink has got. A cursor never goes back.
	MoveSinkCursor(ctx context.Context, sink string, w messaging.World, sequence int64) error
}
