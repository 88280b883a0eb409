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

// ours reports whether a file in a state directory belongs to the store.
func ours(name string) bool {
	return name == fileName || name == ownerName || name == ownerName+".new" ||
		strings.HasPrefix(name, newPrefix) || strings.HasPrefix(name, copyPrefix)
}

// prepareDir creates the directory, or removes the access of other users to it. It returns the directories that it created, innermost first.
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
	case runtime.GOOS == "windows": // the mode has no meaning on Windows
		return nil, nil
	}
	if err := checkOwner("state directory", dir, info); err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil, nil
	}
	return nil, closeDir(dir, info)
}

// closeDir removes the access of other users to a directory. If they could write to it and it is not empty, it is refused instead, because
// they may have put the state there.
func closeDir(dir string, info fs.FileInfo) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 && len(entries) > 0 {
		return fmt.Errorf("state directory %s can be written by other users (mode %04o), so its content may not be ours: "+
			"check who owns its files, then chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return fmt.Errorf("state directory %s is open to others (mode %04o) and holds other files (%s): "+
				"set a directory of its own, or chmod 700 this one", dir, info.Mode().Perm(), e.Name())
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("state directory %s is open to others (mode %04o), and its mode cannot be changed: %w", dir, info.Mode().Perm(), err)
	}
	return nil
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
		return nil, fmt.Errorf("state directory %s cannot be created: %w", dir, err)
	}
	return made, nil
}

// removeDirs removes the directories in order, up to the first that is not empty.
func removeDirs(dirs []string) {
	for _, d := range dirs {
		if os.Remove(d) != nil {
			return
		}
	}
}

// publish gives a complete new file its name, unless another file has it already. So a state file is never incomplete, and an empty one is
// damaged.
func publish(tmp, path string) error {
	err := os.Link(tmp, path)
	if _, gone := os.Lstat(path); err != nil && errors.Is(gone, fs.ErrNotExist) {
		err = os.Rename(tmp, path) // a file system without links
	} else {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("state file %s cannot be created: %w", path, err)
	}
	_ = os.Remove(tmp)
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable, if the file system can sync directories.
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

// removeNew removes incomplete new files that a crash left behind.
func removeNew(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, newPrefix+"*")) // if the name of the directory contains [, they stay
	for _, path := range left {
		_ = os.Remove(path)
	}
}

// copyAside copies a damaged file to a new file beside it. It reuses an earlier copy with the same content, so that a manager that is
// restarted again and again does not fill the disk.
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
		if err = errors.Join(err, out.Close()); err != nil { // no sync is needed: the original stays
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
