package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProblemsAreThoseOfTheLatestReload: the status says what the latest reload did not take, and nothing of the reloads before.
func TestProblemsAreThoseOfTheLatestReload(t *testing.T) {
	dir := t.TempDir()
	good := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	d := &Daemon{opts: Options{File: parse(t, dir, good), Select: "none", Logger: slog.New(slog.DiscardHandler)}}
	if d.lastReload() != nil {
		t.Error("there was a reload before the first one")
	}
	for n, step := range []struct{ text, problem string }{
		{"[[runners", "nothing was reloaded"},
		{good, ""},
		{strings.Replace(good, `log_level = "warn"`, `log_level = "info"`, 1), "log_level changed"},
		{"[[runners", "nothing was reloaded"},
		{good, ""},
	} {
		if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.reload(t.Context())
		last := d.lastReload()
		switch {
		case step.problem == "" && len(last.Problems) > 0:
			t.Errorf("reload %d was good, but has the problems %q", n+1, last.Problems)
		case step.problem != "" && (len(last.Problems) != 1 || !strings.Contains(last.Problems[0], step.problem)):
			t.Errorf("reload %d has the problems %q, want one with %q", n+1, last.Problems, step.problem)
		}
	}
}
