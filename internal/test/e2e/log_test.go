package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLogIsNotRead: the manager works, and ends, although nobody reads its log.
func TestLogIsNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 4\nmax_use_count = 1\ndelete_instances_on_shutdown = true"}.String())
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	m := w.startWith(func(c *exec.Cmd) { c.Stderr = write }, "run", "--config", w.config)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	w.serving(m)
	for i := range 12 { // each has an instance of its own, and so a kilobyte of records
		w.exec(fmt.Sprintf("job-%02d", i), "echo done").expect(0, "done\n")
	}
	m.signal(syscall.SIGTERM)
	m.expect(0, "")
	if n, err := unix.IoctlGetInt(int(read.Fd()), unix.TIOCINQ); err != nil || n < 3000 {
		t.Errorf("the log holds %d bytes (%v): it was not full", n, err)
	}
	w.empty()
}
