package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"portaria/internal/fault"
)

// wasimLockFile is held by the simulator that runs in a folder.
const wasimLockFile = "lock"

var (
	errWasimDir    = fault.New(fault.Unavailable, "WASIM_DIR_UNUSABLE", "The simulator's folder cannot be made or written: check --dir.")
	errWasimLocked = fault.New(fault.Conflict, "WASIM_DIR_IN_USE", "Another simulator runs in this folder: stop it, or choose another --dir.")
)

// openWasimDir makes the simulator's folder and takes it: two simulators would
// write over each other's state. The lock goes with the process, however it
// ends, or when the file is closed.
func openWasimDir(name string) (dir string, lock *os.File, err error) {
	dir, err = filepath.Abs(name)
	if err == nil {
		err = os.MkdirAll(dir, dataDirMode)
	}
	if err != nil {
		return "", nil, errWasimDir.Because(err)
	}
	lock, err = os.OpenFile(filepath.Join(dir, wasimLockFile), os.O_CREATE|os.O_RDWR, dataFileMode)
	if err != nil {
		return "", nil, errWasimDir.Because(err)
	}
	switch err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return "", nil, errors.Join(errWasimLocked.With("dir", dir), lock.Close())
	case err != nil:
		return "", nil, errors.Join(errWasimDir.Because(err), lock.Close())
	}
	return dir, lock, nil
}
