package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// single is a group for one caller: it has no lock, so the race detector finds two callers.
type single struct {
	ids   []string
	calls int
	slow  chan struct{} // if it is not nil, Increase waits until it is closed
	began chan struct{} // Increase closes it before it waits
}

func (s *single) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: "single"}, nil
}

func (s *single) Update(_ context.Context, update func(string, provider.State)) error {
	s.calls++
	for _, id := range s.ids {
		update(id, provider.StateRunning)
	}
	return nil
}

func (s *single) Increase(_ context.Context, delta int) (int, error) {
	s.calls++
	if s.slow != nil {
		close(s.began)
		<-s.slow
	}
	for range delta {
		s.ids = append(s.ids, fmt.Sprint("m", len(s.ids)))
	}
	return delta, nil
}

func (s *single) Decrease(_ context.Context, ids []string) ([]string, error) {
	s.calls++
	s.ids = slices.DeleteFunc(s.ids, func(id string) bool { return slices.Contains(ids, id) })
	return ids, nil
}

func (s *single) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	s.calls++
	return provider.ConnectInfo{ID: id}, nil
}

func (s *single) Shutdown(context.Context) error { s.calls++; return nil }

// sleeper is a single with all optional methods.
type sleeper struct{ single }

func (s *sleeper) Heartbeat(context.Context, string) error { s.calls++; return nil }
func (s *sleeper) Suspend(_ context.Context, ids []string) ([]string, error) {
	s.calls++
	return ids, nil
}
func (s *sleeper) Resume(_ context.Context, ids []string) ([]string, error) {
	s.calls++
	return ids, nil
}
func (s *sleeper) Describe(context.Context) (provider.ProviderInfo, error) {
	s.calls++
	return provider.ProviderInfo{ID: "single", MaxSize: 9}, nil
}

func TestSerialOneAtATime(t *testing.T) {
	inner := &sleeper{}
	g := provider.Serial(inner)
	ctx := t.Context()
	if info, err := g.Init(ctx, hclog.NewNullLogger(), provider.Settings{}); err != nil || info.ID != "single" {
		t.Fatalf("%v, %v", info, err)
	}
	calls := []func() error{
		func() error { _, err := g.Increase(ctx, 1); return err },
		func() error { return g.Update(ctx, func(string, provider.State) {}) },
		func() error { _, err := g.Decrease(ctx, []string{"m0"}); return err },
		func() error { _, err := g.ConnectInfo(ctx, "m0"); return err },
		func() error { return g.(provider.Heartbeater).Heartbeat(ctx, "m0") },
		func() error { _, err := g.(provider.Suspender).Suspend(ctx, []string{"m0"}); return err },
		func() error { _, err := g.(provider.Suspender).Resume(ctx, []string{"m0"}); return err },
		func() error { _, err := g.(provider.Describer).Describe(ctx); return err },
		func() error { return g.Shutdown(ctx) },
	}
	const rounds = 50
	var all sync.WaitGroup
	for range rounds {
		for _, call := range calls {
			all.Go(func() {
				if err := call(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if inner.calls != rounds*len(calls) {
		t.Errorf("%d calls arrived of %d", inner.calls, rounds*len(calls))
	}
}

func TestSerialHasTheAbilitiesOfItsGroup(t *testing.T) {
	for _, c := range []struct {
		group provider.InstanceGroup
		want  string
	}{{&single{}, "[]"}, {&sleeper{}, "[heartbeat suspend_resume]"}, {provider.Serial(&sleeper{}), "[heartbeat suspend_resume]"}} {
		if got := fmt.Sprint(provider.CapabilitiesOf(provider.Serial(c.group))); got != c.want {
			t.Errorf("%T: %s, want %s", c.group, got, c.want)
		}
	}
	g := provider.Serial(&single{})
	ctx := t.Context()
	if _, err := g.Init(ctx, nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	if err := g.(provider.Heartbeater).Heartbeat(ctx, "m"); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("a heartbeat that the group does not have: %v", err)
	}
	for _, f := range []func(context.Context, []string) ([]string, error){g.(provider.Suspender).Suspend, g.(provider.Suspender).Resume} {
		if _, err := f(ctx, []string{"m"}); !errors.Is(err, provider.ErrSuspendResumeNotSupported) {
			t.Errorf("suspend and resume that the group does not have: %v", err)
		}
	}
	if info, err := g.(provider.Describer).Describe(ctx); err != nil || info.ID != "single" {
		t.Errorf("it describes itself as %v, %v", info, err)
	}
}

// A call whose context ends before its turn asks nothing of the group, and makes no instance unhealthy.
func TestSerialWaitsWithItsContext(t *testing.T) { synctest.Test(t, serialWaits) }

func serialWaits(t *testing.T) {
	inner := &sleeper{single{slow: make(chan struct{})}}
	g := provider.Serial(inner)
	var busy sync.WaitGroup
	inner.began = make(chan struct{})
	busy.Go(func() {
		if n, err := g.Increase(t.Context(), 2); n != 2 || err != nil {
			t.Errorf("Increase = %d, %v", n, err)
		}
	})
	<-inner.began
	for name, call := range map[string]func(ctx context.Context) error{
		"Heartbeat": func(ctx context.Context) error { return g.(provider.Heartbeater).Heartbeat(ctx, "m0") },
		"Increase":  func(ctx context.Context) error { _, err := g.Increase(ctx, 1); return err },
		"Decrease":  func(ctx context.Context) error { _, err := g.Decrease(ctx, []string{"m0"}); return err },
		"Update":    func(ctx context.Context) error { return g.Update(ctx, nil) },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the limit of the call")
		waits := time.AfterFunc(time.Minute, func() { cancel(gone) })
		if err := call(ctx); !errors.Is(err, gone) || provider.KindOf(err) != provider.KindThrottled {
			t.Errorf("%s, which got no turn: %v", name, err)
		}
		waits.Stop()
		if err := call(ctx); !errors.Is(err, gone) || provider.KindOf(err) != provider.KindTransient {
			t.Errorf("%s with a context that had ended: %v", name, err)
		}
	}
	close(inner.slow)
	busy.Wait()
	if inner.calls != 1 {
		t.Errorf("%d calls arrived", inner.calls)
	}
}

// clumsy is a group whose calls panic.
type clumsy struct{}

func (c *clumsy) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	panic("Init")
}
func (c *clumsy) Update(context.Context, func(string, provider.State)) error { panic("Update") }
func (c *clumsy) Increase(context.Context, int) (int, error)                 { panic("Increase") }
func (c *clumsy) Decrease(context.Context, []string) ([]string, error)       { panic("Decrease") }
func (c *clumsy) ConnectInfo(context.Context, string) (provider.ConnectInfo, error) {
	panic("ConnectInfo")
}
func (c *clumsy) Shutdown(context.Context) error                          { panic("Shutdown") }
func (c *clumsy) Heartbeat(context.Context, string) error                 { panic("Heartbeat") }
func (c *clumsy) Suspend(context.Context, []string) ([]string, error)     { panic("Suspend") }
func (c *clumsy) Resume(context.Context, []string) ([]string, error)      { panic("Resume") }
func (c *clumsy) Describe(context.Context) (provider.ProviderInfo, error) { panic("Describe") }

// A call that panics ends its turn: package plugin makes an error of the panic, and the plugin goes on.
func TestSerialAfterAPanic(t *testing.T) { synctest.Test(t, serialPanics) }

func serialPanics(t *testing.T) {
	g := provider.Serial(&clumsy{})
	for name, call := range map[string]func(ctx context.Context){
		"Init":        func(ctx context.Context) { _, _ = g.Init(ctx, nil, provider.Settings{}) },
		"Update":      func(ctx context.Context) { _ = g.Update(ctx, nil) },
		"Increase":    func(ctx context.Context) { _, _ = g.Increase(ctx, 1) },
		"Decrease":    func(ctx context.Context) { _, _ = g.Decrease(ctx, []string{"m"}) },
		"ConnectInfo": func(ctx context.Context) { _, _ = g.ConnectInfo(ctx, "m") },
		"Shutdown":    func(ctx context.Context) { _ = g.Shutdown(ctx) },
		"Heartbeat":   func(ctx context.Context) { _ = g.(provider.Heartbeater).Heartbeat(ctx, "m") },
		"Suspend":     func(ctx context.Context) { _, _ = g.(provider.Suspender).Suspend(ctx, []string{"m"}) },
		"Resume":      func(ctx context.Context) { _, _ = g.(provider.Suspender).Resume(ctx, []string{"m"}) },
		"Describe":    func(ctx context.Context) { _, _ = g.(provider.Describer).Describe(ctx) },
	} {
		for _, turn := range []string{"first", "second"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if p := panicOf(func() { call(ctx) }); p != name {
				t.Errorf("the %s %s got no turn: %v", turn, name, p)
			}
			cancel()
		}
	}
}

func panicOf(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}
