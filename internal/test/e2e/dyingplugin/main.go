// Command dyingplugin is a plugin that completes the handshake and then does what its name says. fleeting-plugin-dies ends when Init is called.
// fleeting-plugin-waits does not return from Init until its caller gives up, fleeting-plugin-waitslater does so from the second Init on, for which a
// reload starts a second process, and fleeting-plugin-waitslist does not return from a list.
package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// group accepts the configuration of the fake plugin, which it replaces in the test. It has no instances.
type group struct {
	Name      string         `json:"name"`
	RecordDir string         `json:"record_dir"` // the folder for marks, by which a test sees which call waits
	LifeLimit string         `json:"life_limit"`
	Boot      map[string]any `json:"boot"`
}

func is(name string) bool { return filepath.Base(os.Args[0]) == "fleeting-plugin-"+name }

// mark makes a file in the folder of records. first reports that it did not exist.
func (g *group) mark(name string) (first bool) {
	_ = os.MkdirAll(g.RecordDir, 0o700)
	f, err := os.OpenFile(filepath.Join(g.RecordDir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_ = f.Close()
	}
	return !errors.Is(err, fs.ErrExist)
}

// waits makes a mark and returns when the caller gives up.
func (g *group) waits(ctx context.Context) error {
	g.mark("waits")
	<-ctx.Done()
	return context.Cause(ctx)
}

// Init ends the process, waits, or returns.
func (g *group) Init(ctx context.Context, _ hclog.Logger, _ provider.Settings) (provider.ProviderInfo, error) {
	switch {
	case is("waits"), is("waitslater") && !g.mark("first"):
		return provider.ProviderInfo{}, g.waits(ctx)
	case is("dies"):
		_, _ = os.Stderr.WriteString("out of luck\n")
		os.Exit(3)
	}
	return provider.ProviderInfo{ID: "dying"}, nil
}

// Update lists nothing, or waits.
func (g *group) Update(ctx context.Context, _ func(string, provider.State)) error {
	if is("waitslist") {
		return g.waits(ctx)
	}
	return nil
}

// The other methods are never called.

func (*group) Increase(context.Context, int) (int, error) { return 0, errors.ErrUnsupported }
func (*group) Decrease(context.Context, []string) ([]string, error) {
	return nil, errors.ErrUnsupported
}
func (*group) Shutdown(context.Context) error { return nil }
func (*group) ConnectInfo(context.Context, string) (provider.ConnectInfo, error) {
	return provider.ConnectInfo{}, errors.ErrUnsupported
}

func main() { plugin.Main(&group{}, plugin.VersionInfo{Name: "fleeting-plugin-dies"}) }
