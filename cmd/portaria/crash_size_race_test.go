//go:build race

package main

// crashSends is smaller under the race detector: every process of the test is
// ten times slower there, and `make test` sends all 5,000.
const crashSends = 1000
