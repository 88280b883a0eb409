package jobexec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Exit codes of exec beside the command's own: these say that there is none.
const (
	ExitLost     = 123 // the lease was revoked or the connection lost while the command ran: its own code is unknown
	ExitTimeout  = 124 // --timeout passed
	ExitFailed   = 125 // taskscaler failed before the command ran: no manager, no instance that answers, bad arguments
	exitBySignal = 128 // plus the signal's number: the command, or exec itself, was ended by it
)

// ErrTimeout is the cause of a context that ends with --timeout.
var ErrTimeout = errors.New("the time given by --timeout has passed")

// SignalError is the cause of a context that a signal ended.
type SignalError struct{ Signal os.Signal }

// Error names the signal.
func (e *SignalError) Error() string { return fmt.Sprintf("ended by signal: %v", e.Signal) }

// ExitCode is 128 plus the signal's number.
func (e *SignalError) ExitCode() int {
	if s, ok := e.Signal.(syscall.Signal); ok {
		return exitBySignal + int(s)
	}
	return exitBySignal
}

// Error is a failure with the exit code that tells it.
type Error struct {
	Code int
	Err  error
}

// Error is the failure's text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *Error) Unwrap() error { return e.Err }

// ended turns the end of ctx into the failure that its cause stands for.
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
