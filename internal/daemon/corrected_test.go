package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// TestReloadOfARunnerThatStartedCorrected: the plugin of a runner that could be started only with a corrected file has the values of that file. A later
// reload compares with these, not with those of the file that the manager was started with.
func TestReloadOfARunnerThatStartedCorrected(t *testing.T) {
	dir := t.TempDir()
	installPlugin(t, dir)
	text := func(region string, most string) string {
		return "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = " + most +
			"\nplugin_env = [\"REGION=" + region + "\"]\n"
	}
	o := Options{File: parse(t, dir, text("first", "1")), Logger: slog.New(slog.DiscardHandler), Plugins: plugin.FindOptions{Beside: dir}}
	d, err := newDaemon(o)
	if err != nil {
		t.Fatal(err)
	}
	r := d.runners[0]
	r.fail(errors.New("no plugin"))
	r.corrected <- parse(t, dir, text("second", "1")).Runners[0]
	limited, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	d.retry(limited, t.Context(), r)
	if r.running() == nil {
		t.Fatalf("it has not started: %v", r.failure().err)
	}
	for _, step := range []struct{ region, most, problem string }{
		{"second", "1", ""}, {"second", "2", ""}, {"first", "2", "plugin_env changed"}, {"second", "3", ""},
	} {
		if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text(step.region, step.most)), 0o600); err != nil {
			t.Fatal(err)
		}
		d.reload(limited)
		last := strings.Join(d.lastReload().Problems, "\n")
		if (last == "") != (step.problem == "") || !strings.Contains(last, step.problem) {
			t.Errorf("a file with the region %q: %q, want %q", step.region, last, step.problem)
		}
	}
	if err := errors.Join(r.running().Shutdown(t.Context()), d.Abandon()); err != nil {
		t.Error(err)
	}
}
