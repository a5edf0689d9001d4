//go:build !race

package main

// crashSends is how many messages are sent while the server is killed.
const crashSends = 5000
