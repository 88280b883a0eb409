package lockholder

import (
	"os"
	"syscall"
	"testing"
)

func TestOf(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if pid, path := Of(f); pid != 0 || path != "" {
		t.Errorf("without a lock: process %d, path %q", pid, path)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	again, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if pid, path := Of(again); pid != os.Getpid() || path != dir {
		t.Errorf("process %d has %q, want %d and %q", pid, path, os.Getpid(), dir)
	}
}
