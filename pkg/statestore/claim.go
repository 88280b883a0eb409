package statestore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/taskscaler/taskscaler/internal/lockholder"
)

// A manager holds three locks on its state. bbolt's lock is on the file. It is lost when another file gets the name, so there are two more:
// one on the directory itself, which a restored file does not replace, and one on the path, which survives everything that happens on the
// disk. The kernel releases all three when the process ends.
const (
	lockPatience = time.Second // how long OpenBolt waits for a lock whose holder is unknown, or is this process, which may be about to release it
	lockPause    = 20 * time.Millisecond
)

// claim holds the locks that are not on the state file.
type claim struct {
	name io.Closer // the lock on the path; nil: the system has none
	dir  *os.File  // the locked directory; nil: its file system locks no directories
}

// claimPath locks the path of a directory, which need not exist. dir is the path as it was given, and direct the path without symbolic links.
func claimPath(dir, direct string) (c claim, warnings []string, err error) {
	err = patiently(func() (bool, error) {
		name, holder, err := lockName(direct)
		switch {
		case err != nil:
			warnings = []string{fmt.Sprintf("the path of state directory %s cannot be locked: %v; a second manager is still refused while the directory is not replaced", dir, err)}
			return true, nil
		case name == nil && holder != nil:
			return elsewhere(holder.PID), &LockedError{Dir: dir, Owner: *nameHolder(dir, holder)}
		}
		c.name = name
		return true, nil
	})
	return c, warnings, err
}

// claimDir locks the directory itself. A file system that cannot lock directories (NFS) is no error: the lock of the file remains.
func (c *claim) claimDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	err = patiently(func() (bool, error) {
		held, err := lock(f)
		if err != nil || held {
			return true, err
		}
		by := lockedBy(dir, f)
		return elsewhere(by.Owner.PID), by
	})
	var locked *LockedError
	switch {
	case err == nil:
		c.dir = f
		return nil
	case errors.As(err, &locked):
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// release releases the locks. A second call has no effect.
func (c *claim) release() {
	if c.dir != nil {
		_ = errors.Join(unlock(c.dir), c.dir.Close()) // closing may fail, but it releases the lock
	}
	if c.name != nil {
		_ = c.name.Close()
	}
	*c = claim{}
}

// elsewhere reports whether another process, and a known one, has a lock. A lock that this process has just released may still be held for
// some milliseconds by a child that has not executed its program yet.
func elsewhere(pid int) bool { return pid != 0 && pid != os.Getpid() }

// patiently calls try until it is done. After lockPatience it returns the error of the last try.
func patiently(try func() (done bool, err error)) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockPause) {
		done, err := try()
		if done || time.Now().After(end) {
			return err
		}
	}
}

// lockedBy returns an error that names the process that has a lock on the file or directory f.
func lockedBy(dir string, f *os.File) *LockedError {
	written := readOwner(dir)
	pid, path := lockholder.Of(f)
	switch {
	case pid == 0, pid == written.PID:
		return &LockedError{Dir: dir, Owner: written, Path: otherPath(f.Name(), path)}
	}
	return &LockedError{Dir: dir, Owner: processOwner(pid), Path: otherPath(f.Name(), path)}
}

// otherPath returns the path under which the holder has the file open, if it is not the one that was asked for.
func otherPath(asked, held string) string {
	if held == asked {
		return ""
	}
	return held
}

// nameHolder completes what is known of the holder of a path by what it wrote into the directory, if that is still there.
func nameHolder(dir string, holder *Owner) *Owner {
	if written := readOwner(dir); written.PID != 0 && (holder.PID == 0 || written.PID == holder.PID) {
		return &written
	}
	return holder
}
