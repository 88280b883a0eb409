package statestore

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrClosed is what Load and Commit return after Close. It is permanent, see IsPermanent.
var ErrClosed = errors.New("statestore: the store is closed")

// PermanentError is an error of a store that no retry can mend.
type PermanentError struct {
	Err error // what is wrong, and what to do
}

// Error returns the text of Err.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PermanentError) Unwrap() error { return e.Err }

// IsPermanent reports whether no retry can mend err: its chain holds a *PermanentError, a *CorruptError, a *VersionError or ErrClosed.
func IsPermanent(err error) bool {
	var permanent *PermanentError
	var corrupt *CorruptError
	var version *VersionError
	return errors.As(err, &permanent) || errors.As(err, &corrupt) || errors.As(err, &version) || errors.Is(err, ErrClosed)
}

// Owner identifies the process that holds a store's lock.
type Owner struct {
	PID     int       `json:"pid"`
	Command string    `json:"command,omitempty"` // its program and, if that is a plain word, its first argument; empty: unknown
	Host    string    `json:"host"`
	Start   time.Time `json:"start"`
	Socket  string    `json:"socket,omitempty"` // path of its control socket; empty: none, or unknown
}

// LockedError means that another manager has the store open.
type LockedError struct {
	Dir   string // the state directory
	Owner Owner  // zero if the owner is unknown: for example, if it runs in another container and its owner.json is gone
	Path  string // the path under which the owner has it open, if it is another one (a hard link, a bind mount); empty: the same, or unknown
}

// Error names the owner of the lock and says what to do.
func (e *LockedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state directory %s is in use by another manager", e.Dir)
	if e.Owner.PID != 0 {
		fmt.Fprintf(&b, ": process %d", e.Owner.PID)
		if e.Owner.Command != "" {
			fmt.Fprintf(&b, " (%s)", e.Owner.Command)
		}
		if e.Owner.Host != "" {
			b.WriteString(" on " + e.Owner.Host)
		}
		if !e.Owner.Start.IsZero() {
			b.WriteString(", running since " + e.Owner.Start.Format(time.RFC3339))
		}
	}
	if e.Path != "" {
		b.WriteString(", which has it open as " + e.Path)
	}
	if e.Owner.Socket != "" {
		fmt.Fprintf(&b, ", control socket %s", e.Owner.Socket)
	}
	b.WriteString("; stop that one first, or give this one a state directory of its own")
	return b.String()
}

// ReplacedError means that the path of the state no longer leads to the file that the store has open: the file was removed, moved or replaced,
// or its file system was unmounted. Nothing is written to the open file then. It is not permanent: if the same file is moved back, the
// store works again.
type ReplacedError struct {
	Path  string
	Other bool // another file has this path now; false: there is none
}

// Error says what happened, and what to do.
func (e *ReplacedError) Error() string {
	if e.Other {
		return fmt.Sprintf("state file %s was replaced by another file while it was in use, and nothing is written to either of them: "+
			"put the former file back (the same file, not a copy), or restart the manager to use the new one", e.Path)
	}
	return fmt.Sprintf("state file %s is gone while it was in use (removed, moved, or its file system was unmounted), and nothing is written to it: "+
		"move the same file back, or restore a backup and restart the manager", e.Path)
}

// VersionError means that a newer release wrote the state. The file is not modified.
type VersionError struct {
	Path      string
	What      string // which part is newer
	Found     uint64 // its version
	Supported uint64 // the newest version that this release reads
}

// Error names both versions and says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("state file %s was written by a newer release: %s is %d, this release reads up to %d; "+
		"run that release or a later one (the file is not modified)", e.Path, e.What, e.Found, e.Supported)
}

// CorruptError means that the state is damaged. The file is not modified.
type CorruptError struct {
	Path string
	Copy string // the copy of the damaged file; empty: copying failed, and What says why
	What string // what is wrong
}

// Error says what is wrong and what to do.
func (e *CorruptError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state file %s is damaged: %s; it is not modified", e.Path, e.What)
	if e.Copy != "" {
		fmt.Fprintf(&b, ", and was copied to %s", e.Copy)
	}
	b.WriteString("; put a backup in its place, or move it away to start with an empty state " +
		"(instances that exist are then held as unclaimed, not deleted)")
	return b.String()
}

// damage is an error of the readers in this package. Bolt turns it into a CorruptError.
type damage string

func (d damage) Error() string { return string(d) }

func damagef(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }
