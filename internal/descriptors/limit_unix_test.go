//go:build unix

package descriptors

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Go raises the soft limit to the hard one at the start of the process. If it no longer does, the manager must.
func TestSoftLimitIsTheHardOne(t *testing.T) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cur != r.Max && r.Cur < 10240 { // darwin allows no more
		t.Errorf("the soft limit is %d, the hard one %d", r.Cur, r.Max)
	}
}
