//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package statestore

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the exclusive lock that bbolt will take too (the same one: a lock belongs to the open file), so that the file can be
// read before bbolt maps it. It does not wait.
func lock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// unlock gives the lock up although the file may still be mapped, which keeps it open.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
