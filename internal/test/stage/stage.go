// Package stage builds the real binaries and runs them: the manager, and jobs through `taskscaler exec`.
package stage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Stage is a folder for the binaries, a configuration and a control socket.
type Stage struct {
	Dir    string
	Config string   // config.toml in Dir; the caller writes it before Run
	Socket string   // the manager's control socket in Dir
	Root   string   // the root of the source tree
	Env    []string // the environment of every command; nil: the caller's environment
}

// New builds the binaries into dir, with those of further packages, named as ./plugins/NAME/cmd/fleeting-plugin-NAME.
func New(ctx context.Context, dir string, packages ...string) (*Stage, error) {
	s := &Stage{Dir: dir, Config: filepath.Join(dir, "config.toml"), Socket: filepath.Join(dir, "control.sock")}
	var err error
	s.Root, err = Build(ctx, filepath.Join(dir, "bin"), packages...)
	return s, err
}

// Build builds taskscaler and the plugins without an SDK into the folder bin, with the binaries of further packages. It returns the root of the source tree.
func Build(ctx context.Context, bin string, packages ...string) (root string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/taskscaler/taskscaler").Output()
	if err != nil {
		return "", fmt.Errorf("finding the source tree: %w", err)
	}
	root = strings.TrimSpace(string(out))
	args := []string{"build", "-o", bin + "/", "./cmd/taskscaler", "./plugins/fake/cmd/fleeting-plugin-fake", "./plugins/static/cmd/fleeting-plugin-static"}
	build := exec.CommandContext(ctx, "go", append(args, packages...)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the binaries: %w\n%s", err, out)
	}
	return root, nil
}

// Command returns a command of taskscaler that runs in Dir. It has a process group of its own, so that Ctrl-C reaches only the caller.
func (s *Stage) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.Dir, "bin", "taskscaler"), args...)
	cmd.Dir, cmd.Env = s.Dir, s.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Log returns the path of the file that managers append their logs to.
func (s *Stage) Log() string { return filepath.Join(s.Dir, "manager.log") }

// Run starts a manager. When it ends, ended is called, if it is not nil, before [Process.Ended] is closed.
func (s *Stage) Run(ended func(*Process)) (*Process, error) {
	log, err := os.OpenFile(s.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own descriptor
	cmd := s.Command("run", "--config", s.Config, "--socket", s.Socket)
	cmd.Stderr = log
	return start(&Process{cmd: cmd}, ended)
}

// Exec starts a job: script is run with sh on an instance, with nonce as its $0.
func (s *Stage) Exec(key, script, nonce string) (*Process, error) {
	p := &Process{cmd: s.Command("exec", "--socket", s.Socket, "--key", key, "--", "sh", "-c", script, nonce)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	return start(p, nil)
}

// Process is a manager or a job that was started.
type Process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
	err            error
}

func start(p *Process, ended func(*Process)) (*Process, error) {
	p.ended = make(chan struct{})
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		if ended != nil {
			ended(p)
		}
		close(p.ended)
	}()
	return p, nil
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends sig to this process only. It does nothing if the process has ended.
func (p *Process) Signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Stop asks the process to end, kills it if it takes longer than patience, and waits for its end.
func (p *Process) Stop(patience time.Duration) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Signal(syscall.SIGKILL)
		<-p.ended
	}
}

// Err returns how the process ended; nil is exit code 0. It may be called when the process has ended.
func (p *Process) Err() error { return p.err }

// Code returns the exit code, or nil if a signal ended the process. It may be called when the process has ended.
func (p *Process) Code() *int {
	if code := p.cmd.ProcessState.ExitCode(); code >= 0 {
		return &code
	}
	return nil
}

// Stdout returns the standard output of a job. It may be called when the process has ended.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns the standard error of a job. It may be called when the process has ended.
func (p *Process) Stderr() string { return p.stderr.String() }
