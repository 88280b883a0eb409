package taskscaler

import (
	"context"
	"log/slog"

	"github.com/taskscaler/taskscaler/internal/clock"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// Option sets an optional collaborator of a manager.
type Option func(*options)

type options struct {
	store statestore.Store
	log   *slog.Logger
	ready ReadyFunc
	taps  []observe.Observer
	dial  Dialer
	clock clock.Clock // tests set its wall clock

	journalDir string
	journal    JournalOptions
}

// Dialer connects to an instance; connector.Dial is one.
type Dialer func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error)

// ReadyFunc is the embedder's own test and preparation of an instance. It runs after the ready command and before the first job. An error
// makes the instance unusable, unless its kind is KindTransient: then it is tried again. It runs on a worker, many at once.
type ReadyFunc func(ctx context.Context, inst ReadyInstance) error

// ReadyInstance is the instance that a ReadyFunc is asked about.
type ReadyInstance struct {
	ID       string
	Info     provider.ConnectInfo
	Client   connector.Client // connected; closed after the ReadyFunc has returned
	Restored bool             // it was known before this start
	Leases   []string         // keys of the leases that it held at this start; nil for a new one
}

// WithStore keeps the state in s, which Shutdown closes. The default is a store in memory, which forgets everything at the end.
func WithStore(s statestore.Store) Option { return func(o *options) { o.store = s } }

// WithLogger logs facts and troubles to log. The default is to log nothing.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithReadyFunc asks f about each new instance.
func WithReadyFunc(f ReadyFunc) Option { return func(o *options) { o.ready = f } }

// WithObserver calls obs for every fact, in order, after the fact was committed. It runs on the goroutine that serves all callers: it must
// return quickly and must not call the manager. The option may be given more than once.
func WithObserver(obs Observer) Option { return withTap(obs.tap()) }

// withTap reads the loop itself: events, batches, facts and commits. What it is given is valid until it returns.
func withTap(tap observe.Observer) Option {
	return func(o *options) { o.taps = append(o.taps, tap) }
}

// WithDialer connects to instances by d instead of connector.Dial.
func WithDialer(d Dialer) Option { return func(o *options) { o.dial = d } }
