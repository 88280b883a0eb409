package outsider

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/model"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/statestore/storetest"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

const file = `
[[runners]]
name = "outsider"
url = "https://gitlab.example.com"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
capacity_per_instance = 2
max_instances = 3
update_interval = "1s"
update_interval_when_expecting = "10ms"
shutdown_deletion_interval = "100ms"
delete_instances_on_shutdown = true
[[runners.autoscaler.policy]]
idle_count = 2
idle_time = "1m"
`

func runner(t *testing.T) config.Runner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	f, problems, err := config.Load(path)
	if err != nil || problems.Err() != nil {
		t.Fatal(err, problems.Err())
	}
	return f.Runners[0]
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Subject {
		path := filepath.Join(t.TempDir(), "state")
		return storetest.Subject{Open: func() (statestore.Store, error) { return &fileStore{path: path}, nil }}
	})
}

func start(t *testing.T, group *rack, path string, cfg taskscaler.Config, obs taskscaler.Observer) *taskscaler.Taskscaler {
	t.Helper()
	m, err := taskscaler.New(t.Context(), group, cfg, taskscaler.WithStore(&fileStore{path: path}), taskscaler.WithDialer(dial),
		taskscaler.WithObserver(obs))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestEmbed runs jobs, restarts under one of them, reattaches it, and leaves nothing behind.
func TestEmbed(t *testing.T) {
	cfg, err := setup.Config(runner(t))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	facts := map[taskscaler.FactKind]int{}
	obs := func(f taskscaler.Fact) {
		mu.Lock()
		defer mu.Unlock()
		if facts[f.Kind]++; f.String() == "" {
			t.Errorf("a fact of kind %s has no sentence", f.Kind)
		}
	}
	group, path := &rack{machines: map[string]bool{}}, filepath.Join(t.TempDir(), "state")
	m := start(t, group, path, cfg, obs)
	if got := m.Capacity(); got != (taskscaler.Capacity{PerInstance: 2, Instances: 3, Slots: 6}) {
		t.Errorf("capacity %+v", got)
	}
	for err := m.Reserve(t.Context(), "job-1"); err != nil; err = m.Reserve(t.Context(), "job-1") { // until the first machine is ready
		if !errors.Is(err, taskscaler.ErrNoCapacity) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	lease, err := m.Acquire(t.Context(), "job-1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := lease.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Run(t.Context(), connector.RunOptions{Command: "make", Stdout: &out}); err != nil || !strings.HasSuffix(out.String(), "runs make\n") {
		t.Errorf("%q, %v", &out, err)
	}

	ended, cancel := context.WithCancel(t.Context()) // a restart: leases stay
	cancel()
	keep := cfg
	keep.DeleteOnShutdown = false
	if err := m.Reload(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	if err := m.Shutdown(ended); err != nil {
		t.Fatal(err)
	}
	m = start(t, group, path, cfg, obs)
	again, err := m.Reattach(t.Context(), "job-1")
	if err != nil || again.InstanceID() != lease.InstanceID() || again.Slot() != lease.Slot() {
		t.Fatalf("%v, %v", again, err)
	}
	other, err := m.Acquire(t.Context(), "job-2")
	if err != nil || other.InstanceID() != again.InstanceID() {
		t.Fatalf("the second job is on %v, %v", other, err)
	}
	if err := again.ReleaseUnhealthy(t.Context(), "its disk is full"); err != nil {
		t.Fatal(err)
	}
	<-other.Context().Done()
	var revoked *taskscaler.RevokedError
	if !errors.As(context.Cause(other.Context()), &revoked) || revoked.Cause != record.CauseUnhealthy || !strings.Contains(revoked.Sentence, "its disk is full") {
		t.Errorf("%v", context.Cause(other.Context()))
	}
	if counts, err := m.Counts(t.Context()); err != nil || counts.Leases != 0 {
		t.Errorf("%+v, %v", counts, err)
	}
	end, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	if err := m.Shutdown(end); err != nil || group.count() != 0 {
		t.Errorf("%d machines are left: %v", group.count(), err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, kind := range []taskscaler.FactKind{taskscaler.FactCreate, taskscaler.FactReady, taskscaler.FactRevoke, taskscaler.FactGone} {
		if facts[kind] == 0 {
			t.Errorf("no fact of kind %s in %v", kind, facts)
		}
	}
}

// TestSimulate plays jobs against the same runner.
func TestSimulate(t *testing.T) {
	r := runner(t)
	jobs := &simulate.Jobs{}
	for n := range 100 {
		jobs.List = append(jobs.List, simulate.Job{Arrival: time.Duration(n) * 20 * time.Second, Duration: time.Minute})
	}
	o := simulate.Options{
		Group: model.Group(r.Autoscaler), Start: time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC), Seed: 1, Check: true,
		Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(30 * time.Second), Price: cloudmodel.Price{PerHour: 0.1}},
		Ready: cloudmodel.Constant(5 * time.Second),
	}
	got, err := simulate.Run(o, jobs)
	if err != nil || got.Completed != 100 || got.Instances.Peak > 3 || got.Cost.Total <= 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	_ = report.Report{} // reports are public too
}
