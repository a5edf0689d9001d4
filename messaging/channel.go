package messaging

import (
	"context"
	"time"
)

// Driver opens channels for instances of one environment. The type parameter
// is the fork between the worlds: a Driver[LiveInstance] cannot be given a
// test instance.
type Driver[I LiveInstance | TestInstance] interface {
	// Name returns the driver's name as instances carry it.
	Name() DriverName
	// Open returns the channel of an instance. It must not wait for a network:
	// what happens later is reported. The channel lives until Close.
	Open(ctx context.Context, instance I) (Channel, error)
}

// Channel is one instance's way to its network.
type Channel interface {
	// Window is the largest batch that Send takes.
	Window() int
	// Send hands a batch to the network in its order, every message under its
	// WAMessageID, and returns one outcome for each. A message that comes again
	// under an id that the network has carried is not carried twice. Send waits
	// for the network's answers; a channel whose answers come much later returns
	// Pending and reports them.
	//
	// Behind a message that it defers or holds, Send carries nothing to the same
	// recipient: order within a recipient is never broken.
	Send(ctx context.Context, batch []Outgoing) []Outcome
	// Close ends the channel and waits for what it started.
	Close() error
}

// Outgoing is a message on its way to a channel.
type Outgoing struct {
	WorkspaceID string
	Environment Environment
	MessageID   string
	InstanceID  string
	WAMessageID string
	To          Address
	Content     Content
	Sandbox     *Override
	Attempt     int // 1 for the first try; see Outcome.Tried
}

// Verdict is what became of a try.
type Verdict uint8

// The verdicts.
const (
	// Accepted: the network took the message and said so at Outcome.At.
	Accepted Verdict = iota
	// Pending: the network has the message but has not acknowledged it; the
	// acknowledgement will be reported. Order is settled, others may follow.
	Pending
	// Deferred: a temporary fault; the message was not carried. Try again at
	// Outcome.Due, or when the instance is connected again if Due is zero.
	Deferred
	// Held: a lock holds this recipient until Outcome.Due; others may pass.
	Held
	// Refused: a final fault; the message fails with Outcome.Error.
	Refused
)

// Outcome is a channel's answer for one message.
type Outcome struct {
	Verdict Verdict
	At      time.Time
	Due     time.Time
	Error   *SendError
	// Tried says of a message that is Deferred or Held that the network was asked
	// to take it. One that only waits (for a connection, behind another, for a
	// look-up) was not tried. When a Deferred try has no Error, the network did
	// not answer, and may have taken the message.
	Tried bool
}

// Try reports whether the channel tried the message, so that it counts among
// its attempts and uses the pace.
func (o *Outcome) Try() bool {
	return o.Tried || o.Verdict == Accepted || o.Verdict == Pending || o.Verdict == Refused
}

// MayBeTaken reports whether the network took the message, or may have taken it
// without saying so.
func (o *Outcome) MayBeTaken() bool {
	return o.Verdict == Accepted || o.Verdict == Pending || o.Verdict == Deferred && o.Tried && o.Error == nil
}

// Reporter takes records. When Report returns nil, they are durable. Its fault
// ErrUnrecordable is about what is in them: none was recorded.
type Reporter interface {
	Report(ctx context.Context, records ...Record) error
}

// Clock tells a world's time and calls back when it is due. The live world has
// the machine's clock; every workspace's test world has one that can be frozen
// and moved.
type Clock interface {
	// Now returns the world's time in UTC.
	Now() time.Time
	// At calls f once the world's time has reached due, on the clock's own
	// goroutine: f must not block. Calls are made in the order of their due
	// times. The returned function forgets the call if it has not been made.
	//
	// At is for waits that a rehearsal may skip (schedules, retries, the delays
	// of a simulated network): a clock in instant mode calls f at once, though
	// Now has not reached due.
	At(due time.Time, f func()) (forget func())
	// Deadline is At for what must not come early (expiries, lost
	// acknowledgements): no mode skips the wait.
	Deadline(due time.Time, f func()) (forget func())
}
