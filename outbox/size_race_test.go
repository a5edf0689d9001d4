//go:build race

package outbox_test

import "flag"

// setSize leaves most of the random histories to `make test`: each has a database
// of its own, and takes a second here.
func setSize() error { return flag.Set("rapid.checks", "20") }
