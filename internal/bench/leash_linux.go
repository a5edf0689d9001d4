package main

import "syscall"

// leash makes a child end when this process does, however that happens: a
// server left behind would spoil the figures of the next run. The kernel
// follows the starting thread, which is why main locks its own.
func leash() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
