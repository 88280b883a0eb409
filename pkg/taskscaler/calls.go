package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Reserve asks for the promise of a slot before a job is accepted. It does not wait for capacity. The promise is taken up by an Acquire
// under the same key, given up by Unreserve, and void after Core.ReservationDeadline. Errors: *NoCapacityError (ErrNoCapacity), ErrDraining,
// ErrShutdown, ErrDuplicateKey, or the end of ctx.
func (t *Taskscaler) Reserve(ctx context.Context, key string) error {
	a, err := t.call(ctx, &scaler.Event{Kind: scaler.EvReserve, Key: record.Key(key)})
	if err != nil {
		return fmt.Errorf("reserve %q: %w", key, err)
	}
	if a.kind == scaler.GrantReserved {
		if ctx.Err() != nil { // the caller has gone meanwhile
			t.Unreserve(key)
			return fmt.Errorf("reserve %q: %w", key, context.Cause(ctx))
		}
		return nil
	}
	switch a.cause {
	case record.CauseShutdown, record.CauseDraining, record.CauseDuplicate:
		return refusal(record.Key(key), &a)
	}
	return a.counts
}

// Unreserve gives a reservation up. One that does not exist is ignored.
func (t *Taskscaler) Unreserve(key string) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvUnreserve, Key: record.Key(key)}, nil)
}

// Acquire waits for a slot and leases it to key; the lease is durable when Acquire returns. When ctx ends first, the error is a *WaitError
// that is context.DeadlineExceeded or context.Canceled and says what the wait was for; then no lease is held. A ctx without a deadline
// gets Config.AcquireTimeout.
func (t *Taskscaler) Acquire(ctx context.Context, key string) (*Lease, error) {
	return t.lease(ctx, &scaler.Event{Kind: scaler.EvAcquire, Key: record.Key(key), Deadline: t.deadline(ctx)})
}

// Replace gives the lease of key back and waits for one on another instance. The old lease ends at once. When Replace fails no lease is held,
// except that it is refused while the manager drains or shuts down: then the old one stands.
func (t *Taskscaler) Replace(ctx context.Context, key string) (*Lease, error) {
	return t.lease(ctx, &scaler.Event{Kind: scaler.EvReplace, Key: record.Key(key), Deadline: t.deadline(ctx)})
}

// Reattach takes the lease of key up again, after a restart of the manager or of its caller. The error is ErrUnknownKey when there is none.
// A handle that another caller had of this lease ends.
func (t *Taskscaler) Reattach(ctx context.Context, key string) (*Lease, error) {
	a, err := t.call(ctx, &scaler.Event{Kind: scaler.EvReattach, Key: record.Key(key)})
	if err != nil {
		return nil, fmt.Errorf("reattach %q: %w", key, err)
	}
	if a.kind != scaler.GrantReattached {
		return nil, refusal(record.Key(key), &a)
	}
	return a.lease, nil
}

// Detach says that the caller that holds the lease of key was lost: if it does not Reattach within Core.ReattachAfterDisconnect, the lease
// is revoked.
func (t *Taskscaler) Detach(key string) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvDetach, Key: record.Key(key)}, nil)
}

// Release ends the lease of key; see [Lease.Release]. The error is ErrUnknownKey when there is no such lease.
func (t *Taskscaler) Release(ctx context.Context, key string) error {
	return t.release(ctx, &scaler.Event{Kind: scaler.EvRelease, Key: record.Key(key)})
}

func (t *Taskscaler) release(ctx context.Context, ev *scaler.Event) error {
	key := ev.Key
	a, err := t.call(ctx, ev)
	switch {
	case errors.Is(err, errAbandoned):
		return fmt.Errorf("release %q: not durable yet, because the state cannot be committed; it takes effect with the next commit: %w", key, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("release %q: %w", key, err)
	case a.kind != scaler.GrantReleased:
		return refusal(key, &a)
	}
	return nil
}

// deadline is when the core ends a wait by itself, on Mono; 0: the loop puts Config.AcquireTimeout in.
func (t *Taskscaler) deadline(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return t.clock.At(at)
	}
	return 0
}

// lease asks for a lease and makes an error of everything else. A lease that comes after ctx has ended is given back.
func (t *Taskscaler) lease(ctx context.Context, ev *scaler.Event) (*Lease, error) {
	a, err := t.call(ctx, ev)
	switch {
	case errors.Is(err, errAbandoned):
		return nil, refusal(ev.Key, &answer{cause: endOf(ctx)})
	case err != nil:
		return nil, fmt.Errorf("no lease for %q: %w", ev.Key, err)
	case a.kind != scaler.GrantLease:
		return nil, refusal(ev.Key, &a)
	case ctx.Err() != nil:
		if err := a.lease.Release(context.WithoutCancel(ctx)); err != nil {
			t.log.Warn("a lease that came too late could not be given back", "key", string(ev.Key), "error", err)
		}
		return nil, refusal(ev.Key, &answer{cause: endOf(ctx), waited: a.waited})
	}
	return a.lease, nil
}

// endOf is why ctx ended, as a cause.
func endOf(ctx context.Context) record.Cause {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return record.CauseDeadline
	}
	return record.CauseCancelled
}
