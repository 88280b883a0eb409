package static

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// defaultResetTimeout is the default of reset_timeout.
const defaultResetTimeout = 10 * time.Minute

// InstanceGroup is a list of hosts. Its exported fields are the keys of plugin_config.
type InstanceGroup struct {
	Name            string          `json:"name,omitempty"`              // name of the group; state is bound to it. Default: "static".
	Dir             string          `json:"dir,omitempty"`               // folder of the state. Default: ".taskscaler-static/<name>" in the working directory.
	Instances       map[string]Host `json:"instances,omitempty"`         // the hosts by name
	InstancesFile   string          `json:"instances_file,omitempty"`    // a TOML file with one table for each host, instead of Instances; read again at each list and reload
	ResetCommand    string          `json:"reset_command,omitempty"`     // runs on a host after each use; the host is free when it succeeds. Default: none.
	ResetTimeout    duration        `json:"reset_timeout,omitzero"`      // how long it may take. Default: 10m.
	UseExternalAddr bool            `json:"use_external_addr,omitempty"` // the plugin itself connects to external_addr, if both are set
	NoCheck         bool            `json:"no_check,omitempty"`          // do not connect to a host before it is taken into use, and not at a heartbeat: the plugin cannot reach the hosts

	// Manager is the id of the process that uses this group. All processes with one Dir must have the same. Default: this process.
	Manager int `json:"-"`

	log      hclog.Logger
	settings secret.Value[provider.Settings]
	dial     dialFunc // nil: the network
	claimed  *os.File // open as long as this process works with Dir

	mu      sync.Mutex
	hosts   map[string]Host // as last read
	left    map[string]Host // that are no longer in the list, and may still be in use
	silent  map[string]bool // hosts that did not answer when they were last asked
	resets  map[string]*reset
	ends    context.Context // with Shutdown
	end     context.CancelFunc
	working sync.WaitGroup
}

var (
	_ provider.InstanceGroup = (*InstanceGroup)(nil)
	_ provider.Heartbeater   = (*InstanceGroup)(nil)
	_ provider.Describer     = (*InstanceGroup)(nil)
)

// Init reads the configuration and the hosts. It changes nothing, because a second process of the plugin does the same at each reload.
func (g *InstanceGroup) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	g.log, g.settings = log, secret.Hide(settings)
	if g.log == nil {
		g.log = hclog.NewNullLogger()
	}
	if err := g.prepare(); err != nil {
		return provider.ProviderInfo{}, &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	g.left, g.silent, g.resets = map[string]Host{}, map[string]bool{}, map[string]*reset{}
	g.ends, g.end = context.WithCancel(context.Background())
	if err := g.claimDir(ctx); err != nil {
		return provider.ProviderInfo{}, err
	}
	return g.describe(), nil
}

func (g *InstanceGroup) describe() provider.ProviderInfo {
	return provider.ProviderInfo{ID: "static/" + g.Name, MaxSize: len(g.hosts)}
}

// Describe reads the hosts again.
func (g *InstanceGroup) Describe(context.Context) (provider.ProviderInfo, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.reread(); err != nil {
		return provider.ProviderInfo{}, &provider.Error{Kind: provider.KindConfig, Err: err}
	}
	return g.describe(), nil
}

// reread reads instances_file again, and keeps the hosts of before if that fails. g.mu is held.
func (g *InstanceGroup) reread() error {
	if g.InstancesFile == "" {
		return nil
	}
	hosts, err := g.read()
	if err != nil {
		return err
	}
	for name, h := range g.hosts {
		if _, still := hosts[name]; !still {
			g.left[name] = h
			g.log.Info("the host is no longer in the list; it is not taken into use again", "host", name)
		}
	}
	for name := range hosts {
		if _, had := g.hosts[name]; !had {
			g.log.Info("the host is new in the list", "host", name)
		}
		delete(g.left, name)
	}
	g.hosts = hosts
	return nil
}

// host returns a host that is in the list, or was when it was taken into use. g.mu is held.
func (g *InstanceGroup) host(name string) (Host, bool) {
	h, ok := g.hosts[name]
	if !ok {
		h, ok = g.left[name]
	}
	return h, ok
}

