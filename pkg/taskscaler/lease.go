package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Lease is the right of one caller to use one slot of an instance. It lasts until Release, or until the manager revokes it. Its methods
// are safe for concurrent use.
type Lease struct {
	t         *Taskscaler
	key       record.Key
	id        record.ID
	serial    uint64
	slot, use int
	waited    time.Duration
	detached  bool // its caller is disconnected; owned by the loop

	mu     sync.Mutex
	ended  error // why the lease ended; nil: it has not
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func newLease(t *Taskscaler, g *scaler.Grant) *Lease {
	return &Lease{t: t, key: g.Key, id: g.ID, serial: g.Serial, slot: g.Slot, use: g.Use, waited: g.Waited}
}

// Key returns the key that the caller gave to Acquire.
func (l *Lease) Key() string { return string(l.key) }

// InstanceID returns the provider's name of the instance.
func (l *Lease) InstanceID() string { return string(l.id) }

// Slot returns the number of the slot on its instance, starting at 0.
func (l *Lease) Slot() int { return l.slot }

// Use returns the ordinal of this use of the instance, starting at 1.
func (l *Lease) Use() int { return l.use }

// Waited returns how long the caller waited for the lease.
func (l *Lease) Waited() time.Duration { return l.waited }

// Context returns a context that is cancelled when the lease ends. Its cause is a *RevokedError if the manager revoked the lease,
// context.Canceled after Release and Replace, and ErrShutdown if the manager stopped. If another caller reattached the key, the cause says
// so; the lease itself then goes on under the new *Lease.
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

// WithContext returns a context that ends when ctx ends or when the lease ends, whichever is first. Its cause is the cause of the one that
// ended. Call the returned function when the context is no longer needed.
func (l *Lease) WithContext(ctx context.Context) (context.Context, context.CancelFunc) {
	own := l.Context()
	both, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(own, func() { cancel(context.Cause(own)) })
	return both, func() {
		stop()
		cancel(context.Canceled)
	}
}

// end ends the lease. Only the first call counts.
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

// Err returns nil while the lease is held. Afterwards it returns the cause of Context.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// ConnectInfo returns the addresses, the credentials and the host keys of the instance, for a connection of your own. The manager asks the
// provider for new credentials ahead of the end of the known ones. If they end within 10 s all the same, ConnectInfo asks itself. It is an error
// if the lease has ended, or if they have expired and the provider cannot answer.
//
// An answer of kind NotFound or Unhealthy means that the instance cannot be used any more: the manager revokes its leases and deletes it. So
// do Config.FailureThreshold consecutive failures of other kinds. An absent plugin and a throttled call say nothing about the instance.
// Until the provider answers, the instance gets no other lease.
func (l *Lease) ConnectInfo(ctx context.Context) (provider.ConnectInfo, error) {
	if err := l.Err(); err != nil {
		return provider.ConnectInfo{}, fmt.Errorf("connect info for lease %q: the lease has ended: %w", l.key, err)
	}
	found, err := l.credentials(ctx)
	if err != nil {
		return provider.ConnectInfo{}, fmt.Errorf("connect info of instance %s: %w", l.id, err)
	}
	return found.copyInfo(), nil
}

// credentials returns the known connect info if it is good for long enough. If it is good for a short time only, it asks for another one, and uses
// the known one if no answer comes in half of that time.
func (l *Lease) credentials(ctx context.Context) (access, error) {
	known, ok := l.t.vault.get(l.id)
	if !ok || known.serial != l.serial || expired(known.info.Reveal()) {
		return l.t.renew(ctx, l.id, l.serial, 1)
	}
	ends := known.info.Reveal().Expires
	if ends == nil || time.Until(*ends) >= leaseMargin {
		return known, nil
	}
	short, cancel := context.WithTimeout(ctx, (time.Until(*ends)-expiryMargin)/2)
	defer cancel()
	fresh, err := l.t.refresh(short, l.id, l.serial)
	if err != nil && !condemns(err) {
		return known, nil
	}
	return fresh, err
}

const (
	expiryMargin = 5 * time.Second  // how long credentials must still be valid, so that a login with them succeeds
	leaseMargin  = 10 * time.Second // how long they are still valid when a job gets them, if the provider can make others
)

func expired(info provider.ConnectInfo) bool {
	return info.Expires != nil && time.Until(*info.Expires) < expiryMargin
}

// Dial connects to the instance and verifies its host key. The connection is closed when the lease ends. If the host key has changed, the
// error is a *connector.HostKeyError, and the manager revokes the leases of the instance and deletes it. Other errors: those of
// ConnectInfo and of the Dialer.
func (l *Lease) Dial(ctx context.Context) (connector.Client, error) {
	ctx, cancel := l.WithContext(ctx)
	defer cancel()
	info, err := l.ConnectInfo(ctx)
	if err != nil {
		return nil, err
	}
	client, info, err := l.t.reach(ctx, info, func() (provider.ConnectInfo, error) { return l.ConnectInfo(ctx) }, waitForTheWay)
	var changed *connector.HostKeyError
	if errors.As(err, &changed) {
		l.t.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: l.id, Serial: l.serial, Cause: record.CauseChangedHostKey,
			Failure: failure.Failure{Kind: failure.Unhealthy, Message: bounded(changed.Error())}}, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("dial instance %s: %w", l.id, err)
	}
	if known, ok := l.t.vault.get(l.id); ok && len(known.info.Reveal().HostKeys) == 0 && len(info.HostKeys) > 0 {
		l.t.remember(l.id, l.serial, info)
	}
	return closeWith(l.Context(), client), nil
}

