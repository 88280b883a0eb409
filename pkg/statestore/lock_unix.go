//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package statestore

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an exclusive lock, without waiting. For the state file it is taken before bbolt maps the file, so that the file can be read
// first. bbolt takes the same lock later, which succeeds because a lock belongs to the open file.
func lock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// unlock releases the lock. Closing the file is not enough: a mapping keeps it open.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// ownerOf returns the user that owns a file.
func ownerOf(info os.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
