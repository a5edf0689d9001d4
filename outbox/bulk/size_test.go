//go:build !race

package bulk_test

func setSize() error { return nil }
