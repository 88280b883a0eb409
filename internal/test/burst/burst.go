package burst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/test/stage"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

const (
	// JobCount is the number of jobs of the burst: more than the 20 slots that a fleet should have.
	JobCount = 40

	patience = 3 * time.Minute // for everything after the build, which takes about 15 s; only a hang reaches it
	lookEach = 100 * time.Millisecond
)

// Cloud is what a demonstration runs on.
type Cloud struct {
	Title    string   // of the configuration, for people
	Plugin   string   // name of the plugin's binary
	Packages []string // packages of binaries that are built besides those of package stage
	// Start starts what the cloud needs beside its plugin. s has the binaries and the folder of the demonstration.
	Start func(ctx context.Context, s *stage.Stage) (Running, error)
}

// Running is a cloud that was started.
type Running struct {
	Config  string       // config.toml
	Records string       // the folder with the records of its instances
	Ended   func() error // is called when the manager has ended: it checks what the cloud says, and returns when the records are complete; nil: they are
	Close   func() error // ends what Start started; nil: that was nothing
}

// Main runs the demonstration on a cloud, as a command: it ends the process.
func Main(cloud Cloud) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Run(ctx, cloud, os.Stdout, os.Stderr))
}

// Run runs the demonstration on a cloud and returns the exit code.
func Run(ctx context.Context, cloud Cloud, stdout, stderr io.Writer) int {
	v := newView(stdout, terminalWidth(stdout))
	verdict, err := demonstrate(ctx, cloud, v)
	v.end()
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "demo: failed: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintln(stdout, verdict)
	return 0
}

// demonstrate runs the demonstration and returns its last line.
func demonstrate(ctx context.Context, cloud Cloud, v *view) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "taskscaler-demo-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	v.say("building taskscaler and %s", cloud.Plugin)
	s, err := stage.New(ctx, dir, cloud.Packages...)
	if err != nil {
		return "", err
	}
	running, err := cloud.Start(ctx, s)
	if err != nil {
		return "", err
	}
	if running.Close != nil {
		defer func() { err = errors.Join(err, running.Close()) }()
	}
	if err := os.WriteFile(s.Config, []byte(running.Config), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the demonstration took longer than %s", patience))
	defer cancel()
	v.say("starting a manager on %s", cloud.Title)
	manager, err := s.Run(nil)
	if err != nil {
		return "", err
	}
	defer manager.Stop(10 * time.Second) // after a failure, it has this time to delete its instances
	seen, err := watchJobs(ctx, s, manager, v)
	if err != nil {
		return "", fmt.Errorf("%w\nthe end of the manager's log:\n%s", err, logTail(s))
	}
	stopping := time.Now()
	v.say("stopping the manager, which deletes the remaining instances")
	if err := stopManager(ctx, manager); err != nil {
		return "", fmt.Errorf("%w\nthe end of the manager's log:\n%s", err, logTail(s))
	}
	if running.Ended != nil {
		if err := running.Ended(); err != nil {
			return "", fmt.Errorf("%w\nthe end of the manager's log:\n%s", err, logTail(s))
		}
	}
	entries, err := record.ReadDir(running.Records)
	if err != nil {
		return "", fmt.Errorf("reading the instances' records: %w", err)
	}
	return judge(seen, entries, stopping)
}

// observed holds what was seen from outside. All else is read from the records of the instances.
type observed struct {
	jobs   []job
	waited int // the largest number of jobs that waited at the same time
	peak   int // the largest number of instances
	rest   int // instances after the fleet has shrunk to its idle target
}

// watchJobs starts the jobs and shows the fleet until it has shrunk to its idle target.
func watchJobs(ctx context.Context, s *stage.Stage, manager *stage.Process, v *view) (observed, error) {
	client := control.NewClient(s.Socket)
	if _, err := statusOf(ctx, client); err != nil { // waits until the manager answers
		return observed{}, err
	}
	v.say("pushing %d jobs through `taskscaler exec`", JobCount)
	jobs, err := startJobs(s)
	if err != nil {
		return observed{}, err
	}
	defer jobs.stop()
	var seen observed
	ticker := time.NewTicker(lookEach)
	defer ticker.Stop()
	for calm := 0; calm < 3; {
		fleet, err := statusOf(ctx, client)
		if err != nil {
			return observed{}, err
		}
		seen.waited = max(seen.waited, fleet.Counts.Waiters)
		seen.peak = max(seen.peak, fleet.Counts.Existing())
		v.show(fleet, jobs.done())
		if seen.jobs = jobs.results(); len(seen.jobs) == JobCount && fallenBack(fleet) {
			seen.rest = fleet.Counts.Existing()
			calm++
		}
		select {
		case <-ticker.C:
		case <-manager.Ended():
			return observed{}, fmt.Errorf("the manager ended: %w", manager.Err())
		case <-ctx.Done():
			return observed{}, fmt.Errorf("%d of %d jobs are done, %d instances exist: %w", len(seen.jobs), JobCount, fleet.Counts.Existing(),
				context.Cause(ctx))
		}
	}
	v.say("all jobs are done, and the fleet has shrunk from %d instances to %d, its idle target", seen.peak, seen.rest)
	return seen, nil
}

// fallenBack reports whether the fleet has shrunk to its idle target.
func fallenBack(f *taskscaler.Status) bool {
	c := f.Counts
	target := f.Policy.IdleCount
	return c.Leases == 0 && c.Waiters == 0 && c.Requested == 0 && c.Existing() == c.ReadyCount &&
		c.ReadyCount == (target+f.Group.Capacity-1)/f.Group.Capacity
}

// statusOf asks the manager for its status. It waits for a manager that is starting.
func statusOf(ctx context.Context, client *control.Client) (*taskscaler.Status, error) {
	for {
		status, err := client.Status(ctx, "")
		var away *control.AwayError
		switch {
		case err == nil && len(status.Runners) == 1 && status.Runners[0].Fleet != nil:
			return status.Runners[0].Fleet, nil
		case err == nil && len(status.Runners) == 1 && status.Runners[0].Starting: // ask again
		case err == nil:
			return nil, errors.New("the manager does not have exactly the one runner of the demonstration")
		case !errors.As(err, &away):
			return nil, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the manager: %w", context.Cause(ctx))
		}
	}
}
