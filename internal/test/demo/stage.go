package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stage is the folder of a demonstration, and the manager in it.
type stage struct {
	dir, bin, config, socket, records string

	manager *exec.Cmd
	log     *os.File
	gone    chan struct{} // closed when the manager has ended
	end     error         // how it ended, then
}

// prepare builds the binaries and copies the quickstart configuration, with a place for records, into dir.
func prepare(ctx context.Context, dir string) (*stage, error) {
	s := &stage{
		dir: dir, bin: filepath.Join(dir, "bin"), config: filepath.Join(dir, "config.toml"), socket: filepath.Join(dir, "control.sock"),
		records: filepath.Join(dir, "records"), gone: make(chan struct{}),
	}
	root, err := output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/taskscaler/taskscaler")
	if err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.bin+"/", "./cmd/taskscaler", "./plugins/fake/cmd/fleeting-plugin-fake")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building: %w\n%s", err, out)
	}
	quickstart, err := os.ReadFile(filepath.Join(root, "examples", "quickstart", "config.toml"))
	if err != nil {
		return nil, err
	}
	derived, err := withRecords(string(quickstart), s.records)
	if err != nil {
		return nil, err
	}
	return s, os.WriteFile(s.config, []byte(derived), 0o600)
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// withRecords adds a record_dir to the plugin_config of a configuration.
func withRecords(config, dir string) (string, error) {
	const header = "[runners.autoscaler.plugin_config]\n"
	before, after, found := strings.Cut(config, header)
	if !found {
		return "", fmt.Errorf("the quickstart configuration has no %s", strings.TrimSpace(header))
	}
	return before + header + fmt.Sprintf("record_dir = %q\n", dir) + after, nil
}

func (s *stage) startManager() (err error) {
	if s.log, err = os.Create(filepath.Join(s.dir, "manager.log")); err != nil {
		return err
	}
	s.manager = exec.Command(filepath.Join(s.bin, "taskscaler"), "run", "--config", s.config, "--socket", s.socket)
	s.manager.Stderr = s.log
	s.manager.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours to handle
	if err := s.manager.Start(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	manager := s.manager
	go func() {
		s.end = manager.Wait()
		close(s.gone)
	}()
	return nil
}

// stopManager ends the manager as an operator does, and waits for it.
func (s *stage) stopManager(ctx context.Context) error {
	if err := s.manager.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the manager: %w", err)
	}
	select {
	case <-s.gone:
		s.manager = nil
		if s.end != nil {
			return fmt.Errorf("the manager's end: %w", s.end)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the manager's end: %w", context.Cause(ctx))
	}
}

// killManager is for demonstrations that failed: the manager still gets a moment to delete its instances.
func (s *stage) killManager() {
	defer func() { _ = s.log.Close() }()
	if s.manager == nil {
		return
	}
	_ = s.manager.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
	case <-time.After(10 * time.Second):
		_ = s.manager.Process.Kill()
		<-s.gone
	}
}

// managerLog is the end of the manager's log.
func (s *stage) managerLog() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// job is one `taskscaler exec` and what came of it.
type job struct {
	key, nonce string
	output     string
	err        error
}

// jobs are the running execs.
type jobs struct {
	mu       sync.Mutex
	finished []job
	all      sync.WaitGroup
	cancel   context.CancelFunc
}

// startJobs starts them all at once. Each prints its nonce from the instance, after a while that differs from job to job.
func (s *stage) startJobs(ctx context.Context) (*jobs, error) {
	ctx, cancel := context.WithCancel(ctx)
	js := &jobs{cancel: cancel}
	for i := range jobCount {
		j := job{key: fmt.Sprintf("job-%02d", i+1), nonce: rand.Text()}
		script := fmt.Sprintf(`sleep %.1f; echo "$0"`, 1+float64(i%5)/5)
		cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "taskscaler"), "exec", "--socket", s.socket, "--key", j.key, "--", "sh", "-c", script, j.nonce)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 5 * time.Second
		var out, notes bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &notes
		if err := cmd.Start(); err != nil {
			js.stop()
			return nil, fmt.Errorf("starting a job: %w", err)
		}
		js.all.Go(func() {
			if j.err = cmd.Wait(); j.err != nil {
				j.err = fmt.Errorf("%s: %w: %s", j.key, j.err, notes.String())
			}
			j.output = out.String()
			js.mu.Lock()
			defer js.mu.Unlock()
			js.finished = append(js.finished, j)
		})
	}
	return js, nil
}

func (js *jobs) done() int { return len(js.results()) }

// results are the jobs that have ended so far.
func (js *jobs) results() []job {
	js.mu.Lock()
	defer js.mu.Unlock()
	return append([]job(nil), js.finished...)
}

// stop ends what still runs, and waits for it.
func (js *jobs) stop() {
	js.cancel()
	js.all.Wait()
}
