package whatsapp

import "go.mau.fi/whatsmeow"

// internals is where whatsmeow keeps what it has no other name for. All of our
// use goes through here: keys fetched ahead of a message (greet), a keepalive out
// of turn (alive), whether a connection is done with (isDown), and how a group
// names its members (reader). The version of whatsmeow is pinned, and the tests
// notice when one of them changes.
func internals(client *whatsmeow.Client) *whatsmeow.DangerousInternalClient {
	return client.DangerousInternals() //nolint:staticcheck // SA1019: it is marked so to be noticed, and has been
}
