//go:build !linux

package main

import "syscall"

// leash is a thing of Linux.
func leash() *syscall.SysProcAttr { return nil }
