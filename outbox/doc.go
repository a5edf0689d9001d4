// Package outbox is the durable queue behind every send.
//
// Accept stores a message in one commit and hands it, in the order of the
// commits, to its instance's lane. A lane is one instance's queue: it has a
// goroutine only while it has work, gives its channel batches in order (high
// priority first), and records what became of them. What leaves the outbox was
// taken by the network or has ended.
//
// Promised:
//
//   - after Accept returns, no crash loses the message: a lane that begins
//     anew reads the database;
//   - a message is always tried under the WhatsApp id it was accepted with, so
//     a repeat after a crash is the same message to the network;
//   - within an instance and a priority, messages to one recipient keep the
//     order of their acceptance, and a message that waits (a temporary fault, a
//     lock, send_at) is passed only by messages to others;
//   - an instance with a pace (outbox/pace) never sends faster than it says, also
//     across restarts: what the pace counts is committed with the outcomes.
//
// Memory is bounded: a lane holds at most laneWindow messages of a priority;
// what does not fit stays in the database until there is room. Of a message
// that waits for its time it holds who, when and for whom, not what it says.
package outbox
