package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// heldJobs starts n jobs and waits until all of them run. They run until they are released. Job i exits with code i mod 100.
func heldJobs(w *world, n int) (jobs []*process, letGo func()) {
	w.t.Helper()
	jobs, letGo = beginHeldJobs(w, n)
	w.allRun(jobs)
	return jobs, letGo
}

// beginHeldJobs does the same as heldJobs, but does not wait until the jobs run.
func beginHeldJobs(w *world, n int) (jobs []*process, letGo func()) {
	w.t.Helper()
	gate := filepath.Join(w.dir, "gate")
	w.write("gate", "")
	for i := range n {
		script := fmt.Sprintf("echo on; while [ -e '%s' ]; do sleep 0.1; done; echo off; exit %d", gate, i%100)
		jobs = append(jobs, w.exec(fmt.Sprintf("job-%02d", i), script))
	}
	return jobs, func() {
		if err := os.Remove(gate); err != nil {
			w.t.Fatal(err)
		}
	}
}

// allRun waits until all these jobs run.
func (w *world) allRun(jobs []*process) {
	w.t.Helper()
	w.eventually("all jobs run", func() (bool, string) {
		on := 0
		for _, j := range jobs {
			if strings.HasPrefix(j.stdout.String(), "on\n") {
				on++
			}
		}
		return on == len(jobs), fmt.Sprintf("%d of %d run", on, len(jobs))
	})
}

// detached returns the number of leases whose callers have not reattached.
func detached(f *taskscaler.Status) int {
	n := 0
	for _, i := range f.Instances {
		for _, l := range i.Leases {
			if l.Detached {
				n++
			}
		}
	}
	return n
}

// settled reports whether no instance is booting or being deleted, and no slot is leased.
func settled(f *taskscaler.Status) bool {
	c := f.Counts
	return f.Started && c.Leases+c.Waiters+c.Requested+c.Creating+c.Preparing+c.Draining+c.Deleting+c.Unclaimed == 0
}

// TestManagerIsKilled: 20 jobs run when the manager is killed. The next manager knows their leases before it grants another one. All jobs end
// with their own exit codes.
func TestManagerIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{
		autoscaler: "max_instances = 5\ncapacity_per_instance = 4\ndelete_instances_on_shutdown = true",
		policy:     "idle_count = 2\nidle_time = \"1s\"\npreemptive_mode = false",
	}.String())
	m := w.manager()
	jobs, letGo := heldJobs(w, 20)
	waiting := w.exec("waiting", "echo $TASKSCALER_INSTANCE")
	waiting.says("max_instances")
	before := places(w.mustAsk())
	if len(before) != 20 {
		t.Fatalf("%d leases, not 20", len(before))
	}
	m.signal(syscall.SIGKILL)
	m.wait()
	// The jobs continue without a manager, and the waiting job waits for the next manager.
	w.eventually("the jobs have noticed", func() (bool, string) {
		job, next := jobs[0].stderr.String(), waiting.stderr.String()
		return strings.Contains(job, "the manager went away: the command continues") && strings.Contains(next, "manager to come back"), job + next
	})
	m = w.manager()
	if after := places(w.mustAsk()); !maps.Equal(before, after) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
	w.fleet("all callers are back", func(f *taskscaler.Status) bool { return detached(f) == 0 && f.Counts.Waiters == 1 })
	letGo()
	for i, j := range jobs {
		j.expect(i, "on\noff\n")
	}
	if code := waiting.wait(); code != 0 {
		t.Errorf("the waiting job's exit code is %d", code)
	}
	f := w.fleet("the fleet settles", func(f *taskscaler.Status) bool { return settled(f) && f.Counts.ReadyCount == 1 })
	for _, i := range f.Instances {
		if i.State == "lost" {
			t.Errorf("instance %s was lost: %s", i.ID, i.Cause)
		}
	}
	if n := w.created(); n != 5 {
		t.Errorf("%d instances were created, not 5", n)
	}
	m.drained()
	w.sound()
	w.empty()
}

// TestManagerIsStoppedAtOnce: a second signal stops the manager while jobs run. The jobs then reattach to the next manager.
func TestManagerIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 2\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	jobs, letGo := heldJobs(w, 2)
	waiting := w.exec("waiting", "echo at last")
	waiting.says("max_instances")
	m.signal(syscall.SIGTERM)
	w.fleet("it drains", func(f *taskscaler.Status) bool { return f.ShuttingDown })
	late := w.exec("late", "true")
	late.refused(125, "shutting down")
	w.eventually("a second signal stops it", func() (bool, string) { // two signals within 200 ms count as one
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		return !m.running(), tail(m.stderr.String())
	})
	if code := m.wait(); code != 143 {
		t.Errorf("exit code %d, not 143", code)
	}
	if !strings.Contains(m.stderr.String(), "stopped at once") {
		t.Error("the log does not say that the manager was stopped at once")
	}
	m = w.manager()
	w.fleet("all callers are back", func(f *taskscaler.Status) bool { return f.Counts.Leases == 2 && detached(f) == 0 })
	letGo()
	for i, j := range jobs {
		j.expect(i, "on\noff\n")
	}
	waiting.expect(0, "at last\n") // it has asked the next manager
	m.drained()
	w.sound()
	w.empty()
}

