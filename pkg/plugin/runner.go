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
	drainPipes = 500 * time.Millisecond // how long output is read after the exit; a grandchild may hold the pipes open for ever
	holdEOF    = time.Second            // how long the end of standard output is held back, until the exit code has arrived
	firstWords = 1 << 10                // bytes of standard output kept for an error message
)

// runner runs the plugin's process. It replaces go-plugin's runner, which shares the host's standard input, and whose parser of standard
// error panics on some input.
type runner struct {
	cmd      *exec.Cmd
	pump     *logPump
	stdout   *os.File // our ends of the pipes
	stderr   *os.File
	lifeline *os.File
	childs   []*os.File // the ends of the child, closed after the start
	exited   chan struct{}
	pumped   chan struct{} // closed when standard error is read to its end
	heard    chan struct{} // closed when standard output is read to its end
	hearOnce sync.Once
	waitErr  error        // set before exited is closed
	pid      atomic.Int64 // 0 before the start

	mu    sync.Mutex
	words []byte
}

var _ goprunner.Runner = (*runner)(nil)

// newRunner prepares the process. It executes binary, which is the plugin's executable or a copy of it. The process bears the path of the
// plugin in either case. spec holds the environment variables of go-plugin.
func newRunner(o *LaunchOptions, binary string, spec *exec.Cmd, dir string, log *slog.Logger, redact *redactor) (*runner, error) {
	r := &runner{
		pump: &logPump{log: log, redact: redact, printed: o.Printed}, exited: make(chan struct{}), pumped: make(chan struct{}), heard: make(chan struct{}),
	}
	r.cmd = exec.Command(binary, o.Args...)
	r.cmd.Args[0] = o.Path
	r.cmd.Dir = o.Dir
	r.cmd.Env = slices.Concat(childEnv(os.Environ(), o.Env), spec.Env, []string{
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
			return nil, fmt.Errorf("create a pipe for the plugin: %w", err)
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
		return nil, fmt.Errorf("create a pipe for the plugin: %w", err)
	}
	give(write)
	r.childs = append(r.childs, write)
	return read, nil
}

// Start starts the process and begins to read its output.
func (r *runner) Start(context.Context) error {
	started := make(chan error, 1)
	go func() {
		// The thread that starts the process must exist as long as the process: see wakeAtHostsEnd.
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

// wait reaps the process and closes the pipes soon after, even if a process that the plugin left behind still holds them.
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

// Kill kills the process and its process group.
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

// Stdout returns the standard output. go-plugin reads the handshake from it.
func (r *runner) Stdout() io.ReadCloser { return (*stdoutReader)(r) }

// Stderr returns an empty reader: logPump reads the standard error.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name returns the path of the executable.
func (r *runner) Name() string { return r.cmd.Path }

// ID returns the process id, or "" before the start.
func (r *runner) ID() string {
	if pid := r.pid.Load(); pid != 0 {
		return strconv.FormatInt(pid, 10)
	}
	return ""
}

// Diagnose returns nothing: see classify.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost returns its arguments: plugin and host use the same file system.
func (r *runner) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin returns its arguments: plugin and host use the same file system.
func (r *runner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// said returns the beginning of the standard output.
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

// stdoutReader is the standard output for go-plugin. It keeps the beginning, and delays the end until the process has ended: otherwise
// go-plugin kills a program that is not a plugin, and its own exit code is lost.
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
