package webhooks

import (
	"log/slog"
	"time"

	"portaria/internal/guard"
	"portaria/internal/seal"
	"portaria/messaging"
)

// DispatcherOptions are what a dispatcher is made of. All fields but AllowHTTP,
// Logger, Alone and Timings must be set.
type DispatcherOptions struct {
	Queue     Queue
	Nodes     Nodes
	Box       *seal.Box
	Guard     *guard.Guard
	AllowHTTP bool // http URLs are posted to as well
	// Clock returns the clock of a world: it says when a try is due. What a
	// receiver sees, as webhook-timestamp, is the machine's time.
	Clock func(messaging.World) messaging.Clock
	// Render makes the body of an event; it must not change with time, for each
	// try posts it anew.
	Render  func(messaging.Event) ([]byte, error)
	Logger  *slog.Logger // nil: none
	Alone   bool         // no other process works on this database
	Version string       // as shown in the User-Agent
	Timings Timings      // zero fields have their usual values
}

// Timings are the times that a dispatcher works by, all of the machine.
type Timings struct {
	Poll  time.Duration // between two looks whether an endpoint has changed: 250 ms
	Adopt time.Duration // between two looks for what others have left: 1 s
	Renew time.Duration // between two renewals of the node's claims: 3 s
	Lease time.Duration // how long these hold: 15 s
	Dial  time.Duration // bounds a dial, and then a TLS handshake: 5 s
	Post  time.Duration // bounds a try as a whole: 15 s
	Grace time.Duration // what tries in hand may still take when Run is to end, and again their records: 2 s
	Retry time.Duration // the wait when the store has failed, growing when it fails again: 200 ms
	Read  time.Duration // the least time between two reads of an endpoint's queue: 10 ms
}

func (t Timings) orUsual() Timings {
	for field, usual := range map[*time.Duration]time.Duration{
		&t.Poll: 250 * time.Millisecond, &t.Adopt: time.Second, &t.Renew: 3 * time.Second, &t.Lease: 15 * time.Second,
		&t.Dial: 5 * time.Second, &t.Post: 15 * time.Second, &t.Grace: 2 * time.Second,
		&t.Retry: 200 * time.Millisecond, &t.Read: 10 * time.Millisecond,
	} {
		if *field == 0 {
			*field = usual
		}
	}
	return t
}
