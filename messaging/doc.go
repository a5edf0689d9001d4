// Package messaging holds the nouns that every room of Portaria shares:
// messages and their contents, addresses, statuses, instances, events, and the
// seams behind which networks and listeners stand (Driver, Channel, Reporter,
// Clock).
//
// It knows no HTTP, no SQL and no network, and imports nothing of Portaria but
// internal/fault. What it promises:
//
//   - a Tenancy cannot be built from request data: only auth, cmd and store
//     call its constructor (internal/archtest checks it);
//   - a TestInstance cannot be handed to a driver of live instances: they are
//     different types;
//   - a message's status only rises, whatever arrives late or twice (State.Apply).
package messaging
