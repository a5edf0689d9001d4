//go:build race

package main

// Under the race detector who links a phone needs more time, and SQLite, which is
// in this process, takes half a minute to store the keys of one.
const slowness = 4

// lightEngine is the database of tests for which any will do: one that is not in
// this process does not become slower.
const lightEngine = "postgres"

// heavyEngines leaves one database to `make test`, so that CI ends in time.
func heavyEngines() []string { return []string{"postgres"} }

// storiesOnPostgres leaves the second half of the stories to `make test`, where
// each of their many processes starts ten times faster.
const storiesOnPostgres = false
