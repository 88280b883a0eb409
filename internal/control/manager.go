package control

import (
	"context"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Manager is what the server needs of the process that it serves.
type Manager interface {
	Drainer
	// Runner returns the running runner that selector (a name, an id or a position; empty: the only one) means, or an *APIError of
	// CodeUnknownRunner or CodeRefused.
	Runner(selector string) (Runner, error)
	// Status returns the status of the selected runner, or of all.
	Status(ctx context.Context, selector string) (Status, error)
	// Ready returns nil, or why a runner is not ready.
	Ready() error
	// Info says who this is.
	Info() ManagerInfo
}

// Drainer drains the selected runner, or all.
type Drainer interface {
	// Drain takes no new work and returns when the last lease is gone, or with an error when an Undrain comes first.
	Drain(ctx context.Context, selector string) error
	// Undrain takes new work again; of what does not drain, nothing changes.
	Undrain(ctx context.Context, selector string) error
}

// Runner is what the server needs of one runner. Its errors are *APIError where their kind matters to a client.
type Runner interface {
	Reserver
	// Acquire waits for a slot until ctx ends.
	Acquire(ctx context.Context, key string) (Held, error)
	// Reattach takes up the lease that key holds.
	Reattach(ctx context.Context, key string) (Held, error)
	// Release gives the lease of key back, where nobody holds it on a stream.
	Release(ctx context.Context, key string) error
	// Detach says that the caller's connection was lost.
	Detach(key string)
	// Waiting says why key has no slot yet; false: it does not wait.
	Waiting(ctx context.Context, key string) (Wait, bool)
}

// Reserver promises slots.
type Reserver interface {
	// Reserve promises a slot to key, or refuses with an *APIError of CodeNoCapacity. The promise is taken up by an Acquire of the key.
	Reserve(ctx context.Context, key string) error
	// Unreserve gives the promise up.
	Unreserve(key string)
}

// Held is a lease as the server needs it.
type Held interface {
	// Lease describes it; Connect is nil.
	Lease() Lease
	// Connect says how to reach the instance.
	Connect(ctx context.Context) (provider.ConnectInfo, error)
	// Release gives the lease back. If found is set, its instance gets no other job; reason says why, in the caller's words.
	Release(ctx context.Context, found Unhealthy, reason string) error
	// Ended is closed when the lease ends.
	Ended() <-chan struct{}
	// Last is the last event of the lease's stream, once it has ended: Revoked, Released, or an Error when the manager stops serving it.
	Last() Event
}
