//go:build race

package storetest

// Used are the engines for tests of rooms above the store. SQLite is in this
// process, and ten times slower under the race detector; how we use it is shown
// to have no races by the store's own tests, which run on both.
var Used = []string{"postgres"}

// Light is the engine for tests for which any will do.
const Light = "postgres"
