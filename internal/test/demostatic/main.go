// Command demostatic runs taskscaler on a fleet of three hosts that are always on: three SSH servers of OpenSSH on this machine. Each job leaves a file
// behind, and fails if it finds the file of another job: the reset command of the static plugin cleans a host after each use.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/sshdtest"
	"github.com/taskscaler/taskscaler/internal/test/stage"
)

const (
	hostCount = 3
	jobCount  = 12
	patience  = 3 * time.Minute // for everything after the build; only a hang reaches it
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Stdout, os.Stderr))
}

// run runs the demonstration and returns the exit code.
func run(ctx context.Context, stdout, stderr io.Writer) int {
	start := time.Now()
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintf(stdout, "%5.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	verdict, err := demonstrate(ctx, say)
	if errors.Is(err, sshdtest.ErrMissing) {
		_, _ = fmt.Fprintf(stderr, "demo-static: skipped: %v\n", err)
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "demo-static: failed: %v\n", err)
		return 1
	}
	_, _ = fmt.Fprintln(stdout, verdict)
	return 0
}

// demonstrate runs the demonstration and returns its last line.
func demonstrate(ctx context.Context, say func(string, ...any)) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "taskscaler-demo-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	servers, stop, err := startHosts(dir)
	defer stop()
	if err != nil {
		return "", err
	}
	say("%d hosts are on; building taskscaler and fleeting-plugin-static", hostCount)
	s, err := stage.New(ctx, dir)
	if err != nil {
		return "", err
	}
	if err := configure(s, servers); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the demonstration took longer than %s", patience))
	defer cancel()
	say("starting a manager, and pushing %d jobs through `taskscaler exec`", jobCount)
	manager, err := s.Run(nil)
	if err != nil {
		return "", err
	}
	defer manager.Stop(10 * time.Second)
	where, err := runJobs(ctx, s, say)
	if err != nil {
		return "", fmt.Errorf("%w\nthe manager's log:\n%s", err, log(s))
	}
	say("stopping the manager, which frees the hosts")
	manager.Signal(syscall.SIGTERM)
	select {
	case <-manager.Ended():
	case <-ctx.Done():
		return "", fmt.Errorf("the manager does not end: %w\n%s", context.Cause(ctx), log(s))
	}
	if err := manager.Err(); err != nil {
		return "", fmt.Errorf("the manager: %w\n%s", err, log(s))
	}
	return judge(s, servers, where)
}

// startHosts starts the SSH servers. stop may always be called.
func startHosts(dir string) (servers []*sshdtest.Server, stop func(), err error) {
	stop = func() {
		for _, s := range servers {
			s.Stop()
		}
	}
	for n := range hostCount {
		own := filepath.Join(dir, fmt.Sprint("host", n+1))
		if err := os.Mkdir(own, 0o700); err != nil {
			return servers, stop, err
		}
		s, err := sshdtest.Start(own)
		if err != nil {
			return servers, stop, err
		}
		servers = append(servers, s)
	}
	return servers, stop, nil
}

// configure writes the configuration: a host takes one job at a time, and is reset after each.
func configure(s *stage.Stage, servers []*sshdtest.Server) error {
	text := `[[runners]]
  name = "rack"
  executor = "instance"
  [runners.autoscaler]
    plugin = "static"
    capacity_per_instance = 1
    max_use_count = 1
    max_instances = 3
    update_interval = "2s"
    update_interval_when_expecting = "200ms"
    instance_acquire_timeout = "2m"
    delete_instances_on_shutdown = true
    shutdown_deletion_interval = "1s"
    [runners.autoscaler.plugin_config]
      name = "rack"
      reset_command = 'rm -f "$HOME/left-behind" && echo reset >>"$HOME/resets"'
`
	for n, server := range servers {
		text += fmt.Sprintf("      [runners.autoscaler.plugin_config.instances.host%d]\n        internal_addr = %q\n        username = %q\n        key_path = %q\n        host_keys = [%q]\n",
			n+1, server.Address, server.User, server.KeyFile, server.HostKey)
	}
	text += "    [[runners.autoscaler.policy]]\n      idle_count = 1\n      idle_time = \"1m\"\n"
	return os.WriteFile(s.Config, []byte(text), 0o600)
}

// script fails if an earlier job left something behind. It prints the name of its instance, and what only this job knows.
const script = `test ! -e "$HOME/left-behind" || exit 9; touch "$HOME/left-behind"; echo job >>"$HOME/jobs"; sleep 0.3; echo "$TASKSCALER_INSTANCE $0"`

// runJobs starts all jobs at once, and waits for them. It returns the instance of each.
func runJobs(ctx context.Context, s *stage.Stage, say func(string, ...any)) (where []string, err error) {
	if err := awaitManager(ctx, s); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	for n := range jobCount {
		key, nonce := fmt.Sprintf("job-%02d", n+1), rand.Text()
		p, err := s.Exec(key, script, nonce)
		if err != nil {
			return nil, err
		}
		defer p.Stop(5 * time.Second)
		all.Go(func() {
			<-p.Ended()
			instance, got, _ := strings.Cut(strings.TrimSpace(p.Stdout()), " ")
			mu.Lock()
			defer mu.Unlock()
			if p.Err() != nil || got != nonce {
				failed = errors.Join(failed, fmt.Errorf("%s: %w, printed %q: %s", key, p.Err(), p.Stdout(), p.Stderr()))
				return
			}
			where = append(where, instance)
			say("%s ran on %s", key, instance)
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	select {
	case <-over:
		return where, failed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// awaitManager waits until the manager answers.
func awaitManager(ctx context.Context, s *stage.Stage) error {
	client := control.NewClient(s.Socket)
	for {
		status, err := client.Status(ctx, "")
		var away *control.AwayError
		switch {
		case err == nil && len(status.Runners) == 1 && status.Runners[0].Fleet != nil:
			return nil
		case err != nil && !errors.As(err, &away):
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the manager: %w", context.Cause(ctx))
		}
	}
}

// judge computes the last line from what the hosts recorded.
func judge(s *stage.Stage, servers []*sshdtest.Server, where []string) (string, error) {
	jobs, resets := 0, 0
	for n, server := range servers {
		j, r := lines(server, "jobs"), lines(server, "resets")
		if _, err := os.Stat(filepath.Join(server.Home, "left-behind")); err == nil {
			return "", fmt.Errorf("host%d was not reset", n+1)
		}
		if r < j {
			return "", fmt.Errorf("host%d ran %d jobs and was reset %d times", n+1, j, r)
		}
		jobs, resets = jobs+j, resets+r
	}
	if jobs != jobCount || len(where) != jobCount {
		return "", fmt.Errorf("%d jobs reported success, the hosts ran %d of %d", len(where), jobs, jobCount)
	}
	left, err := os.ReadFile(filepath.Join(s.Dir, ".taskscaler-static", "rack", "state.json"))
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(left), `"uses": {}`) {
		return "", fmt.Errorf("hosts are still in use: %s", left)
	}
	return fmt.Sprintf("demo-static: %d jobs on %d hosts, %d resets, nothing left behind for the next job, 0 hosts in use", jobs, len(servers), resets), nil
}

// lines returns how many lines a file in the home folder of a host has.
func lines(server *sshdtest.Server, name string) int {
	b, err := os.ReadFile(filepath.Join(server.Home, name))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "\n")
}

func log(s *stage.Stage) string {
	b, err := os.ReadFile(s.Log())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
