package taskscaler

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// gate passes calls or holds them, and counts how many were inside at the same time.
type gate struct {
	mu        sync.Mutex
	now, most int
	total     int
	hold      chan struct{} // nil: open
	limits    []time.Duration
}

func (g *gate) pass(ctx context.Context) {
	g.mu.Lock()
	g.now++
	g.total++
	g.most = max(g.most, g.now)
	if at, ok := ctx.Deadline(); ok {
		g.limits = append(g.limits, time.Until(at))
	} else {
		g.limits = append(g.limits, 0)
	}
	hold := g.hold
	g.mu.Unlock()
	if hold != nil {
		<-hold // ignores ctx, as a faulty provider does
	}
	g.mu.Lock()
	g.now--
	g.mu.Unlock()
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold != nil {
		close(g.hold)
		g.hold = nil
	}
}

func (g *gate) count() (total, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total, g.most
}

// gates are the calls to a group, by kind. The first ConnectInfo of an instance is its preparation. The further ones are look-ups, because
// the connect info expires at once.
type gates struct{ increase, decrease, prepare, lookup, heartbeat, list gate }

func (g *gates) all() map[string]*gate {
	return map[string]*gate{
		"increase": &g.increase, "decrease": &g.decrease, "prepare": &g.prepare, "lookup": &g.lookup, "heartbeat": &g.heartbeat, "list": &g.list,
	}
}

func (g *gates) install(group *testGroup) {
	prepared := map[string]bool{}
	group.onIncrease = func(ctx context.Context, n int) (int, error) { g.increase.pass(ctx); return n, nil }
	group.onDecrease = func(ctx context.Context, ids []string) ([]string, error) { g.decrease.pass(ctx); return ids, nil }
	group.onHeartbeat = func(ctx context.Context, _ string) error { g.heartbeat.pass(ctx); return nil }
	group.onUpdate = func(ctx context.Context) error { g.list.pass(ctx); return nil }
	group.onConnect = func(ctx context.Context, id string) (provider.ConnectInfo, error) {
		group.mu.Lock()
		again := prepared[id]
		prepared[id] = true
		group.mu.Unlock()
		if again {
			g.lookup.pass(ctx)
		} else {
			g.prepare.pass(ctx)
		}
		at := time.Now()
		return provider.ConnectInfo{ID: id, Expires: &at}, nil
	}
}

// TestFireHungCallHoldsUpNothingElse: if a call of one of the six kinds hangs, calls of the other five kinds and leases continue.
func TestFireHungCallHoldsUpNothingElse(t *testing.T) {
	for name := range (&gates{}).all() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var calls gates
				f := start(t, withGroup(calls.install), withConfig(func(c *Config) {
					c.CapacityPerInstance, c.MaxInstances, c.Policies = 1, 40, idle(t, 6, time.Hour)
					c.UpdateInterval = 10 * time.Second
				}))
				f.until("six free slots", func() bool { return f.status().Counts.Free == 6 })
				sick, held := f.acquire("sick"), f.acquire("held")
				f.until("six free slots again", func() bool { return f.status().Counts.Free == 6 })
				before := map[string]int{}
				for kind, g := range calls.all() {
					before[kind], _ = g.count()
				}
				calls.all()[name].close()
				if err := sick.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil { // causes a delete
					t.Fatal(err)
				}
				looked := make(chan error, 1)
				go func() { _, err := held.ConnectInfo(context.Background()); looked <- err }()
				for i := range 6 { // causes creates and, when the instances are listed, preparations
					if l := f.acquire(fmt.Sprint("job-", i)); l.Waited() != 0 {
						t.Errorf("an Acquire waited for a free slot: %v", l.Waited())
					}
				}
				time.Sleep(3 * time.Minute)
				for kind, g := range calls.all() {
					needs := kind == "prepare" && (name == "increase" || name == "list") // then there is no new instance to prepare
					if n, _ := g.count(); n == before[kind] && kind != name && !needs {
						t.Errorf("no call of kind %s while one of kind %s hung", kind, name)
					}
				}
				if err := f.Release(context.Background(), "job-0"); err != nil {
					t.Error(err)
				}
				if name != "lookup" {
					if err := <-looked; err != nil {
						t.Errorf("look-up: %v", err)
					}
				}
				calls.all()[name].open()
				f.end()
			})
		})
	}
}

