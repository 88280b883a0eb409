package taskscaler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// testGroup is a cloud in memory. An instance runs after the time boot. The hooks that are set run first, and may block or fail.
type testGroup struct {
	id   string
	boot time.Duration
	max  int

	onInit      func() error
	onIncrease  func(ctx context.Context, n int) (int, error) // how many to create, perhaps with an error
	onDecrease  func(ctx context.Context, ids []string) ([]string, error)
	onUpdate    func(ctx context.Context) error
	onReport    func(n int) error // before a list reports instance n, starting at 0; an error ends the list
	onConnect   func(ctx context.Context, id string) (provider.ConnectInfo, error)
	onHeartbeat func(ctx context.Context, id string) error
	onShutdown  func(context.Context) error

	mu        *sync.Mutex // shared with the group of the next manager, which has the same instances: calls of the last one may still run
	next      int
	instances map[string]time.Time // by ID: when it runs
	states    map[string]provider.State
	calls     map[string]int
	deletes   [][]string               // IDs of each Decrease
	lists     map[context.Context]bool // of the list calls that run now
	shut      int
}

func newGroup() *testGroup {
	return &testGroup{
		id: "test/group", boot: time.Second, instances: map[string]time.Time{}, states: map[string]provider.State{}, calls: map[string]int{},
		lists: map[context.Context]bool{}, mu: &sync.Mutex{},
	}
}

// change changes the group or its hooks while the group is in use.
func (g *testGroup) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// hook reads a hook under the lock, because change may run at the same time.
func hook[F any](g *testGroup, f *F) F {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *f
}

// restart returns a group with the same instances for the next manager.
func (g *testGroup) restart() *testGroup {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &testGroup{id: g.id, boot: g.boot, max: g.max, instances: g.instances, states: g.states, calls: map[string]int{}, next: g.next,
		lists: map[context.Context]bool{}, mu: g.mu}
}

func (g *testGroup) count(call string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[call]
}

func (g *testGroup) called(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[call]++
}

func (g *testGroup) ids() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ids []string
	for id := range g.instances {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (g *testGroup) vanish(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.instances, id)
}

func (g *testGroup) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.next++
		g.instances[fmt.Sprintf("i-%04d", g.next)] = time.Now().Add(g.boot)
	}
}

func (g *testGroup) Init(_ context.Context, log hclog.Logger, _ provider.Settings) (provider.ProviderInfo, error) {
	g.called("init")
	log.Info("hello from the group", "id", g.id)
	if g.onInit != nil {
		if err := g.onInit(); err != nil {
			return provider.ProviderInfo{}, err
		}
	}
	return provider.ProviderInfo{ID: g.id, MaxSize: g.max, Version: "1.2.3"}, nil
}

func (g *testGroup) Capabilities() []provider.Capability {
	if g.onHeartbeat != nil {
		return []provider.Capability{provider.CapabilityHeartbeat}
	}
	return nil
}

func (g *testGroup) Update(ctx context.Context, update func(string, provider.State)) error {
	g.called("update")
	g.mu.Lock()
	overlap := false
	for other := range g.lists {
		overlap = overlap || other.Err() == nil
	}
	g.lists[ctx] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.lists, ctx)
	}()
	if overlap {
		panic("two lists at once")
	}
	if f := hook(g, &g.onUpdate); f != nil {
		if err := f(ctx); err != nil {
			return err
		}
	}
	cut := hook(g, &g.onReport)
	for n, id := range g.ids() {
		if cut != nil {
			if err := cut(n); err != nil {
				return err
			}
		}
		g.mu.Lock()
		state := g.states[id]
		if state == "" {
			state = provider.StateRunning
			if time.Now().Before(g.instances[id]) {
				state = provider.StateCreating
			}
		}
		g.mu.Unlock()
		update(id, state)
	}
	return nil
}

func (g *testGroup) Increase(ctx context.Context, n int) (int, error) {
	g.called("increase")
	var err error
	if f := hook(g, &g.onIncrease); f != nil {
		n, err = f(ctx, n)
	}
	g.add(n)
	return n, err
}

func (g *testGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	g.called("decrease")
	g.mu.Lock()
	g.deletes = append(g.deletes, slices.Clone(ids))
	g.mu.Unlock()
	if f := hook(g, &g.onDecrease); f != nil {
		if accepted, err := f(ctx, ids); accepted != nil || err != nil {
			for _, id := range accepted {
				g.vanish(id)
			}
			return accepted, err
		}
	}
	for _, id := range ids {
		g.vanish(id)
	}
	return ids, nil
}

func (g *testGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	g.called("connect")
	if f := hook(g, &g.onConnect); f != nil {
		return f(ctx, id)
	}
	return provider.ConnectInfo{ID: id, InternalAddr: "10.0.0.1:22", ConnectorConfig: provider.ConnectorConfig{Username: "root"}}, nil
}

func (g *testGroup) Heartbeat(ctx context.Context, id string) error {
	g.called("heartbeat")
	return hook(g, &g.onHeartbeat)(ctx, id)
}

func (g *testGroup) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.shut++
	g.mu.Unlock()
	if g.onShutdown != nil {
		return g.onShutdown(ctx)
	}
	return nil
}

// testNet dials the instances of a testGroup. Each instance has its own host key. The clients run no commands.
type testNet struct {
	mu    sync.Mutex
	keys  map[string]string // by instance, if the host key is not the usual one
	run   func(ctx context.Context, id string, o connector.RunOptions) error
	fail  func(id string) error
	dials int
	infos []provider.ConnectInfo
}

func (n *testNet) keyOf(id string) string {
	if k := n.keys[id]; k != "" {
		return k
	}
	return "ssh-ed25519 " + id
}

func (n *testNet) rekey(id, key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.keys == nil {
		n.keys = map[string]string{}
	}
	n.keys[id] = key
}

func (n *testNet) dial(_ context.Context, info provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	n.infos = append(n.infos, info)
	if n.fail != nil {
		if err := n.fail(info.ID); err != nil {
			return nil, err
		}
	}
	key := n.keyOf(info.ID)
	switch {
	case len(info.HostKeys) > 0 && !slices.Contains(info.HostKeys, key):
		return nil, &connector.HostKeyError{Address: info.InternalAddr, Presented: key, Pinned: info.HostKeys}
	case len(info.HostKeys) == 0 && opts.PinHostKey != nil:
		if err := opts.PinHostKey(key); err != nil {
			return nil, err
		}
	}
	return &testClient{id: info.ID, net: n, closed: make(chan struct{})}, nil
}

type testClient struct {
	connector.Client
	id     string
	net    *testNet
	once   sync.Once
	closed chan struct{}
}

func (c *testClient) Run(ctx context.Context, o connector.RunOptions) error {
	if c.net.run != nil {
		return c.net.run(ctx, c.id, o)
	}
	return nil
}

func (c *testClient) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
