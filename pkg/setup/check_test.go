package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// TestCheckFiles: each runner is checked for itself, and every fault has a line and a key.
func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"fleeting-plugin-fake": 0o755, "bad.key": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("not a key\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	runner := func(name, plugin, rest string) string {
		return "[[runners]]\nname = \"" + name + "\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"" + plugin + "\"\n" + rest
	}
	file := parse(t, dir, runner("no-key", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"bad.key\"\n")+
		runner("fine", "fake", "")+
		runner("unreadable", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"none\"\n")+
		runner("private", "fake", "[runners.autoscaler.connector_config]\nkey_path = \"none\"\n")+
		runner("absent", "other", "")+
		runner("unit", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"$CREDENTIALS_DIRECTORY/none\"\n"))
	find := plugin.FindOptions{Beside: dir}
	for in, want := range map[string][]string{
		"":  {"state_storage.key_file age-keygen", "state_storage.key_file none", "connector_config.key_path none", "plugin not installed"},
		dir: {"state_storage.key_file age-keygen", "state_storage.key_file none", "connector_config.key_path none", "plugin not installed", "state_storage.key_file none"},
	} {
		got := CheckFiles(file, file.Runners, find, func(string) string { return in })
		if len(got) != len(want) {
			t.Fatalf("in a unit with %q: %v", in, got)
		}
		for i, p := range got {
			f := strings.SplitN(want[i], " ", 2)
			if p.Key != "runners.autoscaler."+f[0] || !strings.Contains(p.Message+p.Remedy, f[1]) || p.Line == 0 || p.Path != file.Path {
				t.Errorf("fault %d is %+v, want %q", i, p, want[i])
			}
		}
	}
	if got := CheckFiles(file, file.Runners[1:2], find, os.Getenv); len(got) > 0 {
		t.Errorf("only the good runner: %v", got)
	}
}