// TestStateIsReplaced: while the state of a running manager is not in its place, the manager says so and gives no slot, no second manager gets
// in, and running jobs go on. It serves again when the state is back.
func TestStateIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 1\ncapacity_per_instance = 2\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	jobs, letGo := heldJobs(w, 1)
	states, err := filepath.Glob(filepath.Join(w.dir, ".taskscaler", "*"))
	if err != nil || len(states) != 1 {
		t.Fatalf("state directories: %v, %v", states, err)
	}
	dir, away := states[0], filepath.Join(w.dir, "away")
	backup, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir, away), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "state.db"), backup, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.fleet("the idle manager notices it", func(f *taskscaler.Status) bool {
		return !f.Ready && strings.Contains(f.Commit.Error, "was replaced by another file")
	})
	m.says("was replaced by another file")
	other := w.exec("other", "echo served")
	other.says("store")
	second := w.start("run", "--config", w.config, "--socket", filepath.Join(w.dir, "second.sock"))
	second.refused(1, "is in use by another manager", fmt.Sprintf("process %d (taskscaler run)", m.cmd.Process.Pid))
	if err := errors.Join(os.RemoveAll(dir), os.Rename(away, dir)); err != nil {
		t.Fatal(err)
	}
	other.expect(0, "served\n")
	letGo()
	jobs[0].expect(0, "on\noff\n")
	m.drained()
	w.sound()
	w.empty()
}

// TestExecIsKilled: the slot is free again after the time to reattach is over.
func TestExecIsKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keep    string
		created int
	}{
		"its instance is retired":           {"false", 2},
		"its instance returns into service": {"true", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings{autoscaler: `max_instances = 1
reattach_after_disconnect = "1s"
delete_instances_on_shutdown = true
[runners.autoscaler.state_storage]
keep_instance_with_acquisitions = ` + c.keep}.String())
			m := w.manager()
			p := w.exec("killed", "echo on; sleep 600")
			w.eventually("the job runs", func() (bool, string) { return p.stdout.String() != "", p.stderr.String() })
			next := w.exec("next", "echo mine")
			w.fleet("the next one waits", func(f *taskscaler.Status) bool { return f.Counts.Waiters == 1 })
			p.signal(syscall.SIGKILL)
			p.wait()
			next.expect(0, "mine\n")
			if n := w.created(); n != c.created {
				t.Errorf("%d instances were created, not %d", n, c.created)
			}
			m.drained()
			w.sound()
			w.empty()
		})
	}
}

// TestManagerAndExecsAreKilled: leases that are not reattached end after reattach_after_restart.
func TestManagerAndExecsAreKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 2\nreattach_after_restart = \"1s\"\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	jobs, _ := heldJobs(w, 2)
	m.signal(syscall.SIGKILL)
	for _, j := range jobs {
		j.signal(syscall.SIGKILL)
		j.wait()
	}
	m.wait()
	m = w.manager()
	w.fleet("the leases are over", func(f *taskscaler.Status) bool { return f.Counts.Leases == 0 })
	w.exec("after", "echo fine").expect(0, "fine\n")
	m.drained()
	w.empty()
}

// plugins returns the process ids of the manager's plugin: its child processes with that name.
func (p *process) plugin() int {
	p.w.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
	if err != nil {
		p.w.t.Fatal(err)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, task := range tasks {
		more, _ := os.ReadFile(task)
		text = append(append(text, ' '), more...)
	}
	for _, field := range strings.Fields(string(text)) {
		cmdline, _ := os.ReadFile(filepath.Join("/proc", field, "cmdline"))
		if strings.Contains(string(cmdline), "fleeting-plugin-fake") && !strings.Contains(string(cmdline), "\x00instance\x00") {
			pid, err := strconv.Atoi(field)
			if err != nil {
				p.w.t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// TestPluginDies: leases stay while the plugin is dead or frozen, the plugin is started again, and no instance is created twice.
func TestPluginDies(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, settings{autoscaler: "max_instances = 3\ndelete_instances_on_shutdown = true"}.String())
			m := w.manager()
			jobs, letGo := heldJobs(w, 2)
			before := places(w.mustAsk())
			old := m.plugin()
			if old == 0 {
				t.Fatal("the manager has no plugin process")
			}
			if err := syscall.Kill(old, signal); err != nil {
				t.Fatal(err)
			}
			third := w.exec("third", "echo here") // requested while the plugin is away
			w.eventually("there is another plugin", func() (bool, string) {
				now := m.plugin()
				if after := places(w.mustAsk()); after["job-00"] != before["job-00"] || after["job-01"] != before["job-01"] {
					t.Fatalf("leases changed: %v, %v", before, after)
				}
				return now != 0 && now != old, fmt.Sprintf("its process is %d", now)
			})
			third.expect(0, "here\n")
			w.fleet("the plugin is back", func(f *taskscaler.Status) bool { return !f.Plugin.Away })
			letGo()
			for i, j := range jobs {
				j.expect(i, "on\noff\n")
			}
			if n := w.created(); n != 3 {
				t.Errorf("%d instances were created, not 3", n)
			}
			m.drained()
			w.sound()
			w.empty()
		})
	}
}

// TestInstanceDies: the lease on the instance is revoked, exec prints the cause, and the next job gets another instance.
func TestInstanceDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 2\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	p := w.exec("victim", "echo on; sleep 600")
	w.eventually("the job runs", func() (bool, string) { return p.stdout.String() != "", p.stderr.String() })
	pid := 0
	for _, e := range w.entries() {
		if e.Event == record.Booted {
			pid = e.PID
		}
	}
	start := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.expect(123, "on\n")
	if !strings.Contains(p.stderr.String(), "lost") {
		t.Errorf("stderr of exec is %q", p.stderr.String())
	}
	t.Logf("exec noticed it after %s: %s", time.Since(start).Round(time.Millisecond), p.stderr.String())
	w.exec("next", "echo fine").expect(0, "fine\n")
	m.drained()
	w.empty()
}
