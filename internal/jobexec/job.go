package jobexec

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
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
	Argv   []string // the command and its arguments, which are passed unchanged
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer // for the command, and for the messages of Run
	Dial   DialFunc  // nil: connector.Dial
}

const (
	maxInstances   = 3                // after so many unreachable instances the job fails
	releasePatient = 10 * time.Second // how long a release waits for a manager that is away
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
	r := &run{job: job, manager: manager, holder: rand.Text()}
	for attempt := 1; ; attempt++ {
		code, err := r.once(ctx)
		var unreachable *unreachableError
		if err == nil || !errors.As(err, &unreachable) || attempt == maxInstances || ctx.Err() != nil {
			return code, err
		}
		r.note("instance %s cannot be reached; asking for another instance: %v", unreachable.instance, unreachable.err)
	}
}

// unreachableError says that the leased instance could not be reached, so the command did not run.
type unreachableError struct {
	instance string
	err      error
}

func (e *unreachableError) Error() string { return fmt.Sprintf("instance %s: %v", e.instance, e.err) }
func (e *unreachableError) Unwrap() error { return e.err }

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
	code, unhealthy, err := r.command(leased, lease)
	reason := ""
	if unhealthy != "" && err != nil {
		reason = err.Error()
	}
	r.release(unhealthy, reason)
	letGo(nil)
	following.Wait()
	if err != nil {
		return failure(err)
	}
	return code, nil
}

func failure(err error) (int, error) {
	var own *Error
	if errors.As(err, &own) {
		return own.Code, err
	}
	return ExitFailed, &Error{Code: ExitFailed, Err: err}
}

// command connects to the instance and runs the command. found says what is wrong with the instance, if anything.
func (r *run) command(ctx context.Context, lease control.Lease) (code int, found control.Unhealthy, err error) {
	if lease.Connect == nil {
		return 0, "", errors.New("the manager sent no connect info for the instance: use the same version of taskscaler for both")
	}
	client, err := r.job.Dial(ctx, *lease.Connect, connector.DialOptions{UseExternalAddr: lease.UseExternalAddr})
	if err != nil {
		if ctx.Err() != nil {
			return 0, "", ended(ctx, "connecting to instance "+lease.Instance)
		}
		var changed *connector.HostKeyError
		if errors.As(err, &changed) {
			return 0, control.UnhealthyChangedHostKey, &unreachableError{lease.Instance, err}
		}
		return 0, control.UnhealthyUnreachable, &unreachableError{lease.Instance, err}
	}
	defer func() { _ = client.Close() }()
	env := map[string]string{
		"TASKSCALER_KEY": lease.Key, "TASKSCALER_INSTANCE": lease.Instance,
		"TASKSCALER_SLOT": strconv.Itoa(lease.Slot), "TASKSCALER_USE": strconv.Itoa(lease.Use),
	}
	err = client.Run(ctx, connector.RunOptions{
		Command: withEnv(env, Quote(r.job.Argv)), Env: env, Stdin: r.job.Stdin, Stdout: r.job.Stdout, Stderr: r.job.Stderr,
	})
	return r.result(ctx, lease, err)
}

// result returns the exit code of a Run. An instance on which the command may still run is reported, so that it gets no other job.
func (r *run) result(ctx context.Context, lease control.Lease, err error) (int, control.Unhealthy, error) {
	var exit *connector.ExitError
	var cancelled *connector.CancelError
	var lost *connector.LostError
	switch {
	case err == nil:
		return 0, "", nil
	case errors.As(err, &exit):
		return exit.ExitCode(), "", nil
	case errors.As(err, &cancelled):
		found := control.Unhealthy("")
		if !cancelled.Ended {
			r.note("the command may still be running on instance %s, so the instance gets no other job", lease.Instance)
			found = control.UnhealthyUnreachable
		}
		if ctx.Err() == nil && errors.Is(err, syscall.EPIPE) {
			return exitBySignal + int(syscall.SIGPIPE), found, nil
		}
		if ctx.Err() == nil {
			return 0, found, err
		}
		return 0, found, ended(ctx, "the command was ended")
	case errors.As(err, &lost):
		return 0, control.UnhealthyUnreachable, r.explain(ctx, lease, err)
	}
	return 0, "", fmt.Errorf("instance %s: %w", lease.Instance, err)
}

// explain waits a short time for the manager's reason why the connection to the instance was lost.
func (r *run) explain(ctx context.Context, lease control.Lease, err error) error {
	timer := time.NewTimer(revokePatient)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx, err.Error())
	case <-timer.C:
		return &Error{Code: ExitLost, Err: fmt.Errorf("instance %s: %w", lease.Instance, err)}
	}
}

// note prints one line. It does not print the same line twice in a row.
func (r *run) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.notes.Lock()
	defer r.notes.Unlock()
	if line == r.said || r.job.Stderr == nil {
		return
	}
	r.said = line
	_, _ = io.WriteString(r.job.Stderr, "taskscaler: "+line+"\n")
}
