package plugin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	goprunner "github.com/hashicorp/go-plugin/runner"
)

const (
	drainPipes = 500 * time.Millisecond // for reading the rest after an exit; a grandchild may hold the pipes open for ever
	holdEOF    = time.Second            // how long a closed standard output is kept quiet, for the exit code to arrive
	firstWords = 1 << 10                // bytes of standard output kept for an error message
)

// runner is the plugin's process. It replaces go-plugin's own, which shares the host's standard input and parses standard error
// in a way that a plugin can make panic.
type runner struct {
	cmd      *exec.Cmd
	pump     *logPump
	stdout   *os.File // our ends of the pipes
	stderr   *os.File
	lifeline *os.File
	childs   []*os.File // the child's ends, closed after the start
	exited   chan struct{}
	pumped   chan struct{} // standard error is read to its end
	heard    chan struct{} // and so is standard output
	hearOnce sync.Once
	waitErr  error        // set before exited is closed
	pid      atomic.Int64 // 0 before the start

	mu    sync.Mutex
	words []byte
}

var _ goprunner.Runner = (*runner)(nil)

// newRunner prepares the process; spec carries the variables that go-plugin wants in its environment.
func newRunner(o *LaunchOptions, spec *exec.Cmd, dir string, log *slog.Logger, redact *redactor) (*runner, error) {
	r := &runner{
		pump: &logPump{log: log, redact: redact}, exited: make(chan struct{}), pumped: make(chan struct{}), heard: make(chan struct{}),
	}
	r.cmd = exec.Command(o.Path, o.Args...)
	r.cmd.Dir = o.Dir
	r.cmd.Env = childEnv(os.Environ(), o.Env, spec.Env, []string{
		goplugin.EnvUnixSocketDir + "=" + dir, envHostPID + "=" + strconv.Itoa(os.Getpid()), envLogLevel + "=" + pluginLevel(log),
	})
	isolate(r.cmd)
	var err error
	if r.stdout, err = r.pipe(func(w *os.File) { r.cmd.Stdout = w }); err != nil {
		return nil, err
	}
	if r.stderr, err = r.pipe(func(w *os.File) { r.cmd.Stderr = w }); err != nil {
		return nil, err
	}
	if canLifeline {
		read, write, err := os.Pipe()
		if err != nil {
			r.closePipes()
			return nil, fmt.Errorf("making a pipe for the plugin: %w", err)
		}
		r.childs, r.lifeline = append(r.childs, read), write
		r.cmd.ExtraFiles = []*os.File{read}
		r.cmd.Env = append(r.cmd.Env, envLifeline+"=3")
	}
	return r, nil
}

func (r *runner) pipe(give func(w *os.File)) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		r.closePipes()
		return nil, fmt.Errorf("making a pipe for the plugin: %w", err)
	}
	give(write)
	r.childs = append(r.childs, write)
	return read, nil
}

// childEnv is the host's environment (cloud SDKs need it) without anything that is private to another plugin.
func childEnv(host []string, more ...[]string) []string {
	private := privateEnv()
	env := slices.DeleteFunc(slices.Clone(host), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return slices.Contains(private, key)
	})
	for _, m := range more {
		env = append(env, m...)
	}
	return env
}

// Start runs the process and begins to read what it says.
func (r *runner) Start(context.Context) error {
	started := make(chan error, 1)
	go func() {
		// The thread that started the process lives as long as the process: see wakeAtHostsEnd.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.launch()
		started <- err
		if err == nil {
			r.wait()
		}
	}()
	return <-started
}

func (r *runner) launch() error {
	err := r.cmd.Start()
	for _, f := range r.childs {
		_ = f.Close()
	}
	if err != nil {
		r.waitErr = err
		r.closePipes()
		close(r.exited)
		close(r.pumped)
		return err
	}
	r.pid.Store(int64(r.cmd.Process.Pid))
	go func() {
		defer close(r.pumped)
		r.pump.read(r.stderr)
	}()
	return nil
}

// wait reaps the process. The pipes are closed in any case soon after: whatever the plugin left running may still hold them.
func (r *runner) wait() {
	r.waitErr = r.cmd.Wait()
	_ = killGroup(r.cmd.Process.Pid)
	close(r.exited)
	limit := time.After(drainPipes)
	for _, end := range []chan struct{}{r.pumped, r.heard} {
		select {
		case <-end:
		case <-limit:
			limit = time.After(0)
		}
	}
	r.closePipes()
}

func (r *runner) closePipes() {
	for _, f := range []*os.File{r.stdout, r.stderr, r.lifeline} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Wait waits for the exit.
func (r *runner) Wait(context.Context) error {
	<-r.exited
	return r.waitErr
}

// Kill ends the process and all of its group.
func (r *runner) Kill(context.Context) error {
	select {
	case <-r.exited:
		return nil
	default:
	}
	if pid := int(r.pid.Load()); pid != 0 {
		return killGroup(pid)
	}
	return nil
}

// Stdout is what the handshake is read from.
func (r *runner) Stdout() io.ReadCloser { return (*stdoutReader)(r) }

// Stderr has nothing for go-plugin: the pump reads it.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the executable.
func (r *runner) Name() string { return r.cmd.Path }

// ID is the process id.
func (r *runner) ID() string {
	if pid := r.pid.Load(); pid != 0 {
		return strconv.FormatInt(pid, 10)
	}
	return ""
}

// Diagnose adds nothing: see classify.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost changes nothing: both see the same files.
func (r *runner) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin changes nothing: both see the same files.
func (r *runner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// said returns the beginning of what was printed to standard output.
func (r *runner) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.words)
}

func (r *runner) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// stdoutReader is the standard output as go-plugin reads it: its beginning is kept, and its end comes after the exit, so that
// the exit code of a program that is no plugin is its own and not that of being killed.
type stdoutReader runner

func (s *stdoutReader) Read(b []byte) (int, error) {
	n, err := s.stdout.Read(b)
	s.mu.Lock()
	s.words = append(s.words, b[:min(n, firstWords-len(s.words))]...)
	s.mu.Unlock()
	if err != nil {
		s.hearOnce.Do(func() { close(s.heard) })
		select {
		case <-s.exited:
		case <-time.After(holdEOF):
		}
		return n, io.EOF
	}
	return n, nil
}

func (s *stdoutReader) Close() error { return s.stdout.Close() }