// Update lists the uses. It also begins the resets that an earlier process did not end.
func (g *InstanceGroup) Update(ctx context.Context, update func(id string, state provider.State)) error {
	uses := map[string]provider.State{}
	err := g.locked(ctx, func(s *state) (bool, error) {
		if err := g.reread(); err != nil {
			g.log.Warn("the list of hosts cannot be used, so the hosts of before stay: correct it", "error", err)
		}
		for name, u := range s.Uses {
			if uses[u.id(name)] = provider.StateRunning; u.Resetting {
				uses[u.id(name)] = provider.StateDeleting
				g.startReset(name, u.id(name))
			}
		}
		g.startCleaning(s)
		return false, nil
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(uses)) {
		update(id, uses[id])
	}
	return nil
}

// Increase takes free hosts into use, those first that rested for longest. A host that does not answer is left out, and asked last the next time.
func (g *InstanceGroup) Increase(ctx context.Context, delta int) (int, error) {
	taken, resetting := 0, 0
	silent := map[string]error{}
	for taken < delta && ctx.Err() == nil {
		var free []candidate
		err := g.locked(ctx, func(s *state) (bool, error) {
			if err := g.reread(); err != nil {
				return false, provider.Errorf(provider.KindConfig, "%w", err)
			}
			g.startCleaning(s)
			free, resetting = g.free(s, silent)
			return false, nil
		})
		if err != nil {
			return taken, err
		}
		if len(free) == 0 {
			break
		}
		fit := g.answering(ctx, free, delta-taken, silent) // without the lock: it takes a while, and other calls may take the same hosts
		n, err := g.take(ctx, fit, silent)
		if taken += n; err != nil {
			return taken, err
		}
	}
	switch {
	case taken == delta:
		return taken, nil
	case ctx.Err() != nil:
		return taken, provider.Errorf(provider.KindTransient, "%d of %d hosts were taken into use: %w", taken, delta, context.Cause(ctx))
	}
	return taken, provider.Errorf(provider.KindCapacity, "no further host is free: %s", g.why(resetting, silent))
}

// take takes hosts into use, as far as they are free.
func (g *InstanceGroup) take(ctx context.Context, fit []candidate, silent map[string]error) (n int, err error) {
	err = g.locked(ctx, func(s *state) (bool, error) {
		for name := range silent {
			g.silent[name] = true
		}
		for _, c := range fit {
			delete(g.silent, c.name)
			if _, listed := g.hosts[c.name]; listed && s.Uses[c.name] == nil && !g.unclean(s, c.name) {
				s.take(c.name)
				n++
			}
		}
		return n > 0, nil
	})
	if err != nil {
		n = 0
	}
	return n, err
}

// Decrease ends uses. Without a reset command a host is free at once.
func (g *InstanceGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var accepted []string
	var failed error
	err := g.locked(ctx, func(s *state) (changed bool, err error) {
		accepted, failed = nil, nil
		for _, id := range ids {
			name, u := s.find(id)
			switch {
			case u == nil: // already gone
			case g.ResetCommand == "":
				s.free(name)
				changed = true
			case !u.Resetting:
				u.Resetting, changed = true, true
				g.startReset(name, u.id(name))
			default:
				g.startReset(name, u.id(name))
				if why := g.resets[u.id(name)].latest(); why != nil {
					failed = provider.Errorf(provider.KindTransient, "host %s is not free: %w", name, why)
					continue
				}
			}
			accepted = append(accepted, id)
		}
		return changed, nil
	})
	if err != nil {
		return nil, err
	}
	return accepted, failed
}

// ConnectInfo says how to reach the host of an instance. What is set for the host wins over connector_config.
func (g *InstanceGroup) ConnectInfo(ctx context.Context, id string) (info provider.ConnectInfo, err error) {
	name, h, err := g.used(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	info, err = g.connectInfo(&h, id)
	if err != nil {
		return info, fmt.Errorf("host %s: %w", name, err)
	}
	return info, nil
}

// errUnlisted says that a host left the list while it was in use, and that the process which knew it has ended. Its jobs go on.
var errUnlisted = errors.New("is no longer in the list, and its address is not known any more")

// used returns the host of an instance.
func (g *InstanceGroup) used(ctx context.Context, id string) (name string, h Host, err error) {
	err = g.locked(ctx, func(s *state) (bool, error) {
		n, u := s.find(id)
		if u == nil {
			return false, provider.Errorf(provider.KindNotFound, "no host is in use as %s", id)
		}
		var ok bool
		if h, ok = g.host(n); !ok {
			return false, provider.Errorf(provider.KindTransient, "host %s, in use as %s, %w: put it back until its jobs have ended", n, id, errUnlisted)
		}
		name = n
		return false, nil
	})
	return name, h, err
}

// Shutdown ends resets that run; the next process repeats them. All hosts stay in use.
func (g *InstanceGroup) Shutdown(ctx context.Context) error {
	if g.end == nil { // Init failed
		return nil
	}
	g.end()
	over := make(chan struct{})
	go func() { g.working.Wait(); close(over) }()
	defer g.release()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return provider.Errorf(provider.KindTransient, "a reset command does not end: %w", context.Cause(ctx))
	}
}
