//go:build unix

package static

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes a lock without waiting. The lock ends when the file is closed.
func tryLock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }

// share makes the lock of a file one that other processes may share, and takes such a lock if there is none.
func share(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil }
