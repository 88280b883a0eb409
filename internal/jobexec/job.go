package jobexec

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Manager is the part of the control API that a job uses. *control.Client implements it.
type Manager interface {
	Lease(ctx context.Context, req control.LeaseRequest) (*control.Stream, error)
	Release(ctx context.Context, req control.ReleaseRequest) error
}

// DialFunc connects to an instance, as connector.Dial does.
type DialFunc func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error)

// Job is one command.
type Job struct {
	Runner string   // which runner of the manager; may be empty if there is only one
	Key    string   // the key of the lease; empty: a random key
	Argv   []string // the command and its arguments, which are passed unchanged; empty: the login shell of the remote user
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer // for the command, and for the messages of Run
	Dial   DialFunc  // nil: connector.Dial

	Uploads   []Copy // before the command, in this order
	Downloads []Copy // after the command, in this order, whatever its exit code is

	Tunnel *Tunnel // instead of a command; nil: none

	// Terminal gives the command a terminal. It is called before the command is started, and restore when it has ended. Nil: no terminal.
	Terminal func() (pty *connector.PTY, restore func(), err error)

	quiet time.Duration // 0: quietTime
}

const (
	maxInstances   = 3                // after so many unreachable instances the job fails
	releasePatient = 10 * time.Second // how long a release waits for a manager that is away
	leavePatient   = time.Second      // the same for a caller whose time is over, and which may have no lease at all
	signalPatient  = time.Second      // after a command that a signal ended: how long to wait for the manager to say that it revoked the lease
	revokePatient  = 5 * time.Second  // after a lost connection: how long to wait for the manager's reason
)

// NewKey returns a new random key.
func NewKey() string { return "exec-" + rand.Text() }

// run is one running Job.
type run struct {
	job     Job
	manager Manager
	holder  string // proves to the manager that a second stream is from the same caller
	waited  string // the last reason for waiting, in words
	notes   sync.Mutex
	said    string
	raw     atomic.Bool // a command has the terminal of the caller
}

// Run acquires a lease, runs the command and releases the lease. It returns the command's exit code. If there is none, the error is an *Error
// with an exit code of exec. When Run returns, the lease is released; or the manager was away, and will revoke it.
func Run(ctx context.Context, manager Manager, job Job) (int, error) {
	if job.Key == "" {
		job.Key = NewKey()
	}
	if job.Dial == nil {
		job.Dial = connector.Dial
	}
	if err := checkUploads(job.Uploads); err != nil {
		return failure(err)
	}
	if err := checkDownloads(ctx, job.Downloads); err != nil {
		return failure(err)
	}
	r := &run{job: job, manager: manager, holder: rand.Text()}
	for attempt := 1; ; attempt++ {
		code, err := r.once(ctx)
		var notRun *notRunError
		if err == nil || !errors.As(err, &notRun) || notRun.final || attempt == maxInstances || ctx.Err() != nil {
			return code, err
		}
		r.note("%s; asking for another instance: %v", notRun.what, notRun.err)
	}
}

// notRunError says that the command certainly did not run on the leased instance, so it can run on another one.
type notRunError struct {
	what  string // what did not work, naming the instance
	err   error
	final bool // another instance must not be asked for
}

func (e *notRunError) Error() string { return e.what + ": " + e.err.Error() }
func (e *notRunError) Unwrap() error { return e.err }

// once acquires one lease, runs the command and releases the lease.
func (r *run) once(ctx context.Context) (code int, err error) {
	// The stream lives longer than ctx: after an interrupt, the command is ended, then its lease is released, then the stream is closed.
	holding, letGo := context.WithCancelCause(context.WithoutCancel(ctx))
	defer letGo(nil)
	waiting := context.AfterFunc(ctx, func() { letGo(context.Cause(ctx)) })
	lease, stream, err := r.acquire(ctx, holding)
	waiting()
	if err != nil {
		return failure(err)
	}
	leased, end := context.WithCancelCause(ctx)
	defer end(nil)
	var following sync.WaitGroup
	following.Go(func() { r.follow(holding, stream, end) })
	code, found, err := r.command(leased, lease)
	patience := releasePatient
	if errors.Is(context.Cause(ctx), ErrTimeout) {
		patience = leavePatient
	}
	r.release(found, patience)
	letGo(nil)
	following.Wait()
	if err != nil {
		return failure(err)
	}
	return code, nil
}

// failure returns the exit code for err. A command that certainly did not run has ExitFailed, whatever ended its lease.
func failure(err error) (int, error) {
	var own *Error
	var notRun *notRunError
	if !errors.As(err, &notRun) && errors.As(err, &own) {
		return own.Code, err
	}
	return ExitFailed, &Error{Code: ExitFailed, Err: err}
}

// command connects to the instance and runs the command. found says what is wrong with the instance, if anything.
func (r *run) command(ctx context.Context, lease control.Lease) (code int, found verdict, err error) {
	if lease.Connect == nil {
		return 0, verdict{}, errors.New("the manager sent no connect info for the instance: use the same version of taskscaler for both")
	}
	client, err := r.reach(ctx, lease)
	if err != nil {
		if ctx.Err() != nil {
			return 0, verdict{}, r.unstarted(ctx, lease, "connecting to instance "+lease.Instance)
		}
		var way *connector.JumpError // another instance cannot be reached either
		return 0, r.unreached(ctx, lease, err), &notRunError{what: fmt.Sprintf("instance %s cannot be reached", lease.Instance), err: err, final: errors.As(err, &way)}
	}
	defer func() { _ = client.Close() }()
	if r.job.Tunnel != nil {
		return r.serve(ctx, lease, client)
	}
	env := map[string]string{
		"TASKSCALER_KEY": lease.Key, "TASKSCALER_INSTANCE": lease.Instance,
		"TASKSCALER_SLOT": strconv.Itoa(lease.Slot), "TASKSCALER_USE": strconv.Itoa(lease.Use),
	}
	if found, err := r.upload(ctx, lease, client); err != nil {
		return 0, found, err
	}
	pty, restore, err := r.terminal()
	if err != nil {
		return 0, verdict{}, err
	}
	err = client.Run(ctx, connector.RunOptions{
		Command: commandLine(lease, env, r.argv()), Env: env, Stdin: r.job.Stdin, Stdout: r.job.Stdout, Stderr: r.job.Stderr, PTY: pty,
	})
	restore()
	code, found, err = r.result(ctx, lease, err)
	if err != nil || len(r.job.Downloads) == 0 {
		return code, found, err
	}
	return r.download(ctx, lease, client, code)
}

// loginShell starts the shell of the remote user as a login does. It is a shell script, because any login shell must be able to read it.
var loginShell = []string{"sh", "-c", `exec "${SHELL:-/bin/sh}" -l`}

func (r *run) argv() []string {
	if len(r.job.Argv) == 0 {
		return loginShell
	}
	return r.job.Argv
}

// terminal prepares the terminal, if the job has one. restore may always be called.
func (r *run) terminal() (pty *connector.PTY, restore func(), err error) {
	if r.job.Terminal == nil {
		return nil, func() {}, nil
	}
	pty, back, err := r.job.Terminal()
	if err != nil {
		return nil, nil, fmt.Errorf("the command was not started, because the terminal cannot be prepared: %w", err)
	}
	r.raw.Store(true)
	return pty, func() { r.raw.Store(false); back() }, nil
}

func (r *run) dial(ctx context.Context, lease control.Lease, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
	opts.UseExternalAddr, opts.WinRM = lease.UseExternalAddr, winrmOptions(lease)
	opts.LegacyAlgorithms, opts.GroupExchange = lease.AllowLegacySSH, lease.AllowDHGroupExchange
	if j := lease.Jump; j != nil {
		opts.Jump = &connector.JumpHost{Address: j.Address, Username: j.Username, Key: j.Key, HostKeys: j.HostKeys}
	}
	return r.job.Dial(ctx, info, opts)
}

// unstarted returns the error for a command that was not sent before ctx ended. If the manager revoked the lease, another instance can run it.
func (r *run) unstarted(ctx context.Context, lease control.Lease, doing string) error {
	var lost *LostLeaseError
	if errors.As(context.Cause(ctx), &lost) {
		return &notRunError{what: "the command was not started on instance " + lease.Instance, err: lost, final: lost.released}
	}
	return ended(ctx, doing, ExitFailed)
}

// result returns the exit code of a Run. From here on ExitFailed is only for a command that was certainly not started.
func (r *run) result(ctx context.Context, lease control.Lease, err error) (int, verdict, error) {
	var exit *connector.ExitError
	var cancelled *connector.CancelError
	var lost *connector.LostError
	var refused *connector.RefusedError
	switch {
	case err == nil:
		return 0, verdict{}, nil
	case errors.As(err, &exit):
		if exit.Unseen() && ctx.Err() == nil {
			if found := r.doubt(ctx, lease, err); found.unhealthy == control.UnhealthyUnreachable { // the instance runs no commands
				return 0, found, &notRunError{what: fmt.Sprintf("instance %s runs no commands", lease.Instance), err: err}
			}
		}
		if exit.Signal() != "" && r.revokedMeanwhile(ctx) {
			return 0, verdict{}, ended(ctx, exit.Error(), ExitLost)
		}
		return exit.ExitCode(), verdict{}, nil
	case errors.As(err, &refused):
		return 0, r.doubt(ctx, lease, err), &notRunError{what: "the command was not started on instance " + lease.Instance, err: err}
	case errors.As(err, &cancelled) && !cancelled.Sent:
		return 0, verdict{}, r.unstarted(ctx, lease, "the command was not started")
	case errors.As(err, &cancelled):
		found := verdict{}
		if !cancelled.Ended {
			found = r.doubt(ctx, lease, err)
		}
		switch {
		case ctx.Err() != nil:
			return 0, found, ended(ctx, "the command was ended", ExitLost)
		case errors.Is(err, syscall.EPIPE):
			return exitBySignal + int(syscall.SIGPIPE), found, nil
		}
		return 0, found, &Error{Code: ExitLost, Err: fmt.Errorf("the command was ended, because its input or output failed: %w", cancelled.Cause)}
	case errors.As(err, &lost) && !lost.Sent:
		return 0, r.doubt(ctx, lease, err), &notRunError{what: "the command was not started on instance " + lease.Instance, err: err}
	case errors.As(err, &lost):
		found := r.doubt(ctx, lease, err)
		return 0, found, r.explain(ctx, lease, err, found)
	}
	return 0, verdict{}, fmt.Errorf("instance %s: %w", lease.Instance, err)
}

// revokedMeanwhile reports whether the lease of a command that a signal ended was revoked. The manager says so before it deletes the instance, but the end
// of the command may be seen first.
func (r *run) revokedMeanwhile(ctx context.Context) bool {
	timer := time.NewTimer(signalPatient)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	var lost *LostLeaseError
	return errors.As(context.Cause(ctx), &lost)
}

// explain returns why the connection was lost while the command ran. If the instance cannot be reached any more, it waits a short time for the
// manager's reason.
func (r *run) explain(ctx context.Context, lease control.Lease, err error, found verdict) error {
	lost := &Error{Code: ExitLost, Err: fmt.Errorf("instance %s: %w", lease.Instance, err)}
	if found.unhealthy == "" && ctx.Err() == nil {
		return lost
	}
	timer := time.NewTimer(revokePatient)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx, err.Error(), ExitLost)
	case <-timer.C:
		return lost
	}
}

// note prints one line, whatever the manager and the instance said. It does not print the same line twice in a row.
func (r *run) note(format string, args ...any) {
	line := safetext.Line(fmt.Sprintf(format, args...), safetext.MaxReport)
	r.notes.Lock()
	defer r.notes.Unlock()
	if line == r.said || r.job.Stderr == nil {
		return
	}
	r.said = line
	end := "\n"
	if r.raw.Load() { // the terminal does not return to the first column by itself
		end = "\r\n"
	}
	_, _ = io.WriteString(r.job.Stderr, "taskscaler: "+line+end)
}
