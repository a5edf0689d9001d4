//go:build !linux

package store

import "syscall"

// limitUnacked does nothing where the kernel has no such limit; keepalive
// probes notice a vanished peer while nothing is being sent.
func limitUnacked(string, string, syscall.RawConn) error { return nil }
