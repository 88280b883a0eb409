package jobexec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Exit codes of exec. They are used when there is no exit code of the command.
const (
	ExitLost     = 123 // the lease was revoked or the connection lost while the command ran: its own code is unknown
	ExitTimeout  = 124 // --timeout passed
	ExitFailed   = 125 // taskscaler failed before the command ran: no manager, no reachable instance, wrong arguments
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

// ended returns the failure for the cause with which ctx ended.
func ended(ctx context.Context, doing string) *Error {
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
	return &Error{Code: ExitFailed, Err: fmt.Errorf("%s: %w", doing, cause)}
}
