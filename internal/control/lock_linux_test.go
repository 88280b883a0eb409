package control

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A start that waits for the lock gives up, and names the process that has it.
func TestLockNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lockDir(dir, lockTime)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := heldBy(dir, f).Error(), fmt.Sprintf("process %d has held the lock of %s", os.Getpid(), dir); !strings.Contains(got, want) {
		t.Errorf("%q does not contain %q", got, want)
	}
	if _, err := lockDir(dir, time.Millisecond); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d has held the lock", os.Getpid())) {
		t.Errorf("a lock that is held for too long: %v", err)
	}
	unlock()
	if again, err := lockDir(dir, time.Millisecond); err != nil {
		t.Errorf("a lock that is free: %v", err)
	} else {
		again()
	}
	if got := heldBy(dir, f).Error(); !strings.Contains(got, "another process") { // it gave the lock up at this moment, or runs in another container
		t.Errorf("without a holder: %q", got)
	}
}
