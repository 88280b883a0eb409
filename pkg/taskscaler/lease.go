package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Lease is a slot of an instance, held under a key. Its methods may be called by any goroutine.
type Lease struct {
	t         *Taskscaler
	key       record.Key
	id        record.ID
	serial    uint64
	slot, use int
	waited    time.Duration

	mu     sync.Mutex
	ended  error // why; nil while it is held
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func newLease(t *Taskscaler, g *scaler.Grant) *Lease {
	return &Lease{t: t, key: g.Key, id: g.ID, serial: g.Serial, slot: g.Slot, use: g.Use, waited: g.Waited}
}

// Key is the caller's key.
func (l *Lease) Key() string { return string(l.key) }

// InstanceID is the provider's name of the instance.
func (l *Lease) InstanceID() string { return string(l.id) }

// Slot is which of the instance's slots this is, from 0.
func (l *Lease) Slot() int { return l.slot }

// Use says the how-manieth use of the instance this is, from 1.
func (l *Lease) Use() int { return l.use }

// Waited is how long the caller waited for the lease.
func (l *Lease) Waited() time.Duration { return l.waited }

// Context ends with the lease: with a *RevokedError as its cause when the lease was taken away, with context.Canceled after Release, with
// ErrShutdown when the manager stopped.
func (l *Lease) Context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithCancelCause(context.Background())
		if l.ended != nil {
			l.cancel(l.ended)
		}
	}
	return l.ctx
}

// WithContext returns a context that ends with ctx or with the lease, whichever is first, with the cause of that one. cancel must be called.
func (l *Lease) WithContext(ctx context.Context) (context.Context, context.CancelFunc) {
	own := l.Context()
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(own, func() { cancel(context.Cause(own)) })
	return both, func() {
		stop()
		cancel(context.Canceled)
	}
}

// end ends the lease; the first cause stays.
func (l *Lease) end(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	l.ended = cause
	if l.cancel != nil {
		l.cancel(cause)
	}
}

// Err is nil while the lease is held, else why it ended, as the cause of Context.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// ConnectInfo says how to reach the instance. It asks the provider for fresh credentials when those known have expired.
func (l *Lease) ConnectInfo(ctx context.Context) (provider.ConnectInfo, error) {
	if err := l.Err(); err != nil {
		return provider.ConnectInfo{}, fmt.Errorf("connect info for lease %q: the lease has ended: %w", l.key, err)
	}
	known, ok := l.t.vault.get(l.id)
	if ok && known.serial == l.serial && !expired(&known.info) {
		return known.copyInfo(), nil
	}
	info, err := l.t.work.connectInfo(ctx, l.id)
	if err != nil {
		return provider.ConnectInfo{}, fmt.Errorf("connect info of instance %s: %w", l.id, err)
	}
	if len(info.HostKeys) == 0 && ok && known.serial == l.serial {
		info.HostKeys = known.info.HostKeys
	}
	fresh := secret{id: l.id, serial: l.serial, info: info}
	l.t.vault.set(fresh)
	return fresh.copyInfo(), nil
}

// expiryMargin is how long credentials must still be good for: long enough to log in with them.
const expiryMargin = 5 * time.Second

func expired(info *provider.ConnectInfo) bool {
	return info.Expires != nil && time.Until(*info.Expires) < expiryMargin
}

// Dial connects to the instance and checks its host key; a changed one makes the instance unusable. The connection is closed when the
// lease ends.
func (l *Lease) Dial(ctx context.Context) (connector.Client, error) {
	ctx, cancel := l.WithContext(ctx)
	defer cancel()
	info, err := l.ConnectInfo(ctx)
	if err != nil {
		return nil, err
	}
	client, info, err := l.t.dial(ctx, info)
	var changed *connector.HostKeyError
	if errors.As(err, &changed) {
		l.t.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: l.id, Serial: l.serial, Cause: record.CauseChangedHostKey}, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("dial instance %s: %w", l.id, err)
	}
	if known, ok := l.t.vault.get(l.id); ok && len(known.info.HostKeys) == 0 && len(info.HostKeys) > 0 {
		l.t.remember(l.id, l.serial, info)
	}
	return closeWith(l.Context(), client), nil
}

// leasedClient closes its connection when the lease ends: what runs on the slot then would disturb the next job.
type leasedClient struct {
	connector.Client
	stop func() bool
}

func closeWith(ctx context.Context, c connector.Client) connector.Client {
	return &leasedClient{Client: c, stop: context.AfterFunc(ctx, func() { _ = c.Close() })}
}

// Close implements connector.Client.
func (c *leasedClient) Close() error {
	c.stop()
	return c.Client.Close()
}

// Release gives the slot back; it is durable when Release returns nil. A second Release does nothing. If the lease was taken away before,
// the error is its *RevokedError.
func (l *Lease) Release() error { return l.release(record.CauseNone) }

// ReleaseUnhealthy is Release, and says that the instance must not be used again: it gets no new lease, the others on it are revoked, and
// it is deleted.
func (l *Lease) ReleaseUnhealthy() error { return l.release(record.CauseUnhealthy) }

func (l *Lease) release(cause record.Cause) error {
	switch err := l.Err(); {
	case err == nil:
	case errors.Is(err, context.Canceled):
		return nil
	default:
		return err
	}
	err := l.t.release(l.key, cause)
	if errors.Is(err, ErrUnknownKey) { // it ended while we asked
		if ended := l.Err(); ended == nil || errors.Is(ended, context.Canceled) {
			return nil
		}
		return l.Err()
	}
	return err
}
