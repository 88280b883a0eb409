package control

import (
	"context"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Manager is what the server needs from the manager process.
type Manager interface {
	Drainer
	// Runner returns the running runner with this name, id or position ("": the only runner), or an *APIError with CodeUnknownRunner or
	// CodeRefused.
	Runner(selector string) (Runner, error)
	// Status returns the status of the selected runner, or of all, with at most so many instances of each.
	Status(ctx context.Context, selector string, instances int) (Status, error)
	// Ready returns nil, or an error that says why a runner is not ready.
	Ready() error
	// Info describes the manager.
	Info() ManagerInfo
}

// Drainer drains the selected runner, or all.
type Drainer interface {
	// Drain takes no new work and returns when the last lease has ended. If Undrain is called before, it returns an error.
	Drain(ctx context.Context, selector string) error
	// Undrain takes new work again. It changes nothing for a runner that does not drain.
	Undrain(ctx context.Context, selector string) error
}

// Runner is what the server needs from one runner. An error whose kind matters to a client is an *APIError.
type Runner interface {
	Reserver
	// Acquire waits for a slot until ctx ends.
	Acquire(ctx context.Context, key string) (LiveLease, error)
	// Reattach reattaches to the lease of key.
	Reattach(ctx context.Context, key string) (LiveLease, error)
	// Holds reports whether a lease exists under key. If that cannot be known, it returns true.
	Holds(ctx context.Context, key string) bool
	// Release releases the lease of key. It is called when no stream holds the lease.
	Release(ctx context.Context, key string) error
	// Detach says that the caller's connection was lost.
	Detach(key string)
	// Reopened waits until the runner, which is draining, takes new work again. It returns an error if ctx ends or the runner stops first.
	Reopened(ctx context.Context) error
	// Waiting says why key has no slot yet. It returns false if key does not wait.
	Waiting(ctx context.Context, key string) (Wait, bool)
}

// Reserver makes reservations.
type Reserver interface {
	// Reserve reserves a slot for key, or returns an *APIError with CodeNoCapacity. Acquire with the same key uses the reservation.
	Reserve(ctx context.Context, key string) error
	// Unreserve cancels the reservation.
	Unreserve(key string)
}

// LiveLease is what the server needs from a lease.
type LiveLease interface {
	// Lease describes the lease. Its Connect is nil.
	Lease() Lease
	// Connect says how to connect to the instance.
	Connect(ctx context.Context) (provider.ConnectInfo, error)
	// Release releases the lease. If found is not empty, the instance gets no other job; reason says why, in the caller's words.
	Release(ctx context.Context, found Unhealthy, reason string) error
	// Ended is closed when the lease ends.
	Ended() <-chan struct{}
	// Last is the last event of the stream, after the lease ended: Revoked, Released, or an Error when the manager stops.
	Last() Event
}
