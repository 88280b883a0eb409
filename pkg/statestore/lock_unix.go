//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package statestore

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an exclusive lock, without waiting, so that the file can be read before bbolt maps it. bbolt takes the same lock later, which
// succeeds because a lock belongs to the open file.
func lock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// unlock releases the lock. Closing the file is not enough: a mapping keeps it open.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
