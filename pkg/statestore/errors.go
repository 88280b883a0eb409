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
	PID    int       `json:"pid"`
	Host   string    `json:"host"`
	Start  time.Time `json:"start"`
	Socket string    `json:"socket,omitempty"` // path of its control socket; empty: none
}

// LockedError means that another manager has the store open.
type LockedError struct {
	Dir   string // the state directory
	Owner Owner  // zero if the owner is unknown: it has the lock and has not written owner.json yet
}

// Error names the owner of the lock and says what to do.
func (e *LockedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state directory %s is in use by another manager", e.Dir)
	if e.Owner.PID != 0 {
		fmt.Fprintf(&b, ": process %d on %s, running since %s", e.Owner.PID, e.Owner.Host, e.Owner.Start.Format(time.RFC3339))
	}
	if e.Owner.Socket != "" {
		fmt.Fprintf(&b, ", control socket %s", e.Owner.Socket)
	}
	b.WriteString("; stop that one first, or give this one a state directory of its own")
	return b.String()
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
