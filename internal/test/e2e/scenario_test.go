package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// scenario shows one decision of the core, with the real binary and the fake plugin. The manager runs when play begins. If play does not end
// the manager, it is shut down afterwards. No slot may have been used twice at once. Unless keep is set, no instance may be left.
type scenario struct {
	settings
	keep bool // instances stay at the end
	play func(w *world, m *process)
}

const deleting = "delete_instances_on_shutdown = true\n"

// instances returns settings for instances with one slot, which are deleted at the end.
func instances(n int) string { return fmt.Sprintf("%smax_instances = %d\n", deleting, n) }

func constant(name, value string) string {
	return fmt.Sprintf("[runners.autoscaler.plugin_config.%s]\ndistribution = \"constant\"\nvalue = %q\n", name, value)
}

// throttle allows this many creates per second, with a burst of one.
func throttle(limit string) string {
	return "[runners.autoscaler.scale_throttle]\nlimit = " + limit + "\nburst = 1"
}

// createErrors makes every create an error of this kind.
func createErrors(keys string) string {
	return "[[runners.autoscaler.plugin_config.create_errors]]\nprobability = 1.0\n" + keys
}

// TestScenarios has a scenario for each subject that the core decides about.
func TestScenarios(t *testing.T) {
	for name, s := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, s.String())
			m := w.manager()
			s.play(w, m)
			if m.running() {
				m.drained()
			}
			w.sound()
			if !s.keep {
				w.empty()
			}
		})
	}
}

func scenarios() map[string]scenario {
	all := map[string]scenario{}
	for _, group := range []map[string]scenario{leaseScenarios(), sizeScenarios(), troubleScenarios(), memoryScenarios()} {
		for name, s := range group {
			all[name] = s
		}
	}
	return all
}

// cause waits until status shows that a caller waits for this cause.
func (w *world) cause(cause string) {
	w.t.Helper()
	w.fleet("somebody waits for "+cause, func(f *taskscaler.Status) bool { return waitsFor(f, cause) })
}

// times returns the times of the entries with this event, in order.
func (w *world) times(event record.Event) (out []time.Time) {
	w.t.Helper()
	for _, e := range w.entries() {
		if e.Event == event {
			out = append(out, e.Time)
		}
	}
	return out
}

