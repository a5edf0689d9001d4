//go:build !race

package main

const (
	// crashSends is how many messages are sent while the server is killed.
	crashSends = 5000
	// liveSends, liveInbound and liveMany are the numbers of the live tests:
	// messages sent, messages received, and instances in one process.
	liveSends   = 1000
	liveInbound = 500
	liveMany    = 100
	// hookedSends is how many messages are told to webhooks, with four events each.
	hookedSends = 500
	// bulkRows is how many recipients the bulks of the tests have.
	bulkRows = 4000
)
