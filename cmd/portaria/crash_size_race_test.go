//go:build race

package main

// The numbers are smaller under the race detector: every process of the tests
// is ten times slower there, and `make test` runs with the full ones.
const (
	crashSends  = 1000
	liveSends   = 200
	liveInbound = 100
	liveMany    = 10
	hookedSends = 100
	bulkRows    = 800
)
