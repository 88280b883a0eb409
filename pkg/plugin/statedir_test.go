package plugin_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// starts returns how many processes of the test plugin wrote to the state folder.
func starts(t *testing.T, dir string) int {
	t.Helper()
	written, err := os.ReadFile(filepath.Join(dir, "starts"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(written), "\n")
}

// TestStateDir: the host makes the folder, for its user only, and a plugin that is started again finds what it wrote.
func TestStateDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "plugin")
	opts := quick(`{"group": "g"}`)
	opts.StateDir = dir
	p := start(t, opts)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 || starts(t, dir) != 1 {
		t.Fatalf("%v, %v, %d starts", info, err, starts(t, dir))
	}
	signal(t, p.Status().PID, syscall.SIGKILL)
	untilBack(t, p, 1)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if starts(t, dir) != 2 {
		t.Errorf("%d starts wrote to the folder, want 2", starts(t, dir))
	}
	if err := os.Remove(filepath.Join(dir, "starts")); err != nil {
		t.Fatal(err)
	}
	p = launch(t, opts) // no Init, so nothing is written
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("an empty folder stays: %v", err)
	}
}

// TestStateDirOfSettings: what Init is given wins.
func TestStateDirOfSettings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	opts := quick(`{"group": "g"}`)
	opts.StateDir = filepath.Join(t.TempDir(), "other")
	p := launch(t, opts)
	if _, err := p.Init(t.Context(), nil, provider.Settings{StateDir: dir}); err != nil {
		t.Fatal(err)
	}
	if starts(t, dir) != 1 || starts(t, opts.StateDir) != 0 {
		t.Errorf("%d and %d starts", starts(t, dir), starts(t, opts.StateDir))
	}
}

// TestStateDirThatCannotBe: a file in the place of the folder is a fault of the configuration.
func TestStateDirThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opts := quick(`{"group": "g"}`)
	opts.StateDir = file
	p, err := plugin.Launch(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "state_storage.dir") {
		t.Errorf("Init: %v", err)
	}
}