// ran returns the keys of the commands, in the order of their starts.
func (w *world) ran() (keys []string) {
	w.t.Helper()
	for _, c := range record.Commands(w.entries()) {
		if c.Key != "" {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

func leaseScenarios() map[string]scenario {
	return map[string]scenario{
		"grant: slots of the fullest instance first": {
			settings: settings{autoscaler: instances(2) + "capacity_per_instance = 3"},
			play: func(w *world, _ *process) {
				_, letGo := heldJobs(w, 4)
				used := map[string][]int{}
				for _, p := range places(w.mustAsk()) {
					used[p.instance] = append(used[p.instance], p.slot)
				}
				letGo()
				sizes := []int{}
				for id, slots := range used {
					slices.Sort(slots)
					for want, slot := range slots {
						if slot != want {
							w.t.Errorf("%s has slots %v", id, slots)
						}
					}
					sizes = append(sizes, len(slots))
				}
				slices.Sort(sizes)
				if !slices.Equal(sizes, []int{1, 3}) {
					w.t.Errorf("leases are spread as %v", used)
				}
			},
		},
		"waiters: first come, first served": {
			settings: settings{autoscaler: instances(1)},
			play: func(w *world, _ *process) {
				first, letGo := heldJobs(w, 1)
				var rest []*process
				for i, key := range []string{"b", "c", "d", "e"} {
					rest = append(rest, w.exec(key, "true"))
					w.fleet(key+" waits", func(f *taskscaler.Status) bool { return f.Counts.Waiters == i+1 })
				}
				letGo()
				first[0].expect(0, "on\noff\n")
				for _, p := range rest {
					p.expect(0, "")
				}
				if got := w.ran(); !slices.Equal(got, []string{"job-00", "b", "c", "d", "e"}) {
					w.t.Errorf("the order of the jobs is %v", got)
				}
			},
		},
		"waiters: one key has one lease": {
			settings: settings{autoscaler: instances(2)},
			play: func(w *world, _ *process) {
				_, letGo := heldJobs(w, 1)
				w.exec("job-00", "true").refused(125, "job-00", "in use")
				letGo()
			},
		},
		"reservations: promised without capacity, taken up by the job": {
			settings: settings{autoscaler: instances(1)},
			play: func(w *world, _ *process) {
				c := w.client()
				w.must(c.Reserve(w.t.Context(), control.ReserveRequest{Key: "one"}))
				if err := c.Reserve(w.t.Context(), control.ReserveRequest{Key: "two"}); !errors.Is(err, &control.APIError{Code: control.CodeNoCapacity}) {
					w.t.Errorf("a second reservation of the only slot: %v", err)
				}
				f := w.fleet("one is reserved", func(f *taskscaler.Status) bool { return f.Counts.Reservations == 1 })
				if f.Counts.Existing()+f.Counts.Requested != 0 {
					w.t.Errorf("a reservation counted as demand: %+v", f.Counts)
				}
				w.exec("one", "echo mine").expect(0, "mine\n")
				w.must(c.Reserve(w.t.Context(), control.ReserveRequest{Key: "two"}))
				w.must(c.Reserve(w.t.Context(), control.ReserveRequest{Key: "two", Cancel: true}))
				w.fleet("none is reserved", func(f *taskscaler.Status) bool { return f.Counts.Reservations == 0 })
			},
		},
		"preemptive mode: only against slots that are there": {
			settings: settings{autoscaler: instances(2), policy: "idle_count = 1\nidle_time = \"1h\"", plugin: constant("boot", "1s")},
			play: func(w *world, _ *process) {
				c := w.client()
				if err := c.Reserve(w.t.Context(), control.ReserveRequest{Key: "early"}); !errors.Is(err, &control.APIError{Code: control.CodeNoCapacity}) {
					w.t.Errorf("before there is an instance: %v", err)
				}
				w.fleet("the idle target is met", func(f *taskscaler.Status) bool { return f.Counts.ReadyCount == 1 })
				w.must(c.Reserve(w.t.Context(), control.ReserveRequest{Key: "one"}))
				if err := c.Reserve(w.t.Context(), control.ReserveRequest{Key: "two"}); !errors.Is(err, &control.APIError{Code: control.CodeNoCapacity}) {
					w.t.Errorf("a second reservation of the slot: %v", err)
				}
				other := w.exec("other", "true")
				w.fleet("the promised slot goes to nobody else", func(f *taskscaler.Status) bool {
					return f.Counts.Waiters == 1 || len(w.times(record.Created)) > 1
				})
				w.exec("one", "echo mine").expect(0, "mine\n")
				other.expect(0, "")
			},
		},
		"max uses: an instance serves no more": {
			settings: settings{autoscaler: instances(1) + "max_use_count = 2"},
			play: func(w *world, _ *process) {
				for i := range 5 {
					w.exec(fmt.Sprint(i), "echo $TASKSCALER_USE").expect(0, fmt.Sprintf("%d\n", i%2+1))
				}
				if n := w.created(); n != 3 {
					w.t.Errorf("%d instances for 5 uses, not 3", n)
				}
			},
		},
		"ready command: runs before the first job": {
			settings: settings{autoscaler: instances(1) + `instance_ready_command = "echo prepared >ready"`},
			play: func(w *world, _ *process) {
				w.exec("job", "cat ready").expect(0, "prepared\n")
			},
		},
		"drain: no new work, the last lease is waited for": {
			settings: settings{autoscaler: instances(2)},
			play: func(w *world, _ *process) {
				jobs, letGo := heldJobs(w, 1)
				drain := w.start("drain")
				w.fleet("it drains", func(f *taskscaler.Status) bool { return f.Draining })
				w.exec("late", "true").refused(125, "draining")
				if !drain.running() {
					w.t.Error("drain did not wait for the lease")
				}
				letGo()
				jobs[0].expect(0, "on\noff\n")
				drain.expect(0, "drained\n")
				w.fleet("idle instances are retired", func(f *taskscaler.Status) bool { return f.Counts.Existing() == 0 })
			},
		},
	}
}

func sizeScenarios() map[string]scenario {
	return map[string]scenario{
		"grow: by what is missing": {
			settings: settings{autoscaler: instances(10) + "capacity_per_instance = 2", policy: "idle_count = 2\nidle_time = \"1h\"\npreemptive_mode = false"},
			play: func(w *world, _ *process) {
				w.fleet("the idle target is met", func(f *taskscaler.Status) bool { return f.Counts.ReadyCount == 1 })
				_, letGo := heldJobs(w, 5)
				f := w.fleet("the fleet has grown", func(f *taskscaler.Status) bool { return f.Counts.ReadyCount == 4 })
				if d := f.Sizing.Decision; d.Leases != 5 || d.IdleTarget != 2 || d.Needed != 7 {
					w.t.Errorf("the decision is %+v", d)
				}
				letGo()
				if n := w.created(); n != 4 {
					w.t.Errorf("%d instances were created, not 4", n)
				}
			},
		},
		"shrink: to the idle target, and no further": {
			settings: settings{autoscaler: instances(4), policy: "idle_count = 1\nidle_time = \"700ms\"\npreemptive_mode = false"},
			play: func(w *world, _ *process) {
				jobs, letGo := heldJobs(w, 3)
				letGo()
				for i, j := range jobs {
					j.expect(i, "on\noff\n")
				}
				f := w.fleet("the fleet has shrunk", func(f *taskscaler.Status) bool { return settled(f) && f.Counts.ReadyCount == 1 })
				for _, i := range f.Instances {
					if i.State == "gone" && i.Cause != "idle" {
						w.t.Errorf("the cause of the removal of instance %s is %s", i.ID, i.Cause)
					}
				}
				last := slices.MaxFunc(record.Commands(w.entries()), func(a, b record.Command) int { return a.End.Compare(b.End) })
				for _, at := range w.times(record.Deleting) {
					if at.Before(last.Start.Add(700 * time.Millisecond)) {
						w.t.Errorf("an instance was deleted at %s, before idle_time was over", at)
					}
				}
			},
		},
		"shrink: to zero": {
			settings: settings{autoscaler: instances(2) + "capacity_per_instance = 2", policy: "idle_time = \"300ms\""},
			play: func(w *world, _ *process) {
				w.exec("job", "true").expect(0, "")
				w.fleet("nothing is left", func(f *taskscaler.Status) bool { return settled(f) && f.Counts.Existing() == 0 })
			},
		},
		"throttle: creates are spread": {
			settings: settings{autoscaler: instances(3) + throttle("0.0001")}, // one token; the next one comes hours later
			play: func(w *world, m *process) {
				jobs, letGo := beginHeldJobs(w, 3)
				w.cause("throttle")
				if n := w.created(); n > 1 {
					w.t.Errorf("%d creates with one token", n)
				}
				// The time counts from here and not from the create before: on a busy machine that one may be late, while the next ones are in time.
				asked := time.Now()
				w.write("config.toml", settings{autoscaler: instances(3) + throttle("1")}.String())
				m.signal(syscall.SIGHUP)
				w.allRun(jobs)
				letGo()
				for i, j := range jobs {
					j.expect(i, "on\noff\n")
				}
				at := w.times(record.Created)
				if apart := at[2].Sub(asked); apart < 1900*time.Millisecond { // two tokens at one per second; the rest is the tolerance of the clock
					w.t.Errorf("two creates within %s", apart)
				}
			},
		},
		"policy: none matches, so nothing is kept": {
			settings: settings{autoscaler: instances(2), policy: "idle_count = 2\nperiods = [\"* * 30 2 *\"]\ntimezone = \"UTC\""},
			play: func(w *world, _ *process) {
				f := w.mustAsk()
				if f.Policy.Position != 0 || f.Policy.IdleCount != 0 || f.Policy.IdleTime != 5*time.Minute {
					w.t.Errorf("on 30 February: %+v", f.Policy)
				}
				w.exec("job", "echo fine").expect(0, "fine\n")
			},
		},
		"reload: limits change at once, faults change nothing": {
			settings: settings{autoscaler: instances(1)},
			play: func(w *world, m *process) {
				_, letGo := heldJobs(w, 1)
				second := w.exec("second", "echo fine")
				w.cause("max_instances")
				w.write("config.toml", settings{autoscaler: deleting + "max_instances = -2\n"}.String())
				m.signal(syscall.SIGHUP)
				w.eventually("the fault is told", func() (bool, string) {
					return strings.Contains(m.stderr.String(), "was not reloaded"), m.stderr.String()
				})
				if f := w.mustAsk(); f.Group.MaxInstances != 1 {
					w.t.Errorf("max_instances is %d after a file with faults", f.Group.MaxInstances)
				}
				w.reloaded("nothing was reloaded", "max_instances", "cannot be negative")
				w.write("config.toml", settings{autoscaler: instances(1), plugin: `capacity_per_host = 1`}.String())
				m.signal(syscall.SIGHUP)
				w.reloaded(`was not reloaded`, "plugin_config changed: restart the manager")
				w.write("config.toml", settings{autoscaler: instances(2)}.String()+"\n[[runners]]\nname = \"late\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\n")
				m.signal(syscall.SIGHUP)
				second.expect(0, "fine\n")
				w.reloaded(`runner "late" was added to the file and is not started: restart the manager`)
				if f := w.mustAsk(); f.Group.MaxInstances != 2 || f.Counts.Leases != 1 {
					w.t.Errorf("after the reload: %+v, %+v", f.Group, f.Counts)
				}
				letGo()
			},
		},
	}
}

func troubleScenarios() map[string]scenario {
	return map[string]scenario{
		"deadlines: a machine that hangs in its boot is retired, and creates back off": {
			settings: settings{
				autoscaler: instances(1) + "[runners.autoscaler.instance_deadlines]\ncreating = \"500ms\"\n",
				plugin:     constant("boot", "100ms") + "[runners.autoscaler.plugin_config.boot_failure]\nprobability = 1.0\nmode = \"hang\"",
			},
			play: func(w *world, _ *process) {
				job := w.exec("job", "true")
				w.cause("back_off")
				f := w.mustAsk()
				if !slices.ContainsFunc(f.Instances, func(i taskscaler.InstanceStatus) bool { return i.Cause == "boot_overdue" }) {
					w.t.Errorf("no instance was overdue: %+v", f.Instances)
				}
				w.eventually("the hanging one is deleted and another is tried", func() (bool, string) {
					return len(w.times(record.Deleted)) >= 1 && w.created() >= 2, fmt.Sprint(w.created())
				})
				job.signal(syscall.SIGINT)
				job.expect(130, "")
			},
		},
		"back-off: a failing ready command": {
			settings: settings{autoscaler: instances(1) + `instance_ready_command = "test -e ../../../../gate"`},
			play: func(w *world, _ *process) {
				job := w.exec("job", "echo fine")
				w.eventually("an instance was given up", func() (bool, string) { return len(w.times(record.Deleted)) >= 1, fmt.Sprint(w.created()) })
				w.write("gate", "")
				job.expect(0, "fine\n")
			},
		},
		"back-off: an account limit is reached": {
			settings: settings{autoscaler: instances(2), plugin: createErrors("kind = \"quota\"\nuntil = \"3s\"")},
			play: func(w *world, m *process) {
				job, m := w.refusedAtFirst(m, "quota")
				defer m.drained()
				job.expect(0, "fine\n")
				if !strings.Contains(job.stderr.String(), "account limit") {
					w.t.Errorf("stderr of exec is %q", job.stderr.String())
				}
			},
		},
		"back-off: the provider has no machines": {
			settings: settings{autoscaler: instances(2), plugin: "[[runners.autoscaler.plugin_config.stockout.windows]]\nuntil = \"3s\""},
			play: func(w *world, m *process) {
				job, m := w.refusedAtFirst(m, "stock_out")
				defer m.drained()
				job.expect(0, "fine\n")
			},
		},
		"heartbeat: an unhealthy instance gets no more jobs": {
			settings: settings{autoscaler: instances(1)},
			play: func(w *world, _ *process) {
				first := w.exec("first", "echo $TASKSCALER_INSTANCE; touch ../unhealthy")
				if first.wait() != 0 {
					w.t.Fatal("the first job failed")
				}
				id := strings.TrimSpace(first.stdout.String())
				f := w.fleet("it is gone", func(f *taskscaler.Status) bool {
					return slices.ContainsFunc(f.Instances, func(i taskscaler.InstanceStatus) bool { return i.ID == id && i.State == "gone" })
				})
				for _, i := range f.Instances {
					if i.ID == id && i.Cause != "unhealthy" {
						w.t.Errorf("the cause of its removal is %s", i.Cause)
					}
				}
				second := w.exec("second", "echo $TASKSCALER_INSTANCE")
				if second.wait() != 0 || second.stdout.String() == first.stdout.String() {
					w.t.Errorf("the second job ran on %s", second.stdout.String())
				}
			},
		},
		"failure threshold: heartbeats that fail often enough": {
			settings: settings{autoscaler: instances(1) + "failure_threshold = 2"},
			play: func(w *world, _ *process) {
				w.exec("first", "true").expect(0, "")
				for _, e := range w.entries() {
					if e.Event == record.Booted { // frozen: it neither accepts nor refuses a connection
						w.must(syscall.Kill(e.PID, syscall.SIGSTOP))
						defer func() { _ = syscall.Kill(e.PID, syscall.SIGKILL) }() // it may have ended
					}
				}
				w.fleet("it is given up", func(f *taskscaler.Status) bool {
					return slices.ContainsFunc(f.Instances, func(i taskscaler.InstanceStatus) bool { return i.Cause == "unhealthy" })
				})
				w.exec("second", "echo fine").expect(0, "fine\n")
			},
		},
	}
}

func memoryScenarios() map[string]scenario {
	return map[string]scenario{
		"shutdown: without delete_instances_on_shutdown the fleet stays for the next start": {
			keep:     true,
			settings: settings{autoscaler: "max_instances = 2"},
			play: func(w *world, m *process) {
				w.exec("first", "echo $TASKSCALER_USE").expect(0, "1\n")
				m.drained()
				if alive := record.Alive(w.entries()); len(alive) != 1 {
					w.t.Fatalf("%q are alive after the shutdown, not 1", alive)
				}
				m = w.manager()
				w.exec("second", "echo $TASKSCALER_USE").expect(0, "2\n")
				m.drained()
				if n := w.created(); n != 1 {
					w.t.Errorf("%d instances were created, not 1", n)
				}
			},
		},
		"shutdown: jobs are waited for, and then their instances are deleted": {
			settings: settings{autoscaler: instances(2)},
			play: func(w *world, m *process) {
				jobs, letGo := heldJobs(w, 2)
				m.signal(syscall.SIGTERM)
				w.fleet("it shuts down", func(f *taskscaler.Status) bool { return f.ShuttingDown })
				letGo()
				for i, j := range jobs {
					j.expect(i, "on\noff\n")
				}
				if code := m.wait(); code != 0 {
					w.t.Errorf("exit code %d", code)
				}
			},
		},
		"shutdown: SIGQUIT asks for the same as SIGTERM": { // KillSignal=SIGQUIT is in the units of many runners
			settings: settings{autoscaler: instances(1)},
			play: func(w *world, m *process) {
				jobs, letGo := heldJobs(w, 1)
				m.signal(syscall.SIGQUIT)
				w.fleet("it shuts down", func(f *taskscaler.Status) bool { return f.ShuttingDown })
				letGo()
				jobs[0].expect(0, "on\noff\n")
				if code := m.wait(); code != 0 || strings.Contains(m.stderr.String(), "goroutine ") {
					w.t.Errorf("exit code %d: %s", code, tail(m.stderr.String()))
				}
			},
		},
		"shutdown: after shutdown_timeout the jobs are revoked": {
			settings: settings{autoscaler: instances(1), shutdownTimeout: 1},
			play: func(w *world, m *process) {
				jobs, _ := heldJobs(w, 1)
				m.signal(syscall.SIGTERM)
				jobs[0].expect(123, "on\n")
				if !strings.Contains(jobs[0].stderr.String(), "shutting down") {
					w.t.Errorf("stderr of exec is %q", jobs[0].stderr.String())
				}
				if code := m.wait(); code != 0 {
					w.t.Errorf("exit code %d", code)
				}
			},
		},
		"intents: a create whose answer was an error is not repeated": {
			settings: settings{autoscaler: instances(3), plugin: createErrors("created = true\nuntil = \"1m\"")},
			play: func(w *world, _ *process) {
				w.exec("job", "echo fine").expect(0, "fine\n")
				if n := w.created(); n != 1 {
					w.t.Errorf("%d instances were created for one job", n)
				}
			},
		},
		"intents: a manager that is killed while a create is on its way": {
			settings: settings{autoscaler: instances(3), plugin: constant("boot", "2s")},
			play: func(w *world, m *process) {
				job := w.exec("job", "echo fine")
				w.eventually("the create was made", func() (bool, string) { return w.created() == 1, "" })
				m.signal(syscall.SIGKILL)
				m.wait()
				m = w.manager()
				job.expect(0, "fine\n")
				if n := w.created(); n != 1 {
					w.t.Errorf("%d instances were created for one job", n)
				}
				m.drained()
			},
		},
		"adoption: instances beside an empty store are held": {
			keep:     true,
			settings: settings{autoscaler: "max_instances = 1"},
			play: func(w *world, m *process) {
				w.forget(m)
				m = w.manager()
				f := w.fleet("it is unclaimed", func(f *taskscaler.Status) bool { return f.Counts.Unclaimed == 1 })
				if f.Counts.Free != 0 {
					w.t.Errorf("the instance has slots: %+v", f.Counts)
				}
				w.timesOut([]string{"true"}, "max_instances")
				m.drained()
				if alive := record.Alive(w.entries()); len(alive) != 1 {
					w.t.Errorf("%q are alive, not 1", alive)
				}
			},
		},
		"adoption: adopt takes them into service": {
			settings: settings{autoscaler: instances(1) + "adopt_preexisting = \"adopt\""},
			play: func(w *world, m *process) {
				w.forget(m)
				m = w.manager()
				w.exec("second", "echo fine").expect(0, "fine\n")
				if n := w.created(); n != 1 {
					w.t.Errorf("%d instances were created, not 1", n)
				}
				m.drained()
			},
		},
		"adoption: remove removes them": {
			settings: settings{autoscaler: instances(1) + "adopt_preexisting = \"remove\""},
			play: func(w *world, m *process) {
				w.forget(m)
				m = w.manager()
				w.eventually("the stranger is deleted", func() (bool, string) { return len(w.times(record.Deleted)) == 1, "" })
				w.exec("second", "echo fine").expect(0, "fine\n")
				m.drained()
			},
		},
		"restart: what was known is restored": {
			settings: settings{autoscaler: instances(3) + "capacity_per_instance = 2"},
			play: func(w *world, m *process) {
				jobs, letGo := heldJobs(w, 3)
				before := places(w.mustAsk())
				m.signal(syscall.SIGKILL)
				m.wait()
				m = w.manager()
				for key, place := range places(w.mustAsk()) {
					if before[key] != place {
						w.t.Errorf("%s was on %v and is on %v", key, before[key], place)
					}
				}
				w.fleet("all callers are back", func(f *taskscaler.Status) bool { return f.Counts.Leases == 3 && detached(f) == 0 })
				letGo()
				for i, j := range jobs {
					j.expect(i, "on\noff\n")
				}
				m.drained()
			},
		},
	}
}

// forget kills the manager after a job and removes its state. The instance stays, and no state contains it.
func (w *world) forget(m *process) {
	w.t.Helper()
	w.exec("first", "true").expect(0, "")
	m.signal(syscall.SIGKILL)
	m.wait()
	w.must(os.RemoveAll(filepath.Join(w.dir, ".taskscaler")))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// client returns a client of this world's manager.
func (w *world) client() *control.Client {
	return control.NewClient(filepath.Join(w.dir, "taskscaler", "control.sock"))
}
