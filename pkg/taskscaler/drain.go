package taskscaler

import (
	"context"
	"fmt"
	"slices"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// drainer is a Drain call that has not returned yet.
type drainer struct {
	done chan error // 1-buffered
}

// Drain makes the manager accept no new work. Waiters get ErrDraining, and instances without a lease are retired. Drain returns nil when
// the last lease has ended; with Config.DeleteOnShutdown, when the last instance is deleted and no create may still bring one.
//
// If ctx ends first, Drain returns its cause, and the manager continues to drain. A ctx that has ended before the call drains nothing. Undrain ends the drain; Drain then returns ErrUndrained.
// Other errors: ErrShutdown and *StopError.
func (t *Taskscaler) Drain(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("drain: %w", context.Cause(ctx))
	}
	if _, err := t.call(ctx, &scaler.Event{Kind: scaler.EvDrain, On: true}); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	d := &drainer{done: make(chan error, 1)}
	t.inbox.ask(func(l *loop) {
		l.drainers = append(l.drainers, d)
		l.checkDrained()
	})
	select {
	case err := <-d.done:
		if err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		return nil
	case <-t.dead:
		return fmt.Errorf("drain: %w", t.stopped())
	case <-ctx.Done():
		t.inbox.ask(func(l *loop) {
			l.drainers = slices.DeleteFunc(l.drainers, func(x *drainer) bool { return x == d })
		})
		return fmt.Errorf("drain: %w", context.Cause(ctx))
	}
}

// Undrain makes the manager accept new work again. It changes nothing if the manager is not draining. Errors: ErrShutdown, *StopError, and
// an error if ctx ends first. While the state cannot be committed, Undrain then takes effect with the next commit.
func (t *Taskscaler) Undrain(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("undrain: %w", context.Cause(ctx))
	}
	if _, err := t.call(ctx, &scaler.Event{Kind: scaler.EvDrain}); err != nil {
		return fmt.Errorf("undrain: %w", err)
	}
	return nil
}

// checkDrained answers the Drain calls when nothing is left, or when the manager no longer drains.
func (l *loop) checkDrained() {
	if len(l.drainers) == 0 {
		return
	}
	s := l.core.Summary()
	if !s.Closed {
		l.endDrains(ErrUndrained)
		return
	}
	left := s.Leases + s.Waiters
	if l.t.config().DeleteOnShutdown {
		left += s.Creating + s.Preparing + s.Ready + s.Draining + s.Deleting + s.Requested + s.Doubt
	}
	if left == 0 {
		l.endDrains(nil)
	}
}

// endDrains answers every Drain call with err.
func (l *loop) endDrains(err error) {
	for _, d := range l.drainers {
		d.done <- err
	}
	l.drainers = nil
}
