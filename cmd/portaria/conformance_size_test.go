//go:build !race

package main

import "portaria/store/storetest"

const slowness = 1

// heavyEngines are the databases that the longest tests run on.
func heavyEngines() []string { return storetest.Engines }

const storiesOnPostgres = true
