package taskscaler

import (
	"context"
	"fmt"
	"slices"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// drainer is a Drain that waits for its end.
type drainer struct {
	done chan error // 1-buffered
}

// Drain takes no new work from now on: whoever waits is turned away with ErrDraining, and instances without a lease are retired. It returns
// when the last lease is gone, with Config.DeleteOnShutdown also the last instance, or ctx has ended; the manager goes on draining in any
// case. Undrain ends that, and makes a Drain that is under way return ErrUndrained.
func (t *Taskscaler) Drain(ctx context.Context) error {
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

// Undrain takes new work again. Without a Drain before it, it changes nothing.
func (t *Taskscaler) Undrain(ctx context.Context) error {
	if _, err := t.call(ctx, &scaler.Event{Kind: scaler.EvDrain}); err != nil {
		return fmt.Errorf("undrain: %w", err)
	}
	return nil
}

// checkDrained tells those who wait for it that nothing is left, or that nothing drains any more.
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
		left += s.Creating + s.Preparing + s.Ready + s.Draining + s.Deleting + s.Requested
	}
	if left == 0 {
		l.endDrains(nil)
	}
}

// endDrains tells those who wait for a drain's end how it ended.
func (l *loop) endDrains(err error) {
	for _, d := range l.drainers {
		d.done <- err
	}
	l.drainers = nil
}
