//go:build race

package bulk_test

import "flag"

// setSize leaves most of the random histories to `make test`.
func setSize() error { return flag.Set("rapid.checks", "20") }
