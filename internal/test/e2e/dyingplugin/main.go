// Command dyingplugin is a plugin that completes the handshake and ends when Init is called. Under the name fleeting-plugin-waits, its Init
// waits until its caller gives up.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// group accepts the configuration of the fake plugin, which it replaces in the test.
type group struct {
	inner     provider.InstanceGroup
	RecordDir string         `json:"record_dir"`
	LifeLimit string         `json:"life_limit"`
	Boot      map[string]any `json:"boot"`
}

// Init ends the process, or waits.
func (*group) Init(ctx context.Context, _ hclog.Logger, _ provider.Settings) (provider.ProviderInfo, error) {
	if filepath.Base(os.Args[0]) == "fleeting-plugin-waits" {
		<-ctx.Done()
		return provider.ProviderInfo{}, context.Cause(ctx)
	}
	_, _ = os.Stderr.WriteString("out of luck\n")
	os.Exit(3)
	return provider.ProviderInfo{}, nil
}

// The other methods are never called.

func (g *group) Update(ctx context.Context, f func(string, provider.State)) error {
	return g.inner.Update(ctx, f)
}
func (g *group) Increase(ctx context.Context, n int) (int, error) { return g.inner.Increase(ctx, n) }
func (g *group) Decrease(ctx context.Context, ids []string) ([]string, error) {
	return g.inner.Decrease(ctx, ids)
}
func (g *group) Shutdown(context.Context) error { return nil }
func (g *group) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	return g.inner.ConnectInfo(ctx, id)
}

func main() { plugin.Main(&group{}, plugin.VersionInfo{Name: "fleeting-plugin-dies"}) }
