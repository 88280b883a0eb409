package statestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	fileName   = "state.db"
	newPrefix  = fileName + ".new-"
	copyPrefix = fileName + ".corrupt-"
)

// ours reports whether a file in a state directory is one of the store's.
func ours(name string) bool {
	return name == fileName || name == ownerName || name == ownerName+".new" ||
		strings.HasPrefix(name, newPrefix) || strings.HasPrefix(name, copyPrefix)
}

// prepareDir makes the directory, or sees to it that nobody else can enter it, and returns the directories that it made, innermost
// first.
func prepareDir(dir string) (made []string, err error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return makeDir(dir)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("state directory: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("state directory %s is a file: move it away, or set another directory", dir)
	case info.Mode().Perm()&0o077 == 0, runtime.GOOS == "windows": // there the mode says nothing
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return nil, fmt.Errorf("state directory %s is open to others (mode %04o) and holds other files (%s): "+
				"set a directory of its own, or chmod 700 this one", dir, info.Mode().Perm(), e.Name())
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory %s is open to others (mode %04o) and cannot be closed: %w", dir, info.Mode().Perm(), err)
	}
	return nil, nil
}

func makeDir(dir string) (made []string, err error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		removeDirs(made)
		return nil, fmt.Errorf("state directory %s cannot be made: %w", dir, err)
	}
	return made, nil
}

// removeDirs removes the directories that are empty, as far as it gets.
func removeDirs(dirs []string) {
	for _, d := range dirs {
		if os.Remove(d) != nil {
			return
		}
	}
}

// publish gives a finished new file its name, unless somebody else's has it already. So a state file is never half made, and one of
// no length is a damaged one.
func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	if _, gone := os.Stat(path); err != nil && errors.Is(gone, fs.ErrNotExist) {
		err = os.Rename(tmp, path) // a file system without links
	} else {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("state file %s cannot be made: %w", path, err)
	}
	_ = os.Remove(tmp)
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable, where directories can be synced.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("state directory %s: sync: %w", dir, err)
	}
	return nil
}

// removeNew removes what a crash left of a file in the making.
func removeNew(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, newPrefix+"*")) // the pattern is a constant; a directory with [ in its name leaves them
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// copyAside copies a damaged file to one beside it, unless an earlier copy is the same: a manager that is restarted again and again must
// not fill the disk.
func copyAside(path string, now time.Time) (to string, err error) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if earlier := filepath.Join(dir, e.Name()); strings.HasPrefix(e.Name(), copyPrefix) && sameContent(path, earlier) {
			return earlier, nil
		}
	}
	from, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	stamp := now.UTC().Format("20060102T150405.000Z")
	for n := 0; ; n++ {
		to = filepath.Join(dir, copyPrefix+stamp)
		if n > 0 {
			to += fmt.Sprintf("-%d", n)
		}
		out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = io.Copy(out, from)
		if err = errors.Join(err, out.Close()); err != nil { // no sync: the original stays
			_ = os.Remove(to)
			return "", err
		}
		return to, nil
	}
}

func sameContent(a, b string) bool {
	fa, err := os.Open(a)
	if err != nil {
		return false
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		na, errA := io.ReadFull(fa, bufA)
		nb, errB := io.ReadFull(fb, bufB)
		switch {
		case !bytes.Equal(bufA[:na], bufB[:nb]):
			return false
		case errA != nil || errB != nil:
			return atEnd(errA) && atEnd(errB)
		}
	}
}

func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
