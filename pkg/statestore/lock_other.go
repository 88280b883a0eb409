//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package statestore

import "os"

// lock does nothing: on these systems bbolt could not take the same lock again.
func lock(*os.File) (held bool, err error) { return true, nil }

// unlock does nothing: closing the file releases bbolt's lock.
func unlock(*os.File) error { return nil }

// ownerOf does not know the owner of a file on these systems.
func ownerOf(os.FileInfo) (uid int, known bool) { return 0, false }
