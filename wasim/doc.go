// Package wasim is a simulated WhatsApp multi-device server. A client built on
// whatsmeow, unmodified, links itself to a simulated phone, logs in, sends
// messages that simulated contacts really decrypt, and decrypts what they
// answer. Programs that send through WhatsApp can so be tried without a phone.
//
// What it promises:
//
//   - A contact's Received lists what the contact decrypted with its own keys,
//     in order, each message id once; frames that came again are counted.
//   - What a client has not acknowledged is kept and sent again at its next
//     login, in order. Restart keeps accounts, sessions and queues.
//   - Keys and certificates are equal in every process (CAPEM, RootKey), so a
//     client may outlive the simulator.
//   - A file is kept on disk when it is what its name says, as long as there is
//     room: the oldest go first, and Close removes them all.
//   - Groups are as on the real server: sender keys, a copy of the key for each
//     device, receipts of each member, and news of every change to all clients.
//   - With Options.StateFile, linked devices, sessions and queues outlive the
//     process: exactly after Close, and after a crash so that all heals by itself.
//   - Whatever can go wrong does so on command: Inject by name, SetFaults by code.
//   - Nothing that a stranger sends makes it fail or grow without bound.
//   - Close ends every goroutine and connection.
//
// It checks nothing that a real server would check about content, and its
// secrets are in its source: never trust its authority outside of tests.
//
// The way of a stanza, and where to add what:
//
//	websocket → frames.go → noise.go → nodes.go → conn.go ─┬─ stanzaTable: one function for each tag
//	                                                       └─ iqTable: one for each xmlns, type and child
//	conn.send ← device.deliver (kept until acknowledged) ← account (a phone, its companions, its behaviour)
//
// A new subject is a file of its own that adds rows to the tables of iq.go. What
// shall survive a restart has a place in state_saved.go as well; a new fault is
// a row in fault_kinds.go. README.md is for users, the control port included.
package wasim
