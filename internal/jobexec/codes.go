package jobexec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Exit codes of exec. They are used when there is no exit code of the command. Only after ExitFailed is it certain that the command did not run,
// so that a wrapper can repeat it.
const (
	ExitLost     = 123 // the command was or may have been started, and its exit code is unknown: its lease, connection, input or output was lost
	ExitTimeout  = 124 // --timeout or instance_acquire_timeout passed; the command may have run until then
	ExitFailed   = 125 // the command was certainly not started: no manager, no reachable instance, wrong arguments
	exitBySignal = 128 // plus the number of the signal that ended the command or exec itself
)

// ErrTimeout is the cause of a context that ends with --timeout.
var ErrTimeout = errors.New("the time of --timeout has passed")

// SignalError is the cause of a context that a signal ended.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return fmt.Sprintf("ended by signal: %v", e.Signal) }

// ExitCode returns 128 plus the signal's number.
func (e *SignalError) ExitCode() int {
	if s, ok := e.Signal.(syscall.Signal); ok {
		return exitBySignal + int(s)
	}
	return exitBySignal
}

// Error is a failure with its exit code.
type Error struct {
	Code int
	Err  error
}

// Error returns the text of the failure.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *Error) Unwrap() error { return e.Err }

// Ended returns the failure for the cause with which ctx ended, while exec was doing something before it asked for a lease.
func Ended(ctx context.Context, doing string) *Error { return ended(ctx, doing, ExitFailed) }

// ended returns the failure for the cause with which ctx ended. otherwise is the code for a cause that has none of its own.
func ended(ctx context.Context, doing string, otherwise int) *Error {
	cause := context.Cause(ctx)
	var signal *SignalError
	var own *Error
	switch {
	case errors.As(cause, &own):
		return &Error{Code: own.Code, Err: fmt.Errorf("%s: %w", doing, cause)}
	case errors.As(cause, &signal):
		return &Error{Code: signal.ExitCode(), Err: fmt.Errorf("%s: %w", doing, cause)}
	case errors.Is(cause, ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return &Error{Code: ExitTimeout, Err: fmt.Errorf("%s: %w", doing, cause)}
	}
	return &Error{Code: otherwise, Err: fmt.Errorf("%s: %w", doing, cause)}
}
