package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Reserve reserves a slot for a job before the job is accepted. It does not wait for capacity. The reservation ends with an Acquire under
// the same key, with Unreserve, or after Config.ReservationDeadline.
//
// In preemptive mode, a reservation claims a free slot of a ready instance. Otherwise it only counts: leases, waiters and reservations
// together stay within the slots of Config.MaxInstances. A reservation does not make the group grow; Acquire does.
//
// Errors: *NoCapacityError (ErrNoCapacity), ErrInvalidKey, ErrDraining, ErrShutdown, *StopError, ErrDuplicateKey, and an error if ctx ends first. A call
// that returns an error leaves no reservation behind.
func (t *Taskscaler) Reserve(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reserve %q: %w", key, context.Cause(ctx))
	}
	a, err := t.call(ctx, &scaler.Event{Kind: scaler.EvReserve, Key: record.Key(key)})
	if err != nil {
		return fmt.Errorf("reserve %q: %w", key, err)
	}
	if a.kind == scaler.GrantReserved {
		if ctx.Err() != nil { // the caller stopped waiting in the meantime
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

// Unreserve cancels the reservation of key. It does nothing if there is none. It never blocks.
func (t *Taskscaler) Unreserve(key string) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvUnreserve, Key: record.Key(key)}, nil)
}

// Acquire waits for a slot and leases it to key. When Acquire returns the lease, the lease is stored. A ctx without a deadline gets
// Config.AcquireTimeout.
//
// Errors: *WaitError, ErrInvalidKey, ErrShutdown and *StopError. A call that returns an error leaves no lease behind. If ctx ends first, the *WaitError
// matches context.DeadlineExceeded or context.Canceled, and says what the caller was waiting for. If the manager refused the call, it
// matches ErrDraining, ErrShutdown or ErrDuplicateKey.
func (t *Taskscaler) Acquire(ctx context.Context, key string) (*Lease, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("no lease: %w", err)
	}
	return t.lease(ctx, &scaler.Event{Kind: scaler.EvAcquire, Key: record.Key(key), Deadline: t.deadline(ctx)})
}

// Replace releases the lease of key and waits for a lease on another instance. The old lease ends at once. The errors are those of
// Acquire, and ErrUnknownKey. After an error no lease is held, with one exception: if the manager is draining or shutting down, it refuses
// the call and the old lease stays.
func (t *Taskscaler) Replace(ctx context.Context, key string) (*Lease, error) {
	return t.lease(ctx, &scaler.Event{Kind: scaler.EvReplace, Key: record.Key(key), Deadline: t.deadline(ctx)})
}

// Reattach returns the stored lease of key, after a restart of the manager or of its caller. A *Lease that another caller still has for
// this key ends. Errors: ErrUnknownKey if there is no such lease, ErrShutdown, *StopError, and an error if ctx ends first. After an error
// everything is as before the call.
func (t *Taskscaler) Reattach(ctx context.Context, key string) (*Lease, error) {
	if ctx.Err() != nil { // a caller that is gone must not end another one's handle
		return nil, fmt.Errorf("reattach %q: %w", key, context.Cause(ctx))
	}
	a, err := t.call(ctx, &scaler.Event{Kind: scaler.EvReattach, Key: record.Key(key)})
	if err != nil {
		return nil, fmt.Errorf("reattach %q: %w", key, err)
	}
	if a.kind != scaler.GrantReattached {
		return nil, refusal(record.Key(key), &a)
	}
	return a.lease, nil
}

// Detach tells the manager that the caller of the lease of key is disconnected. If no caller reattaches within
// Config.ReattachAfterDisconnect, the lease is revoked. Detach never blocks. It does nothing if there is no such lease.
func (t *Taskscaler) Detach(key string) {
	t.inbox.put(&scaler.Event{Kind: scaler.EvDetach, Key: record.Key(key)}, nil)
}

// Release releases the lease of key, for callers without the *Lease; see [Lease.Release]. If there is no such lease, the error matches
// ErrUnknownKey.
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

// deadline returns the time on Mono at which the core ends the wait. 0: the loop uses Config.AcquireTimeout.
func (t *Taskscaler) deadline(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return t.clock.At(at)
	}
	return 0
}

// lease requests a lease, and turns every other answer into an error. It releases a lease that arrives after ctx has ended.
func (t *Taskscaler) lease(ctx context.Context, ev *scaler.Event) (*Lease, error) {
	if ctx.Err() != nil { // a grant that nobody takes would use an instance up
		return nil, refusal(ev.Key, &answer{cause: endOf(ctx)})
	}
	a, err := t.call(ctx, ev)
	switch {
	case errors.Is(err, errAbandoned):
		return nil, refusal(ev.Key, &answer{cause: endOf(ctx), why: record.CauseStore, latest: t.health.storeWords()})
	case err != nil:
		return nil, fmt.Errorf("no lease for %q: %w", ev.Key, err)
	case a.kind != scaler.GrantLease:
		return nil, refusal(ev.Key, &a)
	case ctx.Err() != nil:
		if err := a.lease.Release(context.WithoutCancel(ctx)); err != nil {
			t.log.Warn("a lease was granted after its caller stopped waiting, and could not be released: release its key", "key", string(ev.Key), "error", err)
		}
		return nil, refusal(ev.Key, &answer{cause: endOf(ctx), waited: a.waited})
	}
	return a.lease, nil
}

// endOf returns the cause for the end of ctx.
func endOf(ctx context.Context) record.Cause {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return record.CauseDeadline
	}
	return record.CauseCancelled
}
