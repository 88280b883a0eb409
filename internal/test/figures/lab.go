package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// patience bounds every wait.
const patience = 20 * time.Minute

// lab is what all cases share.
type lab struct {
	options
	dir    string
	plugin string
	server *sshServer
}

// manager is a running manager, and its client.
type manager struct {
	*control.Client
	lab    *lab
	dir    string
	socket string
	cmd    *exec.Cmd
	pid    int // of the manager
	plugin int // its process
	note   string
}

// template is the configuration. The lines of a case come at the places of the verbs.
const template = `concurrent = 100000
log_level = "warn"
[[runners]]
name = "figures"
executor = "instance"
[runners.autoscaler]
plugin = %q
instance_acquire_timeout = "1h"
update_interval_when_expecting = "500ms"
%s
[runners.autoscaler.scale_throttle]
limit = -1
[[runners.autoscaler.policy]]
preemptive_mode = false
%s
[runners.autoscaler.plugin_config]
address = %q
host_key = %q
calls = %q
%s
`

// measure runs one case with a manager of its own and returns its line of the table.
func (l *lab) measure(ctx context.Context, c testCase) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := l.start(ctx, c)
	if err != nil {
		return "", err
	}
	defer m.kill()
	if err := c.do(ctx, m); err != nil {
		return "", err
	}
	now, err := lookAt(m.pid)
	var plugin time.Duration
	if err == nil {
		plugin, err = m.pluginCPU()
	}
	if err != nil {
		return "", err
	}
	n, err := m.abort()
	if c.end != nil {
		c.end()
	}
	return fmt.Sprintf("%s\t%d\t%d\t%d MiB\t%d MiB\t%.1f s\t%.1f s\t%s", c.title, now.descriptors, n, now.rss, now.peak, now.cpu.Seconds(), plugin.Seconds(),
		m.note), err
}

// start starts a manager and waits until it has read its first list.
func (l *lab) start(ctx context.Context, c testCase) (*manager, error) {
	dir := filepath.Join(l.dir, c.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	m := &manager{lab: l, dir: dir, socket: filepath.Join(dir, "s")}
	m.Client = control.NewClient(m.socket)
	text := fmt.Sprintf(template, l.plugin, c.autoscaler, c.policy, l.server.Addr().String(), l.server.key, m.tally(), c.plugin)
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(m.log())
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own descriptor
	m.cmd = exec.Command(l.binary, "run", "--config", config, "--socket", m.socket)
	m.cmd.Dir, m.cmd.Stderr = dir, log
	m.cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "TMPDIR="+dir)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	m.pid = m.cmd.Process.Pid
	_, err = m.until(ctx, func(s *taskscaler.Status) bool { return s.Started })
	if err == nil {
		m.plugin, err = childOf(m.pid)
	}
	if err != nil {
		m.kill()
		said, _ := os.ReadFile(m.log())
		return nil, fmt.Errorf("the manager does not start: %w\n%s", err, said)
	}
	return m, nil
}

func (m *manager) log() string   { return filepath.Join(m.dir, "log") }
func (m *manager) tally() string { return filepath.Join(m.dir, "calls") }

// until asks for the status until it is as wanted.
func (m *manager) until(ctx context.Context, wanted func(*taskscaler.Status) bool) (*taskscaler.Status, error) {
	tick := time.NewTicker(time.Second) // rarely: a status of many waiters is work
	defer tick.Stop()
	var last error
	for {
		s, err := m.Status(ctx, "")
		if err == nil && len(s.Runners) == 1 && s.Runners[0].Fleet != nil && wanted(s.Runners[0].Fleet) {
			return s.Runners[0].Fleet, nil
		}
		last = err
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), last)
		}
	}
}

// calls returns how often the plugin was asked for the list and for a heartbeat.
func (m *manager) calls() (lists, beats int) {
	for range 1000 { // it may be written at this moment
		text, err := os.ReadFile(m.tally())
		if err != nil {
			return 0, 0
		}
		if _, err := fmt.Sscan(string(text), &lists, &beats); err == nil && bytes.HasSuffix(text, []byte("\n")) {
			return lists, beats
		}
	}
	return 0, 0
}

// pluginCPU returns the CPU time of the plugin's process. The manager starts another one if the first does not answer in time, on a busy machine.
func (m *manager) pluginCPU() (time.Duration, error) {
	if cpu, err := cpuOf(m.plugin); err == nil {
		return cpu, nil
	}
	var err error
	if m.plugin, err = childOf(m.pid); err != nil {
		return 0, err
	}
	m.note += "(the plugin was started again) "
	return cpuOf(m.plugin)
}

// rest waits so long.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// abort ends the manager and returns how many goroutines it had.
func (m *manager) abort() (int, error) {
	if err := m.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		return 0, err
	}
	_ = m.cmd.Wait() // a signal ended it
	said, err := os.ReadFile(m.log())
	if err != nil {
		return 0, err
	}
	at := max(bytes.Index(said, []byte("SIGABRT")), 0)
	return goroutines(said[at:]), nil
}

// kill ends the manager if it still runs.
func (m *manager) kill() {
	if m.cmd.ProcessState == nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
	}
}