// TestFireBounds: for each kind of call, the number of calls at the same time reaches its bound and does not exceed it.
func TestFireBounds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 100
		var calls gates
		f := start(t, withGroup(calls.install), withConfig(func(c *Config) {
			c.CapacityPerInstance, c.MaxInstances, c.Policies = 1, n, idle(t, n, time.Hour)
			c.ConnectInfoTimeout, c.HeartbeatTimeout = time.Hour, time.Hour
		}))
		calls.prepare.close()
		most := func(name string, g *gate, want int) {
			t.Helper()
			time.Sleep(2 * time.Minute)
			if _, most := g.count(); most != want {
				t.Errorf("%s: %d at the same time, want %d", name, most, want)
			}
			g.open()
		}
		most("prepares", &calls.prepare, preparesAtOnce)
		f.until("n free slots", func() bool { return f.status().Counts.Free == n })
		leases := make([]*Lease, n)
		for i := range leases {
			leases[i] = f.acquire(fmt.Sprint("job-", i))
		}
		calls.lookup.close()
		var wg sync.WaitGroup
		for _, l := range leases[:40] {
			wg.Go(func() {
				if _, err := l.ConnectInfo(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		most("look-ups", &calls.lookup, lookupsAtOnce)
		wg.Wait()
		calls.heartbeat.close()
		most("heartbeats", &calls.heartbeat, heartbeatsAtOnce)
		for _, l := range leases[:30] {
			if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
				t.Fatal(err)
			}
		}
		f.until("the deletes", func() bool { return f.group.count("decrease") > 0 })
		if _, most := calls.decrease.count(); most != 1 {
			t.Errorf("%d deletes at the same time", most)
		}
		if _, most := calls.increase.count(); most != 1 {
			t.Errorf("%d creates at the same time", most)
		}
		f.end()
	})
}

// TestFireEveryCallHasADeadline: each kind of call has its own deadline, which the configuration sets.
func TestFireEveryCallHasADeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls gates
		f := start(t, withGroup(calls.install), withConfig(func(c *Config) {
			c.IncreaseTimeout, c.DecreaseTimeout, c.HeartbeatTimeout = time.Hour, 3*time.Minute, 20*time.Second
			c.ConnectInfoTimeout, c.UpdateTimeout = 40*time.Second, 50*time.Second
		}))
		l := f.acquire("job")
		if _, err := l.ConnectInfo(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("the delete", func() bool { return f.group.count("decrease") > 0 })
		for kind, want := range map[string]time.Duration{
			"increase": f.cfg.IncreaseTimeout, "decrease": f.cfg.DecreaseTimeout, "heartbeat": f.cfg.HeartbeatTimeout,
			"lookup": f.cfg.ConnectInfoTimeout, "list": f.cfg.UpdateTimeout, "prepare": f.cfg.ConnectInfoTimeout,
		} {
			g := calls.all()[kind]
			g.mu.Lock()
			if len(g.limits) == 0 || slices.Min(g.limits) != want || slices.Max(g.limits) != want {
				t.Errorf("%s: %v, want %v", kind, g.limits, want)
			}
			g.mu.Unlock()
		}
		f.end()
	})
}

// TestFireResultOfAnEarlierMachine: an instance disappears while it is prepared, and a new instance gets its ID. The late result of the
// first preparation is ignored and not stored.
func TestFireResultOfAnEarlierMachine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		hold := make(chan struct{})
		var n atomic.Int32
		f := start(t, withStore(store), withConfig(func(c *Config) {
			c.CapacityPerInstance, c.MaxInstances, c.ReadyCommand = 1, 1, "true"
		}), withGroup(func(g *testGroup) {
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				return provider.ConnectInfo{ID: id, ConnectorConfig: provider.ConnectorConfig{Password: fmt.Sprint("of-machine-", n.Add(1))}}, nil
			}
			g.onIncrease = func(_ context.Context, k int) (int, error) {
				time.Sleep(10 * time.Second)                                // meanwhile, lists without the first instance arrive
				g.change(func() { g.next = 0; delete(g.states, "i-0001") }) // every instance gets the ID i-0001
				return k, nil
			}
		}), withNet(func(net *testNet) {
			net.run = func(context.Context, string, connector.RunOptions) error {
				if n.Load() == 1 {
					<-hold
				}
				return nil
			}
		}))
		f.until("the first preparation", func() bool { return n.Load() == 1 })
		f.group.change(func() { f.group.states["i-0001"] = provider.StateDeleted })
		l := f.acquire("job")
		if s := f.status(); len(s.Instances) != 1 || l.serial != 2 {
			t.Fatalf("the lease has serial %d: %+v", l.serial, s.Instances)
		}
		commits := store.count()
		close(hold)
		time.Sleep(time.Second)
		if info, err := l.ConnectInfo(t.Context()); err != nil || info.Password != "of-machine-2" || n.Load() != 2 {
			t.Errorf("connect info %q, %v", info.Password, err)
		}
		if c := f.status().Counts; c.Leases != 1 || c.ReadyCount != 1 || store.count() != commits {
			t.Errorf("%d commits, counts %+v", store.count()-commits, c)
		}
		snap, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if text := string(snap.Secrets["i-0001"]); !strings.Contains(text, "of-machine-2") {
			t.Errorf("stored: %s", text)
		}
		f.end()
	})
}

