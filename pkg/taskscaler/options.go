package taskscaler

import (
	"context"
	"errors"
	"log/slog"
	"reflect"

	"github.com/taskscaler/taskscaler/internal/clock"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// Option configures an optional part of a manager, such as its store or its logger. New refuses an option whose argument is nil: to get the
// default, leave the option out.
type Option func(*options)

type options struct {
	store statestore.Store
	log   *slog.Logger
	ready ReadyFunc
	taps  []observe.Observer
	dial  Dialer
	clock clock.Clock // tests set the wall clock

	journalDir string
	journal    JournalOptions

	faults []error // options that New refuses
}

func (o *options) refuse(fault string) { o.faults = append(o.faults, errors.New(fault)) }

// given returns an Option that calls set, unless value is nil.
func given(name string, value any, set func(*options)) Option {
	if absent(value) {
		return func(o *options) {
			o.refuse("the argument of " + name + " is nil: leave the option out to get its default")
		}
	}
	return set
}

// absent reports whether value is nil, or an interface that holds a nil pointer or function.
func absent(value any) bool {
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// Dialer connects to an instance. connector.Dial is the default one.
type Dialer func(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error)

// ReadyFunc prepares and tests a new instance in the embedder's own way. It runs after the ready command and before the first job. The
// instance gets no lease before ReadyFunc returns nil.
//
// After an error of the kind provider.KindTransient or KindThrottled, the manager tries again later. After any other error, it deletes the
// instance. ctx ends at the deadline of the preparation. Calls for different instances may run at the same time.
type ReadyFunc func(ctx context.Context, inst ReadyInstance) error

// ReadyInstance is the argument of a [ReadyFunc].
type ReadyInstance struct {
	ID       string               // the provider's name of the instance
	Info     provider.ConnectInfo // address and credentials
	Client   connector.Client     // a connection; the manager closes it after the ReadyFunc has returned
	Restored bool                 // the stored state knew the instance when the manager started
	Leases   []string             // the keys of the leases that a restored instance had at that time; nil if it is new
}

// WithStore keeps the state in s. Shutdown closes s. Default: a store in memory, which is lost when the manager ends.
func WithStore(s statestore.Store) Option {
	return given("WithStore", s, func(o *options) { o.store = s })
}

// WithLogger logs facts, warnings and errors to log. Default: nothing is logged. The manager waits for the handler, so it must not block.
func WithLogger(log *slog.Logger) Option {
	return given("WithLogger", log, func(o *options) { o.log = log })
}

// WithReadyFunc calls f for each instance before it gets its first lease. Default: nil, an instance is ready after its ready command.
func WithReadyFunc(f ReadyFunc) Option {
	return given("WithReadyFunc", f, func(o *options) { o.ready = f })
}

// WithObserver calls obs for every fact, in order, after the fact is committed. obs runs on the goroutine that serves all callers, so it
// must return quickly and must not call the manager. The option may be given more than once.
func WithObserver(obs Observer) Option {
	return given("WithObserver", obs, withTap(obs.tap()))
}

// withTap passes the loop's own data to tap: events, batches, facts and commits. The data are valid until tap returns.
func withTap(tap observe.Observer) Option {
	return func(o *options) { o.taps = append(o.taps, tap) }
}

// WithDialer connects to instances with d. Default: connector.Dial.
func WithDialer(d Dialer) Option {
	return given("WithDialer", d, func(o *options) { o.dial = d })
}
