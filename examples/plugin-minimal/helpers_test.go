package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// The code of docs/plugins.md about the helpers: a group of machines in a cloud.

type vmGroup struct {
	Name     string            `json:"name"`
	Region   string            `json:"region"`
	BootWait provider.Duration `json:"boot_wait,omitempty"`

	settings secret.Value[provider.Settings]
	log      *slog.Logger
	names    pluginkit.Names
	labels   pluginkit.Labels
	key      plugin.Key
	states   *pluginkit.States
	api      *vmAPI
}

type vm struct {
	ID, Status, Address string
	Labels              map[string]string
}

// Init checks all keys, and says all faults at once.
func (g *vmGroup) Init(_ context.Context, log hclog.Logger, settings provider.Settings) (info provider.ProviderInfo, err error) {
	g.settings, g.log = secret.Hide(settings), pluginkit.Slog(log)
	g.names = pluginkit.Names{Prefix: g.Name}
	var faults pluginkit.Faults
	faults.Check("name", g.names.Check())
	faults.Required("region", g.Region)
	faults.NotNegative("boot_wait", g.BootWait)
	g.labels, err = pluginkit.GroupLabels(g.Name)
	if g.Name != "" {
		faults.Check("name", err)
	}
	if err := faults.Err(); err != nil {
		return provider.ProviderInfo{}, err
	}
	if g.key, err = plugin.KeyIn(settings.StateDir, settings.ConnectorConfig, g.Name); err != nil {
		return provider.ProviderInfo{}, err
	}
	g.states = pluginkit.NewStates(map[string]provider.State{"ACTIVE": provider.StateRunning, "BUILD": provider.StateCreating, "STOPPING": provider.StateDeleting},
		provider.StateCreating, func(word string) { g.log.Warn("the API has a state that this plugin does not know", "state", word) })
	return provider.ProviderInfo{ID: "vm/" + g.Region + "/" + g.Name}, nil
}

// machines returns all machines of the group: all pages, or an error.
func (g *vmGroup) machines(ctx context.Context) ([]vm, error) {
	return pluginkit.Pages(ctx, func(ctx context.Context, token string) ([]vm, string, error) {
		return g.api.list(ctx, g.labels.Selector(), token)
	})
}

func (g *vmGroup) Update(ctx context.Context, update func(id string, state provider.State)) error {
	machines, err := g.machines(ctx)
	for _, m := range machines {
		update(m.ID, g.states.Of(m.Status))
	}
	return err
}

// Increase makes at most five calls at once, and none after the first that fails.
func (g *vmGroup) Increase(ctx context.Context, delta int) (int, error) {
	return pluginkit.Times(ctx, delta, 5, func(ctx context.Context, _ int) error {
		return g.api.create(ctx, g.names.New(), g.labels, g.key.Public)
	})
}

// Decrease deletes what is the group's, and goes on after a delete that fails.
func (g *vmGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return pluginkit.Each(ctx, ids, 5, func(ctx context.Context, id string) error {
		m, err := g.api.get(ctx, id)
		if err == nil && !g.labels.Own(m.Labels) {
			err = provider.Errorf(provider.KindNotFound, "machine %s is not one of the group", id)
		}
		if err == nil {
			err = g.api.delete(ctx, id)
		}
		return pluginkit.Gone(err)
	})
}

func (g *vmGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	m, err := g.api.get(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	info := pluginkit.Connect(g.settings.Reveal(), provider.ConnectInfo{
		ID: id, InternalAddr: m.Address, ConnectorConfig: provider.ConnectorConfig{OS: "linux", Username: "ubuntu"},
	})
	g.key.Use(&info.ConnectorConfig)
	return info, nil
}

// vmAPI is a cloud with room for max machines, whose lists have pages of two.
type vmAPI struct {
	max int

	mu  sync.Mutex
	vms []vm
}

func (a *vmAPI) list(_ context.Context, selector, token string) (page []vm, next string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if selector != "managed-by=taskscaler,taskscaler-group=ci" {
		return nil, "", provider.Errorf(provider.KindConfig, "the selector is %q", selector)
	}
	var from int
	if token != "" {
		if _, err := fmt.Sscan(token, &from); err != nil {
			return nil, "", err
		}
	}
	to := min(from+2, len(a.vms))
	if to < len(a.vms) {
		next = fmt.Sprint(to)
	}
	return slices.Clone(a.vms[from:to]), next, nil
}

func (a *vmAPI) create(_ context.Context, name string, labels map[string]string, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.vms) == a.max:
		return provider.Errorf(provider.KindQuota, "%d machines are allowed", a.max)
	case key != "" && !strings.HasPrefix(key, "ssh-"): // "": the image knows the operator's password
		return provider.Errorf(provider.KindConfig, "%q is not a key", key)
	}
	a.vms = append(a.vms, vm{name, "ACTIVE", "10.0.0.1", labels})
	return nil
}

func (a *vmAPI) get(_ context.Context, id string) (vm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.IndexFunc(a.vms, func(m vm) bool { return m.ID == id }); i >= 0 {
		return a.vms[i], nil
	}
	return vm{}, provider.Errorf(provider.KindNotFound, "there is no machine %s", id)
}

func (a *vmAPI) delete(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.vms = slices.DeleteFunc(a.vms, func(m vm) bool { return m.ID == id })
	return nil
}

func (g *vmGroup) Shutdown(context.Context) error { return nil }

// TestGuidesHelpers: the group of the guide fulfils the contract, and leaves the machines of others alone.
func TestGuidesHelpers(t *testing.T) {
	newVMs := func(*testing.T) provider.InstanceGroup {
		return &vmGroup{Name: "ci", Region: "eu", api: &vmAPI{max: 8}}
	}
	conform(t, newVMs, func(_ *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
		g := old.(*vmGroup)
		return &vmGroup{Name: g.Name, Region: g.Region, api: g.api}
	})
	g := newVMs(t).(*vmGroup)
	if _, err := g.Init(t.Context(), hclog.NewNullLogger(), provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	g.api.vms = []vm{{"ci-web", "ACTIVE", "10.0.0.9", map[string]string{"team": "web"}}}
	if gone, err := g.Decrease(t.Context(), []string{"ci-web"}); len(gone) != 1 || err != nil || len(g.api.vms) != 1 {
		t.Errorf("a machine of somebody else: %v, %v; %v is left", gone, err, g.api.vms)
	}
	_, err := (&vmGroup{BootWait: -1}).Init(t.Context(), nil, provider.Settings{})
	if got, want := fmt.Sprint(err), "config: plugin_config: name is empty; region is missing; boot_wait is -1ns, and must not be negative"; got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}
