package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// The first SIGTERM is obeyed at any moment. TestPluginWhoseInitWaits, TestOneRunnerCannotStart and TestLogIsNotRead show three more.

// soon is far below every time limit of the manager for what these tests make it wait for: a reload has a minute, a list five.
const soon = 20 * time.Second

// endsSoon sends SIGTERM and checks that the manager ends because of it, and not because something else ended at last.
func (p *process) endsSoon() {
	p.w.t.Helper()
	began := time.Now()
	p.drained()
	if took := time.Since(began); took > soon {
		p.w.t.Errorf("the manager took %s to end", took)
	}
}

// waiting waits until a call of dyingplugin waits.
func (w *world) waiting() {
	w.t.Helper()
	w.eventually("a call of the plugin waits", func() (bool, string) { return exists(filepath.Join(w.records, "waits")), "" })
}

// TestSignalWhileAReloadRuns: the reload asks a second process of the plugin, whose Init does not return.
func TestSignalWhileAReloadRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.build("fleeting-plugin-waitslater")
	m := w.manager()
	m.signal(syscall.SIGHUP)
	w.waiting()
	m.endsSoon()
}

// TestSignalDuringTheFirstList: the manager has not seen its fleet yet, and the list does not return.
func TestSignalDuringTheFirstList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.build("fleeting-plugin-waitslist")
	m := w.start("run", "--config", w.config)
	w.waiting()
	job := w.exec("early", "true")
	job.says("waiting")
	m.endsSoon()
	job.says("waiting for the manager to come back")
}

// TestSignalsDuringTheFirstListOfADeletion: a manager that deletes its fleet at its end must know the fleet, so it waits for the list, for a bounded time.
// It takes no work from the first signal on, and ends at the second one.
func TestSignalsDuringTheFirstListOfADeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: deleting, shutdownTimeout: 120}.String())
	w.build("fleeting-plugin-waitslist")
	m := w.start("run", "--config", w.config)
	w.waiting()
	m.signal(syscall.SIGTERM)
	w.fleet("it shuts down", func(f *taskscaler.Status) bool { return f.ShuttingDown })
	w.start("exec", "--", "true").refused(125, "shutting down")
	w.eventually("a second signal stops it", func() (bool, string) { // two signals within 200 ms count as one
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		return !m.running(), tail(m.stderr.String())
	})
	if code := m.wait(); code != 143 {
		t.Errorf("exit code %d, not 143", code)
	}
}

// TestSignalWhileADrainRuns: the manager waits for the job of the drain, grants nothing, and ends with the job.
func TestSignalWhileADrainRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 1\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	jobs, letGo := heldJobs(w, 1)
	drain := w.start("drain")
	w.fleet("it drains", func(f *taskscaler.Status) bool { return f.Draining })
	m.signal(syscall.SIGTERM)
	w.fleet("it shuts down", func(f *taskscaler.Status) bool { return f.ShuttingDown })
	letGo()
	jobs[0].expect(0, "on\noff\n")
	m.expect(0, "")
	if code := drain.wait(); code != 0 && !strings.Contains(drain.stderr.String(), "manager") {
		t.Errorf("the drain ended with %d: %s", code, drain.stderr.String())
	}
	w.empty()
}

// TestSignalWhileItWaitsForALock: another process has the lock of the folder of the control socket. A manager waits ten seconds for it.
func TestSignalWhileItWaitsForALock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	dir := filepath.Join(w.dir, "taskscaler")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	m := w.start("run", "--config", w.config)
	w.eventually("it has the folder open", func() (bool, string) { return m.opened(dir), "" })
	began := time.Now()
	m.signal(syscall.SIGTERM)
	m.wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to end", took)
	}
	if exists(filepath.Join(dir, "control.sock")) {
		t.Error("a socket is left")
	}
}

// opened reports whether the process has the file open.
func (p *process) opened(path string) bool {
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && target == path {
			return true
		}
	}
	return false
}

// TestSignalWhileTheLogIsStuck: nobody reads the log, and the plugin's Init does not return either.
func TestSignalWhileTheLogIsStuck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	w.build("fleeting-plugin-waits")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := write.Write(make([]byte, 4096)); err != nil { // full before the first record
		t.Fatal(err)
	}
	m := w.startWith(func(c *exec.Cmd) { c.Stderr = write }, "run", "--config", w.config)
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	w.waiting()
	m.endsSoon()
}
