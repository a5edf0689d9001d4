//go:build !race

package main

import "portaria/store/storetest"

const slowness = 1

// lightEngine is the database of tests for which any will do.
const lightEngine = "sqlite"

// heavyEngines are the databases that the longest tests run on.
func heavyEngines() []string { return storetest.Engines }

const storiesOnPostgres = true
