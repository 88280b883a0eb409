package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// asPlugin is set in the environment of each plugin process.
const asPlugin = "TASKSCALER_PLUGIN_COOKIE"

// TestMain lets the test binary run as a plugin too; see installPlugin.
func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		plugin.Main(&oneInstance{}, plugin.VersionInfo{Name: "fleeting-plugin-fake"})
	}
	leakcheck.Main(m)
}

// installPlugin makes the plugin "fake", whose group is a oneInstance, in dir.
func installPlugin(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "fleeting-plugin-fake")); err != nil {
		t.Fatal(err)
	}
}
