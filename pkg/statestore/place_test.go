package statestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
)

// copyOf copies a file beside it, as a backup tool does.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(filepath.Dir(filepath.Dir(path)), "backup.db")
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// misplacements are the ways in which a state file can leave its place under a running manager. undo is nil if no way leads back.
var misplacements = map[string]struct {
	do, undo func(t *testing.T, dir string) error
	want     string
}{
	"removed": {do: func(_ *testing.T, dir string) error { return os.Remove(dir + "/state.db") }, want: "is gone"},
	"moved away and back": {
		do:   func(_ *testing.T, dir string) error { return os.Rename(dir+"/state.db", dir+"/state.old") },
		undo: func(_ *testing.T, dir string) error { return os.Rename(dir+"/state.old", dir+"/state.db") },
		want: "move the same file back",
	},
	"a backup restored over it": {
		do:   func(t *testing.T, dir string) error { return os.Rename(copyOf(t, dir+"/state.db"), dir+"/state.db") },
		want: "was replaced by another file",
	},
	"its directory removed": {do: func(_ *testing.T, dir string) error { return os.RemoveAll(dir) }, want: "is gone"},
	"its directory moved away and back": {
		do:   func(_ *testing.T, dir string) error { return os.Rename(dir, dir+".old") },
		undo: func(_ *testing.T, dir string) error { return os.Rename(dir+".old", dir) },
		want: "is gone",
	},
	"its directory restored from a backup": {
		do: func(t *testing.T, dir string) error {
			backup := copyOf(t, dir+"/state.db")
			return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), os.Rename(backup, dir+"/state.db"))
		},
		want: "was replaced by another file",
	},
}

// TestStateFileLeavesItsPlace: a commit fails and writes nothing to the file that has lost its place, no second manager gets in, and the store
// works again if the same file comes back.
func TestStateFileLeavesItsPlace(t *testing.T) {
	for name, c := range misplacements {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() + "/group"
			b := openBolt(t, dir)
			commit(t, b, storetest.Bulk(3))
			orphan, err := os.Open(dir + "/state.db")
			if err != nil {
				t.Fatal(err)
			}
			defer orphan.Close()
			before := contentOf(t, orphan)
			if err := c.do(t, dir); err != nil {
				t.Fatal(err)
			}
			change := storetest.Sample(1, 1)[0]
			for what, err := range map[string]error{"Check": b.Check(), "Commit": b.Commit(context.Background(), change)} {
				var replaced *statestore.ReplacedError
				if !errors.As(err, &replaced) || statestore.IsPermanent(err) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if !bytes.Equal(before, contentOf(t, orphan)) {
				t.Error("a commit wrote to the file that has lost its place")
			}
			refusesSecond(t, dir)
			if c.undo == nil {
				return
			}
			if err := c.undo(t, dir); err != nil {
				t.Fatal(err)
			}
			commit(t, b, change)
		})
	}
}

func contentOf(t *testing.T, f *os.File) []byte {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, info.Size())
	if _, err := f.ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	return content
}

// refusesSecond fails unless a second manager on dir is refused with the name of this process.
func refusesSecond(t *testing.T, dir string) {
	t.Helper()
	second, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if second != nil {
		_ = second.Close()
	}
	var locked *statestore.LockedError
	if !errors.As(err, &locked) || locked.Owner.PID != os.Getpid() || locked.Owner.Command == "" || locked.Owner.Start.IsZero() {
		t.Errorf("a second manager on %s: %v", dir, err)
	}
}

// TestLinks: a link to a state is followed, a link to nothing is refused.
func TestLinks(t *testing.T) {
	base := t.TempDir()
	good := base + "/volume/group"
	_ = openBolt(t, good).Close()
	link := func(target, at string) string {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.Symlink(target, at)); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for name, dir := range map[string]string{
		"the directory":        link(base+"/unmounted/group", base+"/a/group"),
		"one above":            link(base+"/unmounted", base+"/b") + "/group",
		"the file":             filepath.Dir(link(base+"/unmounted/group/state.db", base+"/c/group/state.db")),
		"a link to such a one": link(base+"/a/group", base+"/d/group"),
	} {
		_, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
		if err == nil || !strings.Contains(err.Error(), "is a symbolic link to") || !strings.Contains(err.Error(), "is its file system mounted?") {
			t.Errorf("%s leads to nothing: %v", name, err)
		}
	}
	if _, err := os.Lstat(base + "/unmounted"); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was created at the end of a link to nothing")
	}
	if target, err := os.Readlink(base + "/c/group/state.db"); err != nil || target != base+"/unmounted/group/state.db" {
		t.Errorf("the link was replaced: %v, %v", target, err)
	}
	for name, dir := range map[string]string{
		"the directory": link(good, base+"/e/group"), "the file": filepath.Dir(link(good+"/state.db", base+"/f/group/state.db")),
	} {
		b := openBolt(t, dir)
		commit(t, b, storetest.Bulk(2))
		refusesSecond(t, good)
		if err := b.Close(); err != nil {
			t.Errorf("%s is a link to a good one: %v", name, err)
		}
	}
	dir := filepath.Dir(link(good+"/state.db", base+"/g/group/state.db"))
	b := openBolt(t, dir)
	_ = openBolt(t, base+"/other").Close()
	if err := errors.Join(os.Remove(dir+"/state.db"), os.Symlink(base+"/other/state.db", dir+"/state.db")); err != nil {
		t.Fatal(err)
	}
	var replaced *statestore.ReplacedError
	if err := b.Check(); !errors.As(err, &replaced) || !replaced.Other {
		t.Errorf("the link leads to another file now: %v", err)
	}
}
