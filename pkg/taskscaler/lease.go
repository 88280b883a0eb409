package taskscaler

import (
	"context"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Lease is a slot of an instance, held under a key. Its methods may be called by any goroutine.
type Lease struct {
	t *Taskscaler
}

// Key is the caller's key.
func (l *Lease) Key() string { panic("under construction") }

// InstanceID is the provider's name of the instance.
func (l *Lease) InstanceID() string { panic("under construction") }

// Slot is which of the instance's slots this is, from 0.
func (l *Lease) Slot() int { panic("under construction") }

// Use says the how-manieth use of the instance this is, from 1.
func (l *Lease) Use() int { panic("under construction") }

// Context ends with the lease: with a *RevokedError as its cause when the lease was taken away, with context.Canceled after Release, with
// ErrShutdown when the manager stopped.
func (l *Lease) Context() context.Context { panic("under construction") }

// WithContext returns a context that ends with ctx or with the lease, whichever is first, with the cause of that one.
func (l *Lease) WithContext(ctx context.Context) (context.Context, context.CancelFunc) {
	panic("under construction")
}

// ConnectInfo says how to reach the instance. It asks the provider for fresh credentials when those known have expired.
func (l *Lease) ConnectInfo(ctx context.Context) (provider.ConnectInfo, error) {
	panic("under construction")
}

// Dial connects to the instance and checks its host key; a changed one makes the instance unusable. The connection is closed when the
// lease ends.
func (l *Lease) Dial(ctx context.Context) (connector.Client, error) { panic("under construction") }

// Release gives the slot back; it is durable when Release returns nil. A second Release does nothing. If the lease was revoked before, the
// error is its *RevokedError.
func (l *Lease) Release() error { panic("under construction") }
