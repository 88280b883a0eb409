// Command embed uses taskscaler as a library, as the instance executor of a CI runner does. It launches a provider plugin, starts a manager,
// and runs a few jobs over SSH, each on a leased slot. With the fake plugin, the instances are processes on this machine:
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
	path := flags.String("plugin", "fleeting-plugin-fake", "the provider plugin: its absolute path or its name")
	jobs := flags.Int("jobs", 6, "number of jobs to run")
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

	// This program keeps all its files in a temporary directory. A real runner needs a directory that survives a restart.
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

	// Shutdown revokes the leases of jobs that still run after ten seconds. Then it deletes every instance.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if e := manager.Shutdown(end); e != nil {
		return errors.Join(err, e)
	}
	out.line("shut down: every instance is deleted")
	return err
}

// start launches the plugin and starts a manager that uses it. Shutdown of the manager ends both.
func start(ctx context.Context, name, dir string, log *slog.Logger) (*taskscaler.Taskscaler, error) {
	path, err := plugin.Find(name, plugin.DefaultFindOptions(os.Getenv))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{ // plugin_config of the fake plugin; see plugins/fake/README.md
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

// serve runs all jobs at the same time. By default there are more jobs than slots, so some jobs wait.
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

// job runs one job. It reserves a slot before it takes the job from the queue. Then it acquires the slot, runs the script and releases the
// slot.
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

// reserve tries again while there is no capacity. A real runner leaves the job in its queue meanwhile, so that another runner can take it.
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

// work runs the job's script. Its context ends with the job or with the lease. If the instance is lost, the cause of the context says so.
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

// printer writes whole lines. It is safe for concurrent use.
type printer struct {
	mu sync.Mutex
	to io.Writer
}

func (p *printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.to, format+"\n", args...)
}
