//go:build unix

package static

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes a lock without waiting. The lock ends when the file is closed.
func tryLock(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }
