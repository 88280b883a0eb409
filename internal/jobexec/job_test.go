package jobexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// rig has a manager behind a real socket, which can be restarted. A command on an instance runs in a shell of this machine.
type rig struct {
	t       *testing.T
	path    string
	manager *controltest.Manager
	server  *control.Server
	limit   int // of connections, from the next start on; 0: none
	done    chan error

	stdin          string
	stdout, stderr safeBuffer
	dialErrs       []error       // of the first connections; nil: it succeeds
	started        chan struct{} // receives a value when a command starts
	lose           chan error    // ends the running command as if its connection was lost
}

func newRig(t *testing.T, slots int) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "s", "control.sock"), started: make(chan struct{}, 8), lose: make(chan error, 1)}
	r.manager = controltest.New(slots)
	r.start()
	t.Cleanup(func() {
		if r.server != nil {
			r.stop()
		}
	})
	return r
}

func (r *rig) start() {
	r.t.Helper()
	l, err := control.Listen(r.path, true)
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = control.NewServer(r.manager, r.limit, slog.New(slog.DiscardHandler))
	r.done = make(chan error, 1)
	go func(s *control.Server) { r.done <- errors.Join(s.Serve(l), ignoreClosed(l.Close())) }(r.server)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (r *rig) stop() {
	r.t.Helper()
	_ = r.server.Close()
	r.server = nil
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
}

// restart ends the manager and starts the next one, with the same leases.
func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.manager = r.manager.Successor()
	r.start()
}

func (r *rig) await(call string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hang)
	defer cancel()
	if err := r.manager.Await(ctx, call, 1); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) job(argv ...string) Job {
	return Job{Key: "k", Argv: argv, Stdin: strings.NewReader(r.stdin), Stdout: &r.stdout, Stderr: &r.stderr, Dial: r.dial}
}

func (r *rig) run(ctx context.Context, argv ...string) (int, error) {
	return Run(ctx, control.NewClient(r.path), r.job(argv...))
}

type outcome struct {
	code int
	err  error
}

func (r *rig) begin(ctx context.Context, argv ...string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		code, err := r.run(ctx, argv...)
		done <- outcome{code, err}
	}()
	return done
}

// beginHeld starts a command that runs until goOn is called, and then exits with code.
func (r *rig) beginHeld(code int) (done <-chan outcome, goOn func()) {
	r.t.Helper()
	held := filepath.Join(r.t.TempDir(), "held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		r.t.Fatal(err)
	}
	done = r.begin(r.t.Context(), "sh", "-c", fmt.Sprintf("while [ -e '%s' ]; do sleep 0.02; done; exit %d", held, code))
	<-r.started
	return done, func() { _ = os.Remove(held) }
}

// dial returns a client that runs commands in a shell of this machine.
func (r *rig) dial(ctx context.Context, info provider.ConnectInfo, _ connector.DialOptions) (connector.Client, error) {
	if info.ID == "" {
		r.t.Error("no connect info")
	}
	if err := r.nextDialErr(); err != nil {
		return nil, err
	}
	return &shell{r}, nil
}

// nextDialErr takes the next of dialErrs.
func (r *rig) nextDialErr() (err error) {
	if len(r.dialErrs) > 0 {
		err, r.dialErrs = r.dialErrs[0], r.dialErrs[1:]
	}
	return err
}

type shell struct{ r *rig }

// Run implements connector.Client.
func (s *shell) Run(ctx context.Context, opts connector.RunOptions) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", opts.Command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = opts.Stdin, opts.Stdout, opts.Stderr
	cmd.WaitDelay = hang
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Kill the whole group, because a child process may keep the streams open.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	s.r.started <- struct{}{}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-s.r.lose:
		_ = cmd.Cancel()
		<-ended
		return err
	case err := <-ended:
		if ctx.Err() != nil {
			return &connector.CancelError{Cause: context.Cause(ctx), Ended: true, Sent: true}
		}
		if errors.Is(err, errFull) {
			return &connector.CancelError{Cause: err, Ended: true, Sent: true}
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return connector.NewExitError(exit.ExitCode(), "")
		}
		return err
	}
}

func (*shell) DialRun(context.Context, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (*shell) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (*shell) Close() error { return nil }

// safeBuffer is a buffer for several goroutines. A write to a full one fails.
type safeBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	full bool
}

var errFull = errors.New("full")

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return 0, errors.Join(errFull, syscall.EPIPE)
	}
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestOutputAndExitCode(t *testing.T) {
	r := newRig(t, 1)
	r.stdin = "in"
	code, err := r.run(t.Context(), "sh", "-c",
		`cat; echo " $TASKSCALER_KEY $TASKSCALER_INSTANCE $TASKSCALER_SLOT $TASKSCALER_USE"; echo err >&2; exit 7`)
	if code != 7 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if got := r.stdout.String(); got != "in k i-1 0 1\n" {
		t.Errorf("stdout %q", got)
	}
	if got := r.stderr.String(); got != "err\n" {
		t.Errorf("stderr %q", got)
	}
	r.await("release k")
}

func TestRandomKeys(t *testing.T) {
	if a, b := NewKey(), NewKey(); a == b || !strings.HasPrefix(a, "exec-") || len(a) < 20 {
		t.Errorf("%q, %q", a, b)
	}
}

func TestWaitIsSaidOnce(t *testing.T) {
	r := newRig(t, 0)
	done := r.begin(t.Context(), "true")
	waitFor(t, "the job to say that it waits", func() bool { return r.stderr.String() != "" })
	r.manager.AddSlots(1)
	if o := <-done; o.code != 0 || o.err != nil {
		t.Errorf("%+v", o)
	}
	if got := r.stderr.String(); got != "taskscaler: waiting for an instance to boot\n" {
		t.Errorf("stderr %q", got)
	}
}

func TestNoManager(t *testing.T) {
	r := newRig(t, 1)
	r.stop()
	code, err := r.run(t.Context(), "true")
	var away *control.AwayError
	if code != ExitFailed || !errors.As(err, &away) {
		t.Errorf("%d, %v", code, err)
	}
}

func TestRefusedAtOnce(t *testing.T) {
	for code, want := range map[control.Code]int{
		control.CodeDraining: ExitFailed, control.CodeDuplicateKey: ExitFailed, control.CodeTimeout: ExitTimeout, control.CodeInternal: ExitFailed,
	} {
		r := newRig(t, 1)
		r.manager.Deny(control.Errorf(code, "no"))
		got, err := r.run(t.Context(), "true")
		if got != want || !errors.Is(err, &control.APIError{Code: code}) {
			t.Errorf("%s: %d, %v", code, got, err)
		}
	}
}

func TestTimeoutAndSignals(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		code  int
	}{
		"timeout": {ErrTimeout, ExitTimeout}, "SIGINT": {&SignalError{syscall.SIGINT}, 130}, "SIGTERM": {&SignalError{syscall.SIGTERM}, 143},
	} {
		t.Run(name+" while it waits", func(t *testing.T) {
			r := newRig(t, 0)
			ctx, end := context.WithCancelCause(t.Context())
			done := r.begin(ctx, "true")
			waitFor(t, "the job to say that it waits", func() bool { return r.stderr.String() != "" })
			end(c.cause)
			o := <-done
			if o.code != c.code || !errors.Is(o.err, c.cause) {
				t.Errorf("%+v", o)
			}
			if want := "no slot was leased, waiting for an instance to boot: "; !strings.HasPrefix(o.err.Error(), want) {
				t.Errorf("%v does not begin with %q", o.err, want)
			}
			r.await("gave up k")
			if calls := fmt.Sprint(r.manager.Calls()); strings.Contains(calls, "release") {
				t.Errorf("the manager was asked to release what it had not leased: %s", calls)
			}
		})
		t.Run(name+" while it runs", func(t *testing.T) {
			r := newRig(t, 1)
			ctx, end := context.WithCancelCause(t.Context())
			done := r.begin(ctx, "sleep", "60")
			<-r.started
			end(c.cause)
			if o := <-done; o.code != c.code || !errors.Is(o.err, c.cause) {
				t.Errorf("%+v", o)
			}
			r.await("release k")
		})
	}
}

func TestRevoked(t *testing.T) {
	r := newRig(t, 1)
	done := r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.manager.Revoke("k", "missing")
	o := <-done
	var lost *LostLeaseError
	if o.code != ExitLost || !errors.As(o.err, &lost) || lost.Cause != "missing" || lost.Instance != "i-1" ||
		!strings.Contains(o.err.Error(), "it is missing") {
		t.Errorf("%+v", o)
	}
}

// TestKilledByTheEndOfItsInstance: the instance of a revoked lease is deleted, and its command is killed. Whichever is seen first, the lease was lost and the
// job did not fail. A command that was killed otherwise has the exit code of the signal.
func TestKilledByTheEndOfItsInstance(t *testing.T) {
	r := newRig(t, 1)
	done := r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.lose <- connector.NewExitError(137, "KILL")
	r.manager.Revoke("k", "shutdown")
	if o := <-done; o.code != ExitLost || !strings.Contains(o.err.Error(), "shutdown") {
		t.Errorf("%+v", o)
	}
	r = newRig(t, 1)
	done = r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.lose <- connector.NewExitError(137, "KILL")
	if o := <-done; o.code != 137 || o.err != nil {
		t.Errorf("%+v", o)
	}
}

func TestConnectionLostIsExplained(t *testing.T) {
	r := newRig(t, 1)
	r.dialErrs = []error{nil, errors.New("connection refused")}
	done := r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.lose <- &connector.LostError{Started: true, Sent: true, Err: connector.ErrKeepalive}
	r.manager.Revoke("k", "missing")
	if o := <-done; o.code != ExitLost || !strings.Contains(o.err.Error(), "it is missing") {
		t.Errorf("%+v", o)
	}
}

func TestConnectionLostMakesTheInstanceUnusable(t *testing.T) {
	r := newRig(t, 1)
	r.dialErrs = []error{nil, errors.New("connection refused")}
	ctx, end := context.WithCancelCause(t.Context())
	done := r.begin(ctx, "sleep", "60")
	<-r.started
	r.lose <- &connector.LostError{Started: true, Sent: true, Err: connector.ErrKeepalive}
	end(ErrTimeout) // the job does not wait for a cause that never arrives
	if o := <-done; o.err == nil || o.code != ExitTimeout {
		t.Errorf("%+v", o)
	}
	r.await("release k unreachable")
	if got := r.manager.Reason("k"); got == "" {
		t.Error("the manager was told no reason")
	}
}

// TestCommandTooLong: what a caller wrote is no fault of the instance, which goes on serving others.
func TestCommandTooLong(t *testing.T) {
	r := newRig(t, 1)
	done := r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.lose <- &connector.CommandTooLongError{Bytes: 250_000, Limit: 131_071}
	if o := <-done; o.code != ExitFailed || o.err == nil || !strings.Contains(o.err.Error(), "250000 bytes") || !strings.Contains(o.err.Error(), "stdin or into a file") {
		t.Errorf("%+v", o)
	}
	r.await("release k")
}

func TestManagerRestartsWhileItRuns(t *testing.T) {
	r := newRig(t, 1)
	done, goOn := r.beginHeld(9)
	r.restart()
	r.await("reattach k")
	waitFor(t, "the job to say that the lease stands", func() bool { return strings.Contains(r.stderr.String(), "the lease is still valid") })
	goOn()
	if o := <-done; o.code != 9 || o.err != nil {
		t.Errorf("%+v", o)
	}
	r.await("release k")
}

// TestManagerThatIsSilent: a caller is told that the manager does not answer. An answer ends that.
func TestManagerThatIsSilent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path) // accepts connections and reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	var stderr safeBuffer
	done := make(chan int, 1)
	go func() {
		code, _ := Run(ctx, control.NewClient(path), Job{Key: "k", Argv: []string{"true"}, Stdout: io.Discard, Stderr: &stderr, quiet: time.Millisecond})
		done <- code
	}()
	waitFor(t, "the job to say that the manager is silent", func() bool {
		return strings.Contains(stderr.String(), "waiting for the manager to answer")
	})
	cancel(&SignalError{Signal: syscall.SIGINT})
	_ = l.Close() // the release finds no manager and does not wait for an answer
	if code := <-done; code != 130 {
		t.Errorf("exit code %d", code)
	}
}

func TestManagerForgetsTheLease(t *testing.T) {
	r := newRig(t, 1)
	done := r.begin(t.Context(), "sleep", "60")
	<-r.started
	r.stop()
	r.manager = controltest.New(1) // with an empty store
	r.start()
	if o := <-done; o.code != ExitLost || !strings.Contains(o.err.Error(), "no longer has this lease") {
		t.Errorf("%+v", o)
	}
}

func TestManagerRestartsWhileItWaits(t *testing.T) {
	r := newRig(t, 0)
	done := r.begin(t.Context(), "true")
	waitFor(t, "the job to wait for a boot", func() bool { return strings.Contains(r.stderr.String(), "boot") })
	r.restart()
	r.await("acquire k")
	r.manager.AddSlots(1)
	if o := <-done; o.code != 0 || o.err != nil {
		t.Errorf("%+v", o)
	}
	want := "taskscaler: the manager went away: waiting for the manager to come back\n"
	if got := r.stderr.String(); strings.Count(got, want) != 1 || strings.Contains(got, "Post") || strings.Contains(got, "EOF") {
		t.Errorf("stderr %q", got)
	}
}

