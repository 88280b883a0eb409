//go:build !linux

package statestore

import "io"

// lockName does nothing: only Linux has names that are in no directory.
func lockName(string) (held io.Closer, holder *Owner, err error) { return nil, nil, nil }

// processOwner knows only the number of a process.
func processOwner(pid int) Owner { return Owner{PID: pid} }
