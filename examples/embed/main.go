// Command embed does what a CI runner's instance executor does with taskscaler as a library: it launches a provider plugin, starts a manager,
// and serves a few jobs, each on a leased slot over SSH. With the fake plugin the machines are processes on this one:
//
//	go build -o /tmp/bin/ ./plugins/fake/cmd/fleeting-plugin-fake
//	go run ./examples/embed -plugin /tmp/bin/fleeting-plugin-fake -jobs 6
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("embed", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("plugin", "fleeting-plugin-fake", "the provider plugin: a path, or a name to look for")
	jobs := flags.Int("jobs", 6, "how many jobs to run")
	verbose := flags.Bool("v", false, "log what the manager does")
	if err := flags.Parse(args); err != nil {
		return err
	}
	out := &printer{to: stdout}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))

	// Everything that this program leaves on disk is in here. A real runner keeps its state where it stays.
	dir, err := os.MkdirTemp("", "taskscaler-embed-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	manager, err := start(ctx, *path, dir, log)
	if err != nil {
		return err
	}
	err = serve(ctx, manager, *jobs, out)

	// Jobs that still run have this long; then their leases are revoked. Whatever happens, no machine is left behind.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if e := manager.Shutdown(end); e != nil {
		return errors.Join(err, e)
	}
	out.line("shut down: every instance is deleted")
	return err
}

// start launches the plugin and the manager that works with it. They end together, by the manager's Shutdown.
func start(ctx context.Context, name, dir string, log *slog.Logger) (*taskscaler.Taskscaler, error) {
	path, err := plugin.Find(name, plugin.DefaultFindOptions(os.Getenv))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{ // plugin_config of the fake: see plugins/fake/README.md
		"name": "embed", "dir": filepath.Join(dir, "cloud"),
		"boot": map[string]any{"distribution": "constant", "value": "300ms"},
	})
	if err != nil {
		return nil, err
	}
	schedule, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: 2, IdleTime: time.Minute}}}, time.Local)
	if err != nil {
		return nil, err
	}
	store, err := statestore.OpenBolt(filepath.Join(dir, "state"), statestore.BoltOptions{})
	if err != nil {
		return nil, err
	}
	group, err := plugin.Launch(ctx, plugin.LaunchOptions{Path: path, Config: config, Logger: log})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return taskscaler.New(ctx, group, taskscaler.Config{
		Name:                "embed",
		CapacityPerInstance: 2, MaxInstances: 2, Policies: schedule, ShutdownDeletionInterval: time.Second,
		UpdateInterval:              5 * time.Second,
		UpdateIntervalWhenExpecting: 200 * time.Millisecond,
		ReadyCommand:                "true",
		DeleteOnShutdown:            true,
	}, taskscaler.WithStore(store), taskscaler.WithLogger(log))
}

// serve runs all jobs at once: more than there are slots, so that some wait.
func serve(ctx context.Context, manager *taskscaler.Taskscaler, jobs int, out *printer) error {
	errs := make([]error, jobs)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			key := fmt.Sprintf("job-%d", i+1)
			if err := job(ctx, manager, key, out); err != nil {
				errs[i] = fmt.Errorf("%s: %w", key, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// job is the life of one job: reserve, before it is taken from the queue; acquire; connect; run; release.
func job(ctx context.Context, manager *taskscaler.Taskscaler, key string, out *printer) error {
	if err := reserve(ctx, manager, key); err != nil {
		return err
	}
	lease, err := manager.Acquire(ctx, key)
	if err != nil {
		manager.Unreserve(key)
		return err
	}
	out.line("%s: leased slot %d of %s (use %d)", key, lease.Slot(), lease.InstanceID(), lease.Use())
	err = work(ctx, lease, key, out)
	if e := lease.Release(context.WithoutCancel(ctx)); e != nil {
		return errors.Join(err, e)
	}
	out.line("%s: released", key)
	return err
}

// reserve asks again while the fleet is full: meanwhile a runner leaves the job in its queue, for others to take.
func reserve(ctx context.Context, manager *taskscaler.Taskscaler, key string) error {
	for {
		err := manager.Reserve(ctx, key)
		if !errors.Is(err, taskscaler.ErrNoCapacity) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// work runs the job's script. Its context ends with the job or with the lease: when the machine is lost, the cause says so.
func work(ctx context.Context, lease *taskscaler.Lease, key string, out *printer) error {
	ctx, cancel := lease.WithContext(ctx)
	defer cancel()
	client, err := lease.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	var stdout bytes.Buffer
	err = client.Run(ctx, connector.RunOptions{Command: fmt.Sprintf("echo hello from %s; sleep 0.2", key), Stdout: &stdout})
	if err != nil {
		return err
	}
	out.line("%s: its output: %s", key, strings.TrimSpace(stdout.String()))
	return nil
}

// printer writes whole lines, from any goroutine.
type printer struct {
	mu sync.Mutex
	to io.Writer
}

func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.to, format+"\n", args...)
}