// TestManagerGrantsAndIsKilled: a manager has stored the lease of a job that waits, and is killed before its caller hears of it. The job asks the next
// manager for this lease, once or after several managers that knew nothing of it.
func TestManagerGrantsAndIsKilled(t *testing.T) {
	for _, before := range []int{0, 2} {
		r := newRig(t, 0)
		done := r.begin(t.Context(), "sh", "-c", "exit 7")
		waitFor(t, "the job to wait for a boot", func() bool { return strings.Contains(r.stderr.String(), "boot") })
		for range before {
			r.restart()
			r.await("acquire k")
		}
		r.stop()
		r.manager = r.manager.Successor()
		r.manager.AddSlots(1)
		if _, err := r.manager.Acquire(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		r.start()
		if o := <-done; o.code != 7 || o.err != nil {
			t.Fatalf("after %d managers: exit code %d, %v", before, o.code, o.err)
		}
		r.await("release k")
	}
}

func TestSentences(t *testing.T) {
	for want, err := range map[string]error{
		"the manager went away: waiting": &control.AwayError{Where: "s", Err: syscall.ECONNRESET},
		"waiting: the manager at s does not answer: not for us; check the manager's log":                                &control.AwayError{Where: "s", Err: errors.New("not for us")},
		"the manager is draining and takes no new work: waiting for `taskscaler drain --undo`, or for the next manager": control.Errorf(control.CodeDraining, "it drains"),
	} {
		if got := sentence("waiting", err); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestManagerIsAwayAtTheEnd(t *testing.T) {
	r := newRig(t, 1)
	done, goOn := r.beginHeld(0)
	r.stop()
	r.manager = r.manager.Successor()
	goOn()
	waitFor(t, "the job to miss its manager", func() bool {
		return strings.Contains(r.stderr.String(), "the manager went away: the command continues")
	})
	r.start()
	if o := <-done; o.code != 0 || o.err != nil {
		t.Errorf("%+v", o)
	}
	r.await("release k")
}

func TestUnreachableInstances(t *testing.T) {
	refused := errors.New("connection refused")
	r := newRig(t, 1)
	r.dialErrs = []error{refused, refused, &connector.HostKeyError{Address: "a"}}
	if code, err := r.run(t.Context(), "sh", "-c", "exit 3"); code != 3 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	r.await("release k unreachable")
	r.await("release k changed_host_key")
	r.await("release k")

	r = newRig(t, 1)
	r.dialErrs = []error{refused, refused, refused, refused, refused, refused, refused}
	if code, err := r.run(t.Context(), "true"); code != ExitFailed || !errors.Is(err, refused) {
		t.Errorf("%d, %v", code, err)
	}
	if len(r.dialErrs) != 1 {
		t.Errorf("%d connections were tried, not two on each of %d instances", 7-len(r.dialErrs), maxInstances)
	}
}

func TestBrokenPipe(t *testing.T) {
	r := newRig(t, 1)
	r.stdout.full = true
	if code, err := r.run(t.Context(), "sh", "-c", "while echo y; do :; done"); code != 141 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	r.await("release k")
}

// hang limits every wait of these tests. Only a hang reaches it: a busy machine needs far less.
const hang = 2 * time.Minute

// waitFor polls until the condition holds. what describes the condition.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(hang)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", hang, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestTimeoutOnAHungManager: the time that the caller set is the time that it waits, and there is one message.
func TestTimeoutOnAHungManager(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hung.sock")
	l, err := net.Listen("unix", path) // connections stay in its queue, as those to a stopped process do
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stderr safeBuffer
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, ErrTimeout)
	defer cancel()
	began := time.Now()
	code, err := Run(ctx, control.NewClient(path), Job{Key: "k", Argv: []string{"true"}, Stderr: &stderr})
	if code != ExitTimeout || err == nil || !strings.HasPrefix(err.Error(), "no slot was leased, and the manager at "+path+" did not answer within ") ||
		!strings.HasSuffix(err.Error(), "check its log): the time of --timeout has passed") {
		t.Errorf("code %d, %v", code, err)
	}
	if stderr.String() != "" {
		t.Errorf("another message: %s", stderr.String())
	}
	if took := time.Since(began); took >= releasePatient {
		t.Errorf("it took %s", took)
	}
}
