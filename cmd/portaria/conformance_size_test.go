//go:build !race

package main

import "portaria/store/storetest"

const slowness = 1

func conformanceEngines() []string { return storetest.Engines }
