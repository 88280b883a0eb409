package control

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// UnansweredError says that the context of a caller ended before the manager accepted its request.
type UnansweredError struct {
	Where  string
	Waited time.Duration
	Cause  error // of the context's end
}

// Error says how long the manager was waited for, and what to do. It leaves out Cause.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("the manager at %s did not answer within %s (it may be stopped or overloaded: check its log)", e.Where, e.Waited)
}

// Unwrap returns Cause.
func (e *UnansweredError) Unwrap() error { return e.Cause }

// unanswered returns the error for a request that was sent at began.
func (c *Client) unanswered(began time.Time, cause error) error {
	waited := time.Since(began)
	if waited > time.Second {
		waited = waited.Round(100 * time.Millisecond)
	}
	return &UnansweredError{Where: c.where, Waited: waited.Round(time.Millisecond), Cause: cause}
}

// dialAgain is the pause between two connects to a socket whose queue is full.
const dialAgain = 50 * time.Millisecond

// patient calls dial. While the socket's queue of connections is full, it tries again: a manager that is busy or stopped does not empty it.
func patient[C any](ctx context.Context, dial func() (C, error)) (C, error) {
	for {
		conn, err := dial()
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		again := time.NewTimer(dialAgain)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return conn, context.Cause(ctx)
		}
	}
}
