package providertest

import (
	"context"
	"fmt"
	"io"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// Options says how to make the groups under test. Only New is required.
type Options struct {
	// New returns a configured group before its Init: an empty one, or one with the machines of a fixed list. The suite calls it once, and calls Shutdown.
	// New registers every other cleanup with t.Cleanup.
	New func(t *testing.T) provider.InstanceGroup

	// Reopen returns another value, before its Init, for the same provider group as old, which may be in use or shut down. Nil: what a second start finds
	// is not checked.
	Reopen func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup

	// Fixed says that the group's machines can be neither created nor removed (a static list).
	Fixed bool

	// Sicken makes a running instance unhealthy. Nil: the suite checks the heartbeat of healthy instances only.
	Sicken func(ctx context.Context, g provider.InstanceGroup, id string) error

	// Settle is called between two lists while the suite waits for a state. A modelled cloud advances its clock here. Nil: the suite
	// waits 20 ms.
	Settle func(ctx context.Context, g provider.InstanceGroup)

	// Settings are passed to Init. One check changes them.
	Settings provider.Settings

	// Timeout is how long one wait (for a boot or a removal) may take. Default: 2m.
	Timeout time.Duration

	// Give is how long a call may take to return after its context has ended. Default: 2m.
	Give time.Duration

	// Machines is how many instances the suite may have at once. Default: 3.
	Machines int
}

// hang bounds everything that the suite waits for, unless the options set another time. Only a hang reaches it: it is far longer than a
// busy machine needs.
const hang = 2 * time.Minute

// Run checks everything that package provider promises about an InstanceGroup. The checks are those of package conformance, each a subtest of t with its id as
// the name. They are made in turn on one group.
func Run(t *testing.T, opts Options) {
	if opts.Timeout == 0 {
		opts.Timeout = hang
	}
	if opts.Give == 0 {
		opts.Give = hang
	}
	tgt := &target{Options: opts, t: t}
	var run conformance.Target = tgt
	if opts.Reopen != nil {
		run = reopener{tgt}
	}
	report := conformance.Run(t.Context(), run, conformance.Options{
		Settings: opts.Settings, Live: true, Fixed: opts.Fixed, Machines: opts.Machines, Timeout: opts.Timeout, CallTimeout: hang, Give: opts.Give, Poll: poll,
		Sicken: opts.Sicken, Settle: opts.Settle,
		Done: func(r conformance.Result) { t.Run(r.ID, func(t *testing.T) { tell(t, r) }) },
	})
	if n := report.Count(conformance.NotReached); n > 0 && report.Count(conformance.Fail) == 0 {
		t.Errorf("%d checks could not be made", n)
	}
}

// poll is the longest pause between two lists.
const poll = 20 * time.Millisecond

// tell turns a result into that of a test.
func tell(t *testing.T, r conformance.Result) {
	t.Helper()
	for _, f := range r.Findings {
		t.Errorf("%s\nsaw: %s\nchange: %s\nwhy it matters: %s", r.Title, f.Saw, f.Change, r.Why)
	}
	if r.Status == conformance.Skip || r.Status == conformance.NotReached {
		t.Skipf("%s: %s", r.Status, r.Reason)
	}
}

// target is the group under test.
type target struct {
	Options
	t *testing.T

	mu    sync.Mutex
	first provider.InstanceGroup
}

type reopener struct{ *target }

// Format writes no field: the settings hold secrets.
func (s *target) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "a group under test") }

// value is a group after its Init.
type value struct {
	group provider.InstanceGroup
	info  provider.ProviderInfo
}

var (
	_ conformance.Target   = (*target)(nil)
	_ conformance.Reopener = reopener{}
	_ conformance.Handle   = value{}
)

// Open implements conformance.Target.
func (s *target) Open(ctx context.Context, settings provider.Settings) (conformance.Handle, error) {
	var g provider.InstanceGroup
	unlabelled(ctx, func() { g = s.New(s.t) })
	s.mu.Lock()
	s.first = g
	s.mu.Unlock()
	return initialise(ctx, g, settings)
}

// Reopen implements conformance.Reopener.
func (r reopener) Reopen(ctx context.Context, settings provider.Settings) (conformance.Handle, error) {
	r.mu.Lock()
	first := r.first
	r.mu.Unlock()
	var g provider.InstanceGroup
	unlabelled(ctx, func() { g = r.Options.Reopen(r.t, first) })
	return initialise(ctx, g, settings)
}

// unlabelled calls f so that the goroutines that it starts, such as those of a test server, are not taken for the group's.
func unlabelled(ctx context.Context, f func()) {
	pprof.SetGoroutineLabels(context.Background())
	defer pprof.SetGoroutineLabels(ctx)
	f()
}

func initialise(ctx context.Context, g provider.InstanceGroup, settings provider.Settings) (conformance.Handle, error) {
	info, err := g.Init(ctx, hclog.NewNullLogger(), settings)
	if err != nil {
		return nil, err
	}
	return value{g, info}, nil
}

// Group implements conformance.Handle.
func (v value) Group() provider.InstanceGroup { return v.group }

// Info implements conformance.Handle.
func (v value) Info() provider.ProviderInfo { return v.info }

// Close implements conformance.Handle.
func (v value) Close(ctx context.Context) error { return v.group.Shutdown(ctx) }
