package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
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

// TestReloadChecksWhatAStartChecks: a file with a runner that a start would refuse changes nothing, and the status says so.
func TestReloadChecksWhatAStartChecks(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "fleeting-plugin-fake")
	if err := os.WriteFile(bin, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	good := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	for name, step := range map[string]struct{ from, to, want string }{
		"nested machines":                  {"[[runners.autoscaler.policy]]", "[runners.autoscaler.vm_isolation]\nenabled = true\n[[runners.autoscaler.policy]]", "nested machines are not supported"},
		"certificates that are not there":  {`protocol = "ssh"`, "protocol = \"winrm+https\"\nwinrm_ca_file = \"none\"", "cannot read the certificates"},
		"a plugin of a registry":           {`plugin = "fake"`, `plugin = "registry.example.com/group/fake:1"`, "names a registry"},
		"a plugin that is not installed":   {`plugin = "fake"`, `plugin = "another"`, "is not installed"},
		"a private key that is not there":  {`username = "me"`, "username = \"me\"\nkey_path = \"none\"", "cannot read the private key"},
		"a key of the state not there":     {"[runners.autoscaler.state_storage]", "[runners.autoscaler.state_storage]\nkey_file = \"none\"", "cannot read the key of the state"},
		"a fault":                          {"idle_count = 6", "idle_count = -6", "idle_count"},
		"a plugin that others can replace": {`plugin = "fake"`, `plugin = "open"`, "chmod go-w"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(step.to, `"open"`) {
				openToAll := filepath.Join(dir, "fleeting-plugin-open")
				if err := os.WriteFile(openToAll, nil, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(openToAll, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			file := parse(t, dir, good)
			text := strings.Replace(good, step.from, step.to, 1)
			if text == good {
				t.Fatalf("%q is not in the file", step.from)
			}
			if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			d := &Daemon{opts: Options{File: file, Logger: slog.New(slog.NewTextHandler(&log, nil)), Plugins: plugin.FindOptions{Beside: dir}}}
			d.runners = []*runner{{file: file.Runners[0], log: d.opts.Logger}} // a reload that reached its scaler would panic
			d.reload(t.Context())
			last := d.lastReload()
			if len(last.Problems) != 1 || len(last.Reloaded) > 0 || !strings.HasPrefix(last.Problems[0], "nothing was reloaded") ||
				!strings.Contains(last.Problems[0], step.want) || !strings.Contains(last.Problems[0], "config.toml:") {
				t.Errorf("%+v, want %q", last, step.want)
			}
			if !strings.Contains(log.String(), "the configuration was not reloaded") {
				t.Errorf("the log: %s", log.String())
			}
		})
	}
}

// TestReloadShowsWarnings: a reload shows the warnings of the file, as a start does, in the log and in the status.
func TestReloadShowsWarnings(t *testing.T) {
	dir := t.TempDir()
	good := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	text := strings.Replace(good, "idle_count = 6", "idle_count = 600000", 1)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d := &Daemon{opts: Options{File: parse(t, dir, good), Select: "none", Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	d.reload(t.Context())
	last := d.lastReload()
	if len(last.Problems) > 0 || !strings.Contains(strings.Join(last.Warnings, "\n"), "lower idle_count") || !strings.Contains(log.String(), "lower idle_count") {
		t.Errorf("%+v; the log: %s", last, log.String())
	}
}

// TestReloadNamesACorrectedRunner: a runner that was refused at the start and could run now needs a restart, which the status says.
func TestReloadNamesACorrectedRunner(t *testing.T) {
	dir := t.TempDir()
	good := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	refused := strings.Replace(good, "[[runners.autoscaler.policy]]", "[runners.autoscaler.vm_isolation]\nenabled = true\n[[runners.autoscaler.policy]]", 1)
	file := parse(t, dir, refused)
	d := &Daemon{opts: Options{File: file, Logger: slog.New(slog.DiscardHandler)}}
	d.refuse(file.Runners[0], "nested machines")
	for text, want := range map[string]string{refused: "", good: "can be run now and is not started: restart the manager"} {
		if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.reload(t.Context())
		if got := strings.Join(d.lastReload().Problems, "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
