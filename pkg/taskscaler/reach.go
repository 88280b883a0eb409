package taskscaler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// dialTimeout is how long an instance may take until it can be reached, if Connector.Timeout is 0.
const dialTimeout = 10 * time.Minute

// While an instance cannot be reached, the provider is asked for its connect info again: when the credentials have expired, and otherwise
// after askAgain, because an address or a key may change while an instance boots.
const (
	askAgain  = time.Minute
	shortest  = time.Second      // one round of attempts takes at least this long, however short-lived credentials are
	unlivable = 20 * time.Second // the same for credentials that have expired when they arrive: the clock of the provider or of this host is wrong
)

// reach connects to an instance. It retries until info.Timeout (0: dialTimeout) has passed. Credentials that have expired meanwhile are of no
// use, so it asks for new ones. wait says whether it also waits for a jump host that fails. It returns the connect info that it connected with; if the host key was not known, with the key of the instance.
func (t *Taskscaler) reach(ctx context.Context, info provider.ConnectInfo, ask func() (provider.ConnectInfo, error), wait wayPatience) (connector.Client, provider.ConnectInfo, error) {
	patience := cmp.Or(info.Timeout, dialTimeout)
	began := t.clock.Mono()
	for rounds := 1; ; rounds++ {
		start := t.clock.Mono()
		left := patience - (start - began)
		once := info
		once.Timeout = min(left, useful(&info))
		client, reached, err := t.dial(ctx, once)
		reached.Timeout = info.Timeout
		now := t.clock.Mono()
		if err == nil || ctx.Err() != nil || wait == giveUpTheWay && ofTheWay(err) || now-start < once.Timeout { // the last: a failure that a retry does not change
			return client, reached, err
		}
		if now-began >= patience {
			if rounds > 1 {
				err = fmt.Errorf("not reached within %s, with connect info that was asked for %d times: %w", words.Span(patience), rounds, err)
			}
			return nil, reached, err
		}
		fresh, failed := ask()
		if failed != nil {
			f := provider.FailureOf(failed)
			return nil, info, &provider.Error{Kind: f.Kind, RetryAfter: f.RetryAfter, Err: fmt.Errorf("new connect info: %w, after %w", failed, err)}
		}
		info = fresh
	}
}

// wayPatience says what reach does when the jump host fails.
type wayPatience bool

const (
	waitForTheWay wayPatience = true  // a caller waits for its connection
	giveUpTheWay  wayPatience = false // the core learns of it soon, and has the preparation repeated
)

// ofTheWay reports whether err is the jump host's, so that it says nothing about the instance.
func ofTheWay(err error) bool {
	var way *connector.JumpError
	return errors.As(err, &way)
}

// useful returns for how long info is worth trying.
func useful(info *provider.ConnectInfo) time.Duration {
	if info.Expires == nil {
		return askAgain
	}
	left := time.Until(*info.Expires)
	if left <= 0 {
		return unlivable
	}
	return min(max(left-left/10, shortest), askAgain) // a login that begins in the last moment comes too late
}

// noteDial records the result of an attempt to connect to an instance. A failure of the jump host is recorded once, and not for each instance.
func (t *Taskscaler) noteDial(id string, err error) {
	if ofTheWay(err) {
		t.failing.note(jumping, "", err)
		return
	}
	t.failing.note(jumping, "", nil)
	t.failing.note(connecting, record.ID(id), err)
}

// dial connects. If the host key was not known, it pins the key and returns info with it.
func (t *Taskscaler) dial(ctx context.Context, info provider.ConnectInfo) (connector.Client, provider.ConnectInfo, error) {
	return t.dialWith(ctx, info, nil)
}

// dialWith is dial over a network. nil: the usual one.
func (t *Taskscaler) dialWith(ctx context.Context, info provider.ConnectInfo, network connector.DialFunc) (connector.Client, provider.ConnectInfo, error) {
	cfg := t.config()
	opts := connector.DialOptions{
		Dial: network, UseExternalAddr: cfg.UseExternalAddr, Insecure: cfg.Insecure, LegacyAlgorithms: cfg.AllowLegacySSH,
		GroupExchange: cfg.AllowDHGroupExchange, Jump: cfg.Jump, WinRM: cfg.WinRM,
		// The password of one instance opens no other one.
		PasswordWithoutHostKey: cfg.PasswordWithoutHostKey || info.Password != cfg.Connector.Password,
		Logger:                 t.log,
	}
	var mu sync.Mutex
	var pinned string
	if len(info.HostKeys) == 0 && !cfg.Insecure {
		opts.PinHostKey = func(key string) error {
			mu.Lock()
			defer mu.Unlock()
			pinned = key
			return nil
		}
	}
	opts.OnRetry = func(err error) { t.noteDial(info.ID, err) }
	client, err := t.dialer(ctx, info, opts)
	if err == nil || ofTheWay(err) {
		t.noteDial(info.ID, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if err == nil && pinned != "" {
		info.HostKeys = []string{pinned}
	}
	return client, info, err
}
