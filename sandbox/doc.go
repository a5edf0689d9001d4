// Package sandbox is the simulated network behind test instances: a driver
// that takes messages like WhatsApp does, magic recipients that fail on
// purpose, and a clock for every workspace's test world.
//
// What it promises:
//
//   - What happens to a message is a function of its recipient, its override,
//     the number of the try and the clock; nothing is drawn by chance.
//   - A message is carried once for each WhatsApp id, however often it is sent,
//     and carrying is durable before Send answers.
//   - What the network still owes for a carried message (its acknowledgement,
//     receipts, echo) survives the process: Driver.Recover takes it up again at
//     the times it was due. Receipts may then be reported twice, which
//     messaging.State ignores.
//   - What an owner asks of an instance takes the steps that a live one takes,
//     each a state that is reported; a pairing shows a code until Driver.Scan
//     or the clock ends it.
//   - Delays overlap and hold nobody up; no goroutine waits for one.
//
// It leaves the order of sends and the tries to the outbox, the record of what
// it reports to the journal, and instances' states to their manager.
//
// The journey of a carried message:
//
//	Channel.Send ─ Store.Carry ─→ Clock.At ─→ pump ─ Reporter.Report ─→ Store.Settle
//	               (durable)      (due)              (durable)          (nothing owed)
package sandbox
