package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// BuildError means that the job failed by its own fault. Another try fails too.
type BuildError struct {
	ExitCode int   // of the script; 0 if it was not run to its end
	Err      error // why there is no exit code, such as a *TimeoutError; nil if there is one
}

// Error says how the job failed.
func (e *BuildError) Error() string {
	if e.Err != nil {
		return "the job failed: " + e.Err.Error()
	}
	return fmt.Sprintf("the job failed: its script ended with exit code %d", e.ExitCode)
}

// Unwrap returns Err.
func (e *BuildError) Unwrap() error { return e.Err }

// TimeoutError means that the job took longer than Job.Timeout, and was ended.
type TimeoutError struct{ After time.Duration }

// Error names the time-out.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf(`it was ended after its time-out of %s: make it faster, or set a longer "timeout"`, e.After)
}

// SystemError means that the job could not be run, or not to its end, and that it is not to blame.
type SystemError struct {
	Doing   string // what was tried, such as "prepare instance i-1"
	Started bool   // the script was or may have been started; else it certainly was not
	Err     error
}

// Error says what failed, and whether the job may have run.
func (e *SystemError) Error() string {
	ran := "the job was not started"
	if e.Started {
		ran = "the job may have run in part"
	}
	return fmt.Sprintf("system failure: %s: %v; %s", e.Doing, e.Err, ran)
}

// Unwrap returns Err.
func (e *SystemError) Unwrap() error { return e.Err }

// CancelledError means that the caller's context ended, for example by a signal. Cause is its cause.
type CancelledError struct{ Cause error }

// Error returns the cause.
func (e *CancelledError) Error() string { return fmt.Sprintf("the job was cancelled: %v", e.Cause) }

// Unwrap returns Cause.
func (e *CancelledError) Unwrap() error { return e.Cause }

// ErrNotStarted is in an error of Executor.Run if nothing of the script can have run. The job is then tried on another instance.
var ErrNotStarted = errors.New("the script was not started")

// ErrGone is in an error of Executor.Cleanup if the instance no longer has what its scripts run in, such as a container engine. A script that
// failed just before is then not to blame.
var ErrGone = errors.New("gone")

// judge says what an error of an Executor or of the connection means. ctx is the job's, and ended with the cause that counts. running says that
// the script was about to be started.
func judge(ctx context.Context, doing string, running bool, err error) error {
	var build *BuildError
	var timeout *TimeoutError
	var revoked *taskscaler.RevokedError
	cause := context.Cause(ctx)
	started := running && !errors.Is(err, ErrNotStarted)
	switch {
	case err == nil:
		return nil
	case errors.As(cause, &revoked), errors.Is(cause, taskscaler.ErrShutdown): // whatever happened then: the instance was lost, not the job's fault
		return &SystemError{Doing: doing, Started: started, Err: cause}
	case errors.As(err, &build):
		return err
	case errors.As(cause, &timeout):
		return &BuildError{Err: timeout}
	case cause != nil:
		return &CancelledError{Cause: cause}
	}
	return &SystemError{Doing: doing, Started: started, Err: err}
}

// aboutContact reports whether err is about the contact with the instance, so that Lease.ReleaseAfter can say what it means for the instance.
func aboutContact(err error) bool {
	var connect *connector.ConnectError
	var lost *connector.LostError
	var cancelled *connector.CancelError
	var refused *connector.RefusedError
	var exit *connector.ExitError
	return errors.As(err, &connect) || errors.As(err, &lost) || errors.As(err, &cancelled) || errors.As(err, &refused) ||
		errors.As(err, &exit) && exit.Unseen()
}