// TestFireSecretsGoWithTheirMachine: connect info is stored before its instance is ready. It is removed from the store and from memory with
// its instance.
func TestFireSecretsGoWithTheirMachine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store), withConfig(func(c *Config) { c.MaxInstances = 1 }))
		defer f.end()
		l := f.acquire("job")
		snap, err := store.Load(t.Context())
		if err != nil || len(snap.Secrets["i-0001"]) == 0 {
			t.Errorf("an instance is leased, but its connect info is not stored: %v", err)
		}
		if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("the instance is gone", func() bool { return f.status().Instances[0].State == "gone" })
		if _, ok := f.vault.get(record.ID("i-0001")); ok {
			t.Error("the connect info of a gone instance is still in memory")
		}
		if snap, err = store.Load(t.Context()); err != nil || len(snap.Secrets["i-0001"]) != 0 {
			t.Errorf("the connect info of a gone instance is still in the store: %v", err)
		}
	})
}

// TestFireNothingAfterShutdown: calls that return after the shutdown have no effect, and no new call starts.
func TestFireNothingAfterShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls gates
		store := newStore()
		f := start(t, withGroup(calls.install), withStore(store), withConfig(func(c *Config) {
			c.CapacityPerInstance, c.Policies = 1, idle(t, 2, time.Hour)
		}))
		f.until("two free slots", func() bool { return f.status().Counts.Free == 2 })
		sick := f.acquire("sick")
		for _, g := range calls.all() {
			g.close()
		}
		if err := sick.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		commits, before := store.count(), map[string]int{}
		for kind, g := range calls.all() {
			before[kind], _ = g.count()
			g.open()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for kind, g := range calls.all() {
			if n, _ := g.count(); n != before[kind] {
				t.Errorf("%d calls of kind %s after the shutdown", n-before[kind], kind)
			}
		}
		if store.count() != commits || f.group.shut != 1 {
			t.Errorf("%d commits after the shutdown; the group was shut down %d times", store.count()-commits, f.group.shut)
		}
	})
}

// TestFireCommitThatOutlastsTheShutdown: the commands of its batch are not started. The next start finds them in the store.
func TestFireCommitThatOutlastsTheShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, hold := newStore(), make(chan struct{})
		f := start(t, withStore(store), withConfig(func(c *Config) { c.CapacityPerInstance = 1 }))
		f.until("a free slot", func() bool { return f.status().Counts.Free == 1 })
		sick := f.acquire("sick")
		f.until("another free slot", func() bool { return f.status().Counts.Free == 1 })
		store.set(func(context.Context, statestore.Commit) error { <-hold; return nil })
		go func() { _ = sick.ReleaseUnhealthy(context.Background(), "it is broken") }() // one instance is deleted, and one is created
		synctest.Wait()
		increases, deletes := f.group.count("increase"), f.group.count("decrease")
		time.AfterFunc(callGrace+loopGrace/2, func() { close(hold) })
		f.end()
		synctest.Wait()
		if i, d := f.group.count("increase")-increases, f.group.count("decrease")-deletes; i != 0 || d != 0 {
			t.Errorf("%d creates and %d deletes were called after the shutdown had stopped waiting for calls", i, d)
		}
		snap, err := store.Memory.Reopen().Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, rec := range snap.State.Instances {
			if rec.DeleteAsked {
				asked++
			}
		}
		if asked != 1 {
			t.Errorf("%d deletes are in the store, want 1", asked)
		}
	})
}
