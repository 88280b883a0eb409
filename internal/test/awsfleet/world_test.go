package awsfleet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/cloudtest/ec2"
	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/test/awsstage"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// hang limits every wait of these tests. Only a hang reaches it: the tests wait for conditions and not for a time.
const hang = 3 * time.Minute

const updateInterval = 500 * time.Millisecond

// world is a cloud with one group, and a manager that uses it.
type world struct {
	t       *testing.T
	cloud   *awsstage.Cloud
	stage   *stage.Stage
	client  *control.Client
	manager *stage.Process
}

// settings are what the tests vary.
type settings struct {
	group      ec2.GroupConfig // its name, maximum and model have defaults
	cloud      ec2.Config
	autoscaler string // keys of [runners.autoscaler]
	policy     string
}

// newWorld starts a cloud and a manager, and ends them after the test.
func newWorld(t *testing.T, s settings) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes up to 20 s; not with -short")
	}
	dir, err := os.MkdirTemp("", "ts-aws-") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, stage: &stage.Stage{Dir: dir, Config: filepath.Join(dir, "config.toml"), Socket: filepath.Join(dir, "control.sock"), Env: awsstage.Environment()}}
	w.client = control.NewClient(w.stage.Socket)
	w.must(os.Symlink(bin, filepath.Join(dir, "bin")))
	s.group.Name, s.group.ProtectNew = "ci-runners", true
	s.group.Model.Boot, s.group.Model.Delete = cloudmodel.Constant(200*time.Millisecond), cloudmodel.Constant(200*time.Millisecond)
	s.cloud.Groups = []ec2.GroupConfig{s.group}
	w.cloud, err = awsstage.Start(dir, s.cloud)
	w.must(err)
	t.Cleanup(func() {
		if err := w.cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	w.must(os.WriteFile(w.stage.Config, []byte(w.config(s)), 0o600))
	w.manager, err = w.stage.Run(nil)
	w.must(err)
	t.Cleanup(func() {
		w.manager.Stop(10 * time.Second)
		if t.Failed() {
			log, _ := os.ReadFile(w.stage.Log())
			t.Logf("the end of the manager's log:\n%s", log[max(0, len(log)-12000):])
		}
	})
	w.fleet("the manager has started", func(f *taskscaler.Status) bool { return f.Started })
	return w
}

func (w *world) config(s settings) string {
	return w.cloud.Config(awsstage.Keys{
		Head: fmt.Sprintf("log_level = \"debug\"\nshutdown_timeout = %d", int(hang/time.Second)),
		Autoscaler: fmt.Sprintf("max_instances = %d\n", s.group.Max) + `
    update_interval = "` + updateInterval.String() + `"
    update_interval_when_expecting = "200ms"
    delete_instances_on_shutdown = true
    shutdown_deletion_interval = "500ms"
    deletion_retry_interval = "2s"
    ` + s.autoscaler,
		Policy: s.policy,
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits for a condition. The text that the condition returns describes the current state.
func (w *world) eventually(what string, condition func() (bool, string)) {
	w.t.Helper()
	for deadline := time.Now().Add(hang); ; time.Sleep(20 * time.Millisecond) {
		ok, state := condition()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("this did not happen: %s: %s", what, state)
		}
		if w.manager != nil && !w.manager.Running() {
			w.t.Fatalf("the manager ended (%v) before this happened: %s", w.manager.Err(), what)
		}
	}
}

// fleet waits for a status that meets the condition, and returns it.
func (w *world) fleet(what string, condition func(*taskscaler.Status) bool) *taskscaler.Status {
	w.t.Helper()
	var f *taskscaler.Status
	w.eventually(what, func() (bool, string) {
		status, err := w.client.Status(w.t.Context(), "")
		if err != nil || len(status.Runners) != 1 || status.Runners[0].Fleet == nil {
			return false, fmt.Sprintf("%v, %+v", err, status)
		}
		f = status.Runners[0].Fleet
		text, _ := json.Marshal(f)
		return condition(f), string(text)
	})
	return f
}

// job is a job that was started. It prints its key when its gate is opened.
type job struct {
	*stage.Process
	w    *world
	key  string
	gate string
}

// job starts a job that ends when its gate is opened.
func (w *world) job(key, gate string) *job {
	w.t.Helper()
	p, err := w.stage.Exec(key, `while [ ! -e "$0" ]; do sleep 0.05; done; echo "$TASKSCALER_KEY"`, filepath.Join(w.stage.Dir, gate))
	w.must(err)
	w.t.Cleanup(func() { p.Stop(5 * time.Second) })
	return &job{p, w, key, gate}
}

// open lets the jobs of this gate end.
func (w *world) open(gate string) {
	w.t.Helper()
	w.must(os.WriteFile(filepath.Join(w.stage.Dir, gate), nil, 0o600))
}

// on waits until the command of the job runs, and returns its instance.
func (j *job) on() (instance string) {
	j.w.t.Helper()
	j.w.eventually(j.key+" runs", func() (bool, string) {
		for _, c := range record.Commands(j.w.entries()) {
			if c.Key == j.key {
				instance = c.Instance
			}
		}
		if instance == "" && !j.Running() {
			j.w.t.Fatalf("%s ended before it ran: %v: %s", j.key, j.Err(), j.Stderr())
		}
		return instance != "", "it has not started"
	})
	return instance
}

// ends waits for the end of the job, and returns its exit code and what it printed.
func (j *job) ends() (code int, stdout, stderr string) {
	j.w.t.Helper()
	j.w.eventually(j.key+" ends", func() (bool, string) { return !j.Running(), "it runs" })
	if c := j.Code(); c != nil {
		return *c, j.Stdout(), j.Stderr()
	}
	return -1, j.Stdout(), j.Stderr()
}

// good waits for the end of the job and checks that it succeeded.
func (j *job) good() {
	j.w.t.Helper()
	if code, stdout, stderr := j.ends(); code != 0 || stdout != j.key+"\n" {
		j.w.t.Errorf("%s: exit code %d, stdout %q, stderr:\n%s", j.key, code, stdout, stderr)
	}
}

// lost waits for the end of the job and checks that its holder was told why it lost its lease.
func (j *job) lost(words string) {
	j.w.t.Helper()
	const exitLost = 123 // see internal/jobexec
	if code, _, stderr := j.ends(); code != exitLost || !strings.Contains(stderr, words) {
		j.w.t.Errorf("%s: exit code %d, not %d; stderr does not say %q:\n%s", j.key, code, exitLost, words, stderr)
	}
}

// failed waits for the end of the job and checks that its holder was told: it lost its machine, or its command was killed there, whichever was seen first.
func (j *job) failed() {
	j.w.t.Helper()
	const exitLost, exitKilled = 123, 137
	if code, _, stderr := j.ends(); code != exitLost && code != exitKilled {
		j.w.t.Errorf("%s: exit code %d, not %d or %d; stderr:\n%s", j.key, code, exitLost, exitKilled, stderr)
	}
}

func (w *world) entries() []record.Entry {
	w.t.Helper()
	entries, err := record.ReadDir(w.cloud.Records)
	w.must(err)
	return entries
}

// state returns what EC2 would call the state of an instance.
func (w *world) state(id string) string {
	all := w.cloud.Server.Instances()
	if i := slices.IndexFunc(all, func(in ec2.InstanceTruth) bool { return in.ID == id }); i >= 0 {
		return all[i].State
	}
	return "gone"
}

// atRest waits until the fleet has no instance, and the group is told to have none.
func (w *world) atRest() {
	w.t.Helper()
	w.fleet("no instance is left", func(f *taskscaler.Status) bool { return f.Counts.Existing()+f.Counts.Requested == 0 })
	w.nothingLeft()
}

// drained stops the manager, as an operator does, and checks that it left nothing.
func (w *world) drained() {
	w.t.Helper()
	m := w.manager
	w.manager = nil // its end is expected
	defer func() { w.manager = m }()
	m.Signal(syscall.SIGTERM)
	w.eventually("the manager ends", func() (bool, string) { return !m.Running(), "it runs" })
	if m.Err() != nil {
		w.t.Errorf("the manager: %v", m.Err())
	}
	w.nothingLeft()
	for _, fault := range record.Check(w.entries()) {
		w.t.Error(fault)
	}
}

// nothingLeft checks what the cloud and the machines say.
func (w *world) nothingLeft() {
	w.t.Helper()
	w.eventually("nothing costs money", func() (bool, string) {
		var left []string
		for _, in := range w.cloud.Server.Instances() {
			left = append(left, in.ID+" is "+in.State)
		}
		for _, id := range record.Alive(w.entries()) {
			left = append(left, "the machine of "+id+" runs")
		}
		return len(left) == 0, strings.Join(left, ", ")
	})
}
