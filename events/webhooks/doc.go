// Package webhooks tells endpoints of events: at least once, signed, in the form
// of the Standard Webhooks specification
// (github.com/standard-webhooks/standard-webhooks).
//
// A delivery is a row that is written in the transaction of its event, so what
// is recorded is told, whatever happens to the process. Each endpoint has a lane
// of its own, so that one which hangs delays no other.
//
//	event ─commit─► webhook_deliveries ──lane──► sign, post ──2xx──► delivered
//	                     ▲                           │
//	                     └── due later ◄── failure ──┴─last try─► failed
package webhooks
