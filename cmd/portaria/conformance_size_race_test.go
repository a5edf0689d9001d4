//go:build race

package main

// Under the race detector who links a phone needs more time. Most of it would go
// into making its keys, so the simulated server asks for fewer (wasim's FewKeys).
const slowness = 2

// lightEngine is the database of tests for which any will do: one that is not in
// this process does not become slower.
const lightEngine = "postgres"

// heavyEngines leaves one database to `make test`, so that CI ends in time.
func heavyEngines() []string { return []string{"postgres"} }

// storiesOnPostgres leaves the second half of the stories to `make test`, where
// each of their many processes starts ten times faster.
const storiesOnPostgres = false
