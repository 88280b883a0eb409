package taskscaler

import (
	"context"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Taskscaler manages one group. Its methods may be called by any goroutine.
type Taskscaler struct{}

// New calls the group's Init, loads the state, and starts the manager. It does not wait for the provider's first list: see
// [Taskscaler.Ready]. ctx bounds New alone. After an error of New the group was shut down if its Init had been called, and the store closed.
//
// Errors: those of Config.Validate, of Init (provider.KindOf tells the kind) and of the store's Load; *GroupMismatchError.
func New(ctx context.Context, group provider.InstanceGroup, cfg Config, opts ...Option) (*Taskscaler, error) {
	panic("under construction")
}

// Reserve asks for the promise of a slot before a job is accepted. It does not wait for capacity. The promise is taken up by an Acquire
// under the same key, given up by Unreserve, and void after Core.ReservationDeadline. Errors: *NoCapacityError (ErrNoCapacity), ErrDraining,
// ErrShutdown, ErrDuplicateKey, or the end of ctx.
func (t *Taskscaler) Reserve(ctx context.Context, key string) error { panic("under construction") }

// Unreserve gives a reservation up. One that does not exist is ignored.
func (t *Taskscaler) Unreserve(key string) { panic("under construction") }

// Acquire waits for a slot and leases it to key; the lease is durable when Acquire returns. When ctx ends first, the error is a *WaitError
// that is context.DeadlineExceeded or context.Canceled and says what the wait was for; then no lease is held.
func (t *Taskscaler) Acquire(ctx context.Context, key string) (*Lease, error) {
	panic("under construction")
}

// Release ends the lease of key; it is durable when Release returns nil. The error is ErrUnknownKey when there is none.
func (t *Taskscaler) Release(key string) error { panic("under construction") }

// Replace gives the lease of key back and waits for one on another instance. When it fails, no lease is held.
func (t *Taskscaler) Replace(ctx context.Context, key string) (*Lease, error) {
	panic("under construction")
}

// Reattach takes the lease of key up again, after a restart of the manager or of its caller. The error is ErrUnknownKey when there is none.
func (t *Taskscaler) Reattach(ctx context.Context, key string) (*Lease, error) {
	panic("under construction")
}

// Detach says that the caller that holds the lease of key was lost: if it does not Reattach within Core.ReattachAfterDisconnect, the lease
// is revoked.
func (t *Taskscaler) Detach(key string) { panic("under construction") }

// Reload makes cfg the configuration, without touching leases. Name and Settings cannot change: the group got them at its Init.
func (t *Taskscaler) Reload(ctx context.Context, cfg Config) error { panic("under construction") }

// Drain takes no new work from now on and returns when the last lease is gone and nothing waits, or ctx has ended. Idle instances are
// retired meanwhile.
func (t *Taskscaler) Drain(ctx context.Context) error { panic("under construction") }

// Undrain takes new work again.
func (t *Taskscaler) Undrain() { panic("under construction") }

// Status is what the manager knows at this moment. It works while a commit fails (see Status.Stale); after the manager has stopped it is
// an error.
func (t *Taskscaler) Status(ctx context.Context) (Status, error) { panic("under construction") }

// Wait says why the Acquire or Replace of key is still waiting; ok is false when there is none.
func (t *Taskscaler) Wait(ctx context.Context, key string) (w WaitStatus, ok bool, err error) {
	panic("under construction")
}

// Ready is nil when the manager can do its work, else it says what is missing: the provider's first list, the plugin, or the store.
func (t *Taskscaler) Ready() error { panic("under construction") }

// Done is closed when the manager has stopped: after Shutdown, or by itself (see Err).
func (t *Taskscaler) Done() <-chan struct{} { panic("under construction") }

// Err says why the manager stopped by itself: a *StopError. It is nil while it runs, and ErrShutdown after a Shutdown.
func (t *Taskscaler) Err() error { panic("under construction") }

// Shutdown ends the manager: no new grants, and the waiters are told so. It waits for leases to be released until ctx ends. What is left then is
// revoked and deleted with Config.DeleteOnShutdown (within Core.ShutdownDeletionRetries × Core.ShutdownDeletionRetry and a little more), and
// otherwise stays in the store for Reattach after the next start. Then it closes group and store. The error is nil, or has a *LeftoverError.
func (t *Taskscaler) Shutdown(ctx context.Context) error { panic("under construction") }
