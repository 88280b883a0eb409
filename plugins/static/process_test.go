package static

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// TestPluginProcess runs the conformance suite with the real binary, and then kills the plugin: the hosts that are in use stay so.
func TestPluginProcess(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "fleeting-plugin-static")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/fleeting-plugin-static").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	configs := map[provider.InstanceGroup]json.RawMessage{}
	launch := func(t *testing.T, config json.RawMessage) *plugin.Process {
		p, err := plugin.Launch(t.Context(), plugin.LaunchOptions{Path: bin, Config: config, RelaunchMin: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		configs[p] = config
		return p
	}
	fresh := func(t *testing.T) *plugin.Process {
		config, err := json.Marshal(&InstanceGroup{Dir: filepath.Join(t.TempDir(), "state"), Instances: hosts(t, 3)})
		if err != nil {
			t.Fatal(err)
		}
		return launch(t, config)
	}
	providertest.Run(t, providertest.Options{
		New:    func(t *testing.T) provider.InstanceGroup { return fresh(t) },
		Reopen: func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup { return launch(t, configs[old]) },
	})
	t.Run("killed plugin", func(t *testing.T) {
		p := fresh(t)
		if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
			t.Fatal(err)
		}
		if n, err := p.Increase(t.Context(), 2); n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, "the plugin is back", func() bool { s := p.Status(); return s.Up && s.Restarts > 0 })
		listed := map[string]provider.State{}
		if err := p.Update(t.Context(), func(id string, s provider.State) { listed[id] = s }); err != nil || len(listed) != 2 ||
			listed["h1-1"] != provider.StateRunning || listed["h2-1"] != provider.StateRunning {
			t.Errorf("the plugin that was started again lists %v, %v", listed, err)
		}
	})
	t.Run("unknown key", func(t *testing.T) {
		p := launch(t, json.RawMessage(`{"instances":{"a":{"internal_adr":"10.0.0.1"}}}`))
		if _, err := p.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindConfig {
			t.Errorf("%v", err)
		}
	})
}
