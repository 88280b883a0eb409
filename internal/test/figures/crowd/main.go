// Command crowd is a plugin whose instances cost nothing: they exist in its memory only, run at once, and all have the address of one SSH server. So a
// measurement of a manager with many instances does not measure the instances.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// group is the configuration and the instances.
type group struct {
	Address  string `json:"address"`   // of the SSH server, host:port
	HostKey  string `json:"host_key"`  // of that server, as one line of authorized_keys
	Listed   int    `json:"listed"`    // instances that exist at the start; they are listed as creating, so nobody connects to them
	Calls    string `json:"calls"`     // a file that has the number of lists and of heartbeats
	Vitality bool   `json:"heartbeat"` // whether there are heartbeats

	mu    sync.Mutex
	all   []string // in the order of their creation
	made  int
	lists int
	beats atomic.Int64
}

// Init makes the instances that exist at the start.
func (g *group) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	for range g.Listed {
		g.add()
	}
	info := provider.ProviderInfo{ID: "crowd", MaxSize: 1_000_000, Capabilities: []provider.Capability{}}
	if g.Vitality {
		info.Capabilities = append(info.Capabilities, provider.CapabilityHeartbeat)
	}
	return info, nil
}

func (g *group) add() {
	g.made++
	g.all = append(g.all, fmt.Sprintf("i-%012x", g.made))
}

// Update lists all instances.
func (g *group) Update(_ context.Context, f func(string, provider.State)) error {
	g.mu.Lock()
	g.lists++
	all, n := slices.Clone(g.all), g.lists
	g.mu.Unlock()
	for i, id := range all {
		if i < g.Listed {
			f(id, provider.StateCreating)
			continue
		}
		f(id, provider.StateRunning)
	}
	return os.WriteFile(g.Calls, fmt.Appendln(nil, n, g.beats.Load()), 0o600)
}

// Increase makes n instances.
func (g *group) Increase(_ context.Context, n int) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.add()
	}
	return n, nil
}

// Decrease removes these instances.
func (g *group) Decrease(_ context.Context, ids []string) ([]string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	g.all = slices.DeleteFunc(g.all, func(id string) bool { return gone[id] })
	return ids, nil
}

// ConnectInfo returns the one address.
func (g *group) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{
		ConnectorConfig: provider.ConnectorConfig{OS: "linux", Arch: "amd64", Protocol: provider.ProtocolSSH, Username: "nobody", Password: "none"},
		ID:              id, InternalAddr: g.Address, HostKeys: []string{g.HostKey},
	}, nil
}

// Heartbeat says that the instance is healthy.
func (g *group) Heartbeat(context.Context, string) error {
	g.beats.Add(1)
	return nil
}

// Shutdown does nothing.
func (g *group) Shutdown(context.Context) error { return nil }

func main() { plugin.Main(&group{}, plugin.VersionInfo{Name: "fleeting-plugin-crowd"}) }
