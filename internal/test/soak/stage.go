package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// What is in a soak's folder.
const (
	recordFolder  = "records"
	logFile       = "soak.jsonl"
	stateFolder   = ".taskscaler"
	machineFolder = ".taskscaler-fake"
)

// patience bounds every wait. Only a hang reaches it: it is far beyond what a busy machine needs.
const patience = 3 * time.Minute

// stage is a soak's folder, the manager in it, and the driver's log.
type stage struct {
	dir, bin, socket string
	log              *logbook
	away             atomic.Bool // no manager serves

	mu      sync.Mutex
	manager *manager          // the last one that was started
	shown   map[string]string // the state in which a status showed an instance last
}

// manager is one process of `taskscaler run`.
type manager struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended, and the log says so
}

// logbook is the driver's log. Its times never go back, unless the clock does.
type logbook struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first that writing met
}

// put writes an entry with the time.
func (l *logbook) put(e check.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now()
	raw, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(raw, '\n'))
	}
	l.err = errors.Join(l.err, err)
}

func (l *logbook) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.err, l.file.Close())
}

// newStage builds the binaries and writes the configuration.
func newStage(ctx context.Context, dir string, seed uint64) (*stage, error) {
	s := &stage{dir: dir, bin: filepath.Join(dir, "bin"), socket: filepath.Join(dir, "control.sock"), shown: map[string]string{}}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/taskscaler/taskscaler").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the module: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.bin+"/", "./cmd/taskscaler", "./plugins/fake/cmd/fleeting-plugin-fake")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building: %w\n%s", err, out)
	}
	text, limits := newConfig(seed)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, recordFolder), 0o700); err != nil {
		return nil, err
	}
	if err := keepGroup(filepath.Join(dir, machineFolder, "fake")); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, logFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s.log = &logbook{file: file}
	s.log.put(check.Entry{Event: check.Begin, Limits: &limits})
	return s, nil
}

// keepGroup makes the group's folder with a file in it that is not the group's, so that the folder stays when the group is empty. With it stay
// the counters that the model's luck depends on: a group that begins anew has the same luck again, and can be unlucky for ever.
func keepGroup(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "keep"), nil, 0o600)
}

// command is one of ours, in a process group of its own: a Ctrl-C is the driver's to handle.
func (s *stage) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, "taskscaler"), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.dir, "TMPDIR="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// startManager starts a manager, which appends to the managers' log.
func (s *stage) startManager() (*manager, error) {
	out, err := os.OpenFile(filepath.Join(s.dir, "manager.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	m := &manager{cmd: s.command("run", "--config", filepath.Join(s.dir, "config.toml"), "--socket", s.socket), gone: make(chan struct{})}
	m.cmd.Stderr = out
	s.log.put(check.Entry{Event: check.ManagerStarted})
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.manager = m
	s.mu.Unlock()
	go func() {
		_ = m.cmd.Wait() // ProcessState says it all
		s.log.put(check.Entry{Event: check.ManagerEnded, PID: m.cmd.Process.Pid, Code: exitCode(m.cmd.ProcessState)})
		close(m.gone)
	}()
	return m, nil
}

// exitCode is nil when a signal ended the process.
func exitCode(state *os.ProcessState) *int {
	if code := state.ExitCode(); code >= 0 {
		return &code
	}
	return nil
}

func (m *manager) running() bool {
	select {
	case <-m.gone:
		return false
	default:
		return true
	}
}

// current is the last manager that was started; nil: none was.
func (s *stage) current() *manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manager
}

// ask runs `taskscaler status --json`, and writes what it says into the log.
func (s *stage) ask(ctx context.Context) (*taskscaler.Status, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := s.command("status", "--json", "--socket", s.socket)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("status: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var all control.Status
	if err := json.Unmarshal(stdout.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	seen, err := check.ParseStatus(stdout.Bytes(), asked)
	if err != nil {
		return nil, err
	}
	s.note(seen)
	return all.Runners[0].Fleet, nil
}

// note logs a status without the instances that are gone and were already shown so.
func (s *stage) note(seen *check.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var news []check.StatusInstance
	for _, i := range seen.Instances {
		if (i.State == "gone" || i.State == "lost") && s.shown[i.ID] == i.State && len(i.Leases) == 0 {
			continue
		}
		s.shown[i.ID] = i.State
		news = append(news, i)
	}
	seen.Instances = news
	s.log.put(check.Entry{Event: check.StatusAnswered, Status: seen})
}

// serving waits until the manager has the provider's first list.
func (s *stage) serving(ctx context.Context, m *manager) error {
	deadline := time.Now().Add(patience)
	for {
		f, err := s.ask(ctx)
		if err == nil && f.Started {
			s.log.put(check.Entry{Event: check.ManagerServes, PID: m.cmd.Process.Pid})
			s.away.Store(false)
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the manager does not serve: %w", errors.Join(err, errors.New("its log is manager.log")))
		}
		select {
		case <-m.gone:
			return errors.New("the manager ended at its start: its log is manager.log")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(30 * time.Millisecond):
		}
	}
}
