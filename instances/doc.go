// Package instances keeps the phone numbers behind the API: their names, what
// their owner wants of them, what they were last seen to be, and the channel
// to their network.
//
// The Manager holds every instance of every workspace in memory, so that a
// request finds its instance, and a lane its channel, without a query. What
// another process changes (an admin command beside a running server) is noticed
// by an epoch that grows in the database, within a quarter of a second.
//
// The only fork between the worlds stands here, and it is made by type: a live
// instance goes to the driver of live instances, a test instance to the
// sandbox.
package instances
