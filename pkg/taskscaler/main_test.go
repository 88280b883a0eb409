package taskscaler

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// idle returns a schedule with this number of idle slots and this idle time.
func idle(t testing.TB, slots int, idleTime time.Duration) *policy.Schedule {
	t.Helper()
	s, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: slots, IdleTime: idleTime}}}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixture is a manager with its own group, store, network and log.
type fixture struct {
	*Taskscaler
	t     testing.TB
	group *testGroup
	as    provider.InstanceGroup // what the manager sees of group; nil: group itself
	net   *testNet
	store statestore.Store
	log   *logBuffer
	facts *factLog
	cfg   Config
}

type option func(*fixture)

func withGroup(f func(*testGroup)) option     { return func(x *fixture) { f(x.group) } }
func withConfig(f func(*Config)) option       { return func(x *fixture) { f(&x.cfg) } }
func withStore(s statestore.Store) option     { return func(x *fixture) { x.store = s } }
func withNet(f func(*testNet)) option         { return func(x *fixture) { f(x.net) } }
func onGroup(g *testGroup, n *testNet) option { return func(x *fixture) { x.group, x.net = g, n } }

// start starts a manager with at most four instances of two slots and an idle target of one slot. It ends with the test.
func start(t testing.TB, opts ...any) *fixture {
	t.Helper()
	f := &fixture{t: t, group: newGroup(), net: &testNet{}, store: statestore.NewMemory(), log: &logBuffer{}, facts: &factLog{}}
	f.cfg = Config{Name: "test", CapacityPerInstance: 2, MaxInstances: 4, Policies: idle(t, 1, time.Minute)}
	options := []Option{}
	for _, o := range opts {
		switch o := o.(type) {
		case option:
			o(f)
		case Option:
			options = append(options, o)
		default:
			t.Fatalf("option of type %T", o)
		}
	}
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	base := []Option{WithStore(f.store), WithLogger(log), WithDialer(f.net.dial), withTap(observe.Observer{Fact: f.facts.add})}
	if f.as == nil {
		f.as = f.group
	}
	ts, err := New(t.Context(), f.as, f.cfg, append(base, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	f.Taskscaler = ts
	return f
}

// end shuts the manager down at once. Leases stay in the store.
func (f *fixture) end() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Shutdown(ctx); err != nil {
		f.t.Errorf("Shutdown: %v", err)
	}
}

// crash ends the manager and returns its store for the next one, as a crash of the process does.
func (f *fixture) crash() (statestore.Store, *testGroup) {
	f.t.Helper()
	next := f.store.(*statestore.Memory).Reopen()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = f.Shutdown(ctx) // its store is replaced, so nothing of the shutdown is stored
	return next, f.group.restart()
}

func (f *fixture) acquire(key string) *Lease {
	f.t.Helper()
	l, err := f.Acquire(context.Background(), key)
	if err != nil {
		f.t.Fatalf("Acquire(%q): %v\n%s", key, err, f.log)
	}
	return l
}

func (f *fixture) status() Status {
	f.t.Helper()
	s, err := f.Status(context.Background())
	if err != nil {
		f.t.Fatalf("Status: %v", err)
	}
	return s
}

// until polls cond while time passes. what names the condition.
func (f *fixture) until(what string, cond func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Minute); ; time.Sleep(time.Second) {
		if synctest.Wait(); cond() {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the condition was never true: %s\n%s", what, f.log)
		}
	}
}

// bubble runs f in a synctest bubble, where time passes only when every goroutine waits.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) has(text string) bool { return strings.Contains(b.String(), text) }

type factLog struct {
	mu  sync.Mutex
	all []scaler.Fact
}

func (l *factLog) add(f *scaler.Fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, *f)
}

func (l *factLog) of(kind scaler.FactKind) []scaler.Fact {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []scaler.Fact
	for _, f := range l.all {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}
