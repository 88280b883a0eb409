package runner

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestJudge gives each kind of error a context that ended for each reason.
func TestJudge(t *testing.T) {
	failed := &BuildError{ExitCode: 3}
	timeout := &TimeoutError{After: time.Second}
	revoked := &taskscaler.RevokedError{Key: "j", Instance: "i-1", Cause: record.CauseMissing}
	lost := &connector.LostError{Started: true, Sent: true, Err: connector.ErrClosed}
	signal := errors.New("terminated")
	for _, c := range []struct {
		name  string
		cause error // of the end of the context; nil: it has not ended
		err   error
		want  error
	}{
		{"success", nil, nil, nil},
		{"success at the last moment", signal, nil, nil},
		{"an exit code", nil, failed, failed},
		{"an exit code while the time ran out", timeout, failed, failed},
		{"an exit code, but the instance was lost", revoked, failed, &SystemError{Started: true, Err: revoked}},
		{"the instance was lost", revoked, lost, &SystemError{Started: true, Err: revoked}},
		{"the manager stopped", taskscaler.ErrShutdown, lost, &SystemError{Started: true, Err: taskscaler.ErrShutdown}},
		{"the connection was lost", nil, lost, &SystemError{Started: true, Err: lost}},
		{"the connection was lost before the script", nil, fmt.Errorf("%w: %w", ErrNotStarted, lost), &SystemError{Err: lost}},
		{"the time ran out", timeout, &connector.CancelError{Cause: timeout, Ended: true, Sent: true}, &BuildError{Err: timeout}},
		{"a signal", signal, &connector.CancelError{Cause: signal, Ended: true, Sent: true}, &CancelledError{Cause: signal}},
		{"anything else", nil, errors.New("no space left"), &SystemError{Started: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, end := context.WithCancelCause(t.Context())
			if c.cause != nil {
				end(c.cause)
			}
			defer end(nil)
			got := judge(ctx, "run", true, c.err)
			if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", c.want) {
				t.Fatalf("%T %v, want %T", got, got, c.want)
			}
			switch want := c.want.(type) {
			case *BuildError:
				if b := got.(*BuildError); b.ExitCode != want.ExitCode || !errors.Is(got, want.Err) && want.Err != nil {
					t.Errorf("%+v, want %+v", b, want)
				}
			case *SystemError:
				if s := got.(*SystemError); s.Started != want.Started || want.Err != nil && !errors.Is(got, want.Err) {
					t.Errorf("%+v, want %+v", s, want)
				}
			case *CancelledError:
				if !errors.Is(got, want.Cause) {
					t.Errorf("%v, want %v", got, want)
				}
			}
		})
	}
}