// leasedClient closes its connection when the lease ends. Otherwise a command that still runs on the slot could disturb the next job.
type leasedClient struct {
	connector.Client
	stop func() bool
}

func closeWith(ctx context.Context, c connector.Client) connector.Client {
	return &leasedClient{Client: c, stop: context.AfterFunc(ctx, func() { _ = c.Close() })}
}

// Upload implements connector.Copier.
func (c *leasedClient) Upload(ctx context.Context, opts connector.CopyOptions) error {
	return connector.Upload(ctx, c.Client, opts)
}

// Download implements connector.Copier.
func (c *leasedClient) Download(ctx context.Context, opts connector.CopyOptions) error {
	return connector.Download(ctx, c.Client, opts)
}

// Close implements connector.Client.
func (c *leasedClient) Close() error {
	c.stop()
	return c.Client.Close()
}

// Release returns the slot. When Release returns nil, the release is stored. A second Release does nothing. If the manager had already
// revoked the lease, the error is the *RevokedError.
//
// While the state cannot be committed, Release waits. If ctx ends first, the error is the cause of ctx; the release then takes effect with
// the next commit.
func (l *Lease) Release(ctx context.Context) error {
	return l.release(ctx, &scaler.Event{})
}

// ReleaseUnhealthy releases the lease of an instance that must not be used again. The instance gets no new lease, its other leases are
// revoked, and it is deleted. So report only what a second contact has confirmed: see ReleaseAfter. reason says in a few words what is wrong. The
// *RevokedError of the other leases, the log and `taskscaler explain` show it. It may be empty. It becomes one line of at most 512 bytes: a
// longer one loses its middle.
func (l *Lease) ReleaseUnhealthy(ctx context.Context, reason string) error {
	return l.releaseUnfit(ctx, record.CauseUnhealthy, reason)
}

// ReleaseChangedHostKey is ReleaseUnhealthy for an instance whose host key differs from the known one. It is for callers that connect on
// their own. Callers of Dial do not need it, because Dial reports a changed host key.
func (l *Lease) ReleaseChangedHostKey(ctx context.Context, reason string) error {
	return l.releaseUnfit(ctx, record.CauseChangedHostKey, reason)
}

// ReleaseAfter releases the lease after an error of Dial, or of a method of the client that it returned. It decides what the error means for the
// instance. An exit code, a cancelled command whose end was seen, or a failure of this host mean nothing. After other errors it makes a
// second contact with the instance (connector.Examine, at most 15 s), because what a caller sends may break a connection and must not count
// against the instance. If that fails too, the lease is released as by ReleaseUnhealthy; if it was only too slow, or what is left of a command
// could not be ended, as by ReleaseDoubtful; else as by Release. A nil error is the same as Release.
func (l *Lease) ReleaseAfter(ctx context.Context, failed error) error {
	known, ok := l.t.vault.get(l.id)
	if l.Err() != nil || !ok || known.serial != l.serial || connector.FindingOf(failed) == connector.FindingNone {
		return l.Release(ctx)
	}
	info := known.copyInfo()
	info.Timeout = connector.ExamineTimeout
	found, err := connector.Examine(ctx, failed, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		client, _, err := l.t.dialWith(ctx, info, network)
		return client, err
	})
	switch found {
	case connector.FindingNone:
		return l.Release(ctx)
	case connector.FindingDoubtful:
		return l.ReleaseDoubtful(ctx, withoutSecrets(err.Error(), &info.ConnectorConfig))
	case connector.FindingChangedHostKey:
		return l.ReleaseChangedHostKey(ctx, withoutSecrets(err.Error(), &info.ConnectorConfig))
	}
	return l.ReleaseUnhealthy(ctx, withoutSecrets(err.Error(), &info.ConnectorConfig))
}

// ReleaseDoubtful releases the lease of an instance that did not answer in time, or on which something of the caller may still run. The
// instance gets no new lease, its other leases go on, and it is deleted when they have ended. reason is as for ReleaseUnhealthy.
func (l *Lease) ReleaseDoubtful(ctx context.Context, reason string) error {
	return l.releaseUnfit(ctx, record.CauseDoubtful, reason)
}

func (l *Lease) releaseUnfit(ctx context.Context, cause record.Cause, reason string) error {
	because := failure.Failure{Kind: failure.Unhealthy, Message: bounded(reason)}
	return l.release(ctx, &scaler.Event{Cause: cause, Failure: because})
}

// bounded returns reason as one line of at most safetext.MaxMessage bytes, which is also the limit of the journal.
func bounded(reason string) string { return safetext.Line(reason, safetext.MaxMessage) }

// releaseEvent makes ev the release of this lease and of no later one under the same key.
func (l *Lease) releaseEvent(ev *scaler.Event) *scaler.Event {
	ev.Kind, ev.Key, ev.Serial, ev.Op = scaler.EvRelease, l.key, l.serial, uint64(l.use)
	return ev
}

func (l *Lease) release(ctx context.Context, ev *scaler.Event) error {
	switch err := l.Err(); {
	case err == nil:
	case errors.Is(err, context.Canceled):
		return nil
	default:
		return err
	}
	err := l.t.release(ctx, l.releaseEvent(ev))
	if errors.Is(err, ErrUnknownKey) { // the lease ended during the call
		if ended := l.Err(); ended == nil || errors.Is(ended, context.Canceled) {
			return nil
		}
		return l.Err()
	}
	return err
}
