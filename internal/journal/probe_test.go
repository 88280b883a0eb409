package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestFailedProbeLeavesNothing: a probe that cannot write, as on a full disk, leaves neither a file nor a descriptor behind.
func TestFailedProbeLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path) // for reading: every write fails
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(f); err == nil {
		t.Error("a write to a file that is open for reading was no error")
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the probe: %v", err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file of the probe was open: %v", err)
	}
	d := &disk{dir: t.TempDir()}
	if err := d.probe(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(d.dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
