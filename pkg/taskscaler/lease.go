package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/failure"
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

// Use is the ordinal of this use of the instance, starting at 1.
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
		l.t.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: l.id, Serial: l.serial, Cause: record.CauseChangedHostKey,
			Failure: failure.Failure{Kind: failure.Unhealthy, Message: bounded(changed.Error())}}, nil)
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

// Release gives the slot back. The release is durable when Release returns nil. A second Release does nothing. If the lease was revoked
// before, the error is its *RevokedError.
//
// While the state cannot be committed, Release waits. If ctx ends first, the error is the cause of ctx, and the slot is given back with the
// next commit all the same.
func (l *Lease) Release(ctx context.Context) error {
	return l.release(ctx, &scaler.Event{Kind: scaler.EvRelease, Key: l.key})
}

// ReleaseUnhealthy is Release for an instance that must not be used again: the instance gets no new lease, its other leases are revoked, and
// it is deleted. reason says in a few words what is wrong; the holders of the other leases, the log and `taskscaler explain` show it. It
// may be empty, and only its first 512 bytes are kept.
func (l *Lease) ReleaseUnhealthy(ctx context.Context, reason string) error {
	return l.releaseUnfit(ctx, record.CauseUnhealthy, reason)
}

// ReleaseChangedHostKey is ReleaseUnhealthy for an instance that answered with another host key than the known one. Lease.Dial notices
// that by itself; it is for callers that connect on their own.
func (l *Lease) ReleaseChangedHostKey(ctx context.Context, reason string) error {
	return l.releaseUnfit(ctx, record.CauseChangedHostKey, reason)
}

func (l *Lease) releaseUnfit(ctx context.Context, cause record.Cause, reason string) error {
	because := failure.Failure{Kind: failure.Unhealthy, Message: bounded(reason)}
	return l.release(ctx, &scaler.Event{Kind: scaler.EvRelease, Key: l.key, Cause: cause, Failure: because})
}

// maxReason is how much of a reason is kept, in bytes. The journal keeps as much.
const maxReason = 512

// bounded is reason as it is kept: valid text on one line, and not too long.
func bounded(reason string) string {
	reason = strings.Join(strings.Fields(strings.ToValidUTF8(reason, "?")), " ")
	for len(reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return reason
}

func (l *Lease) release(ctx context.Context, ev *scaler.Event) error {
	switch err := l.Err(); {
	case err == nil:
	case errors.Is(err, context.Canceled):
		return nil
	default:
		return err
	}
	err := l.t.release(ctx, ev)
	if errors.Is(err, ErrUnknownKey) { // it ended while we asked
		if ended := l.Err(); ended == nil || errors.Is(ended, context.Canceled) {
			return nil
		}
		return l.Err()
	}
	return err
}
