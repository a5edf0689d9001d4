//go:build !race

package storetest

// Used are the engines for tests of rooms above the store: both.
var Used = Engines

// Light is the engine for tests for which any will do.
const Light = "sqlite"
