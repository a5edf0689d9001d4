// Package instances keeps the phone numbers behind the API: their names, what
// their owner wants of them, what they were last seen to be, and the channel
// to their network.
//
// The Manager holds every instance of every workspace in memory, so that a
// request finds its instance, and a lane its channel, without a query. What
// another process changes (an admin command beside a running server) is noticed
// by an epoch that grows in the database, within a quarter of a second.
//
// What an owner asks of an instance (Connect, Disconnect, Restart, Logout) is one
// write: the desire, the ask and its time. It survives the process, and whoever
// has the drivers gives the instance another channel for it. A live channel
// lives from one ask to the next and reports its own states; a test instance
// gets another channel for every state too.
//
//	act ─ store ─→ memory ─→ channel opened for the ask ─→ driver ─ InstanceChange{Done} ─→ store ─→ Observe
//	               (or the epoch, from another process)
//
// Channels of live instances are opened and closed by Run alone: at once when
// something was asked, one after the other when a process starts.
//
// The only fork between the worlds stands here, and it is made by type: a live
// instance goes to the driver of live instances, a test instance to the
// sandbox.
package instances
