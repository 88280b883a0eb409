package setup

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// lockWorld is a configuration with two plugins, which are real ones: one in the layout, and one below the folder of the configuration.
func lockWorld(t *testing.T) (dir string, file *config.File, find plugin.FindOptions) {
	t.Helper()
	dir = t.TempDir()
	binary := filepath.Join(dir, "plugins", "mine")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=1.5.0", "-o", binary, "../../plugins/static/cmd/fleeting-plugin-static").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	installVersion(t, dir, "1.5.0")
	text := ""
	for i, name := range []string{"aws:1", "./plugins/mine"} {
		text += fmt.Sprintf("[[runners]]\nname = \"r%d\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 1\n", i, name)
	}
	return dir, parse(t, dir, text), plugin.FindOptions{Dirs: []string{filepath.Join(dir, "installed")}}
}

// installVersion copies the plugin into the layout.
func installVersion(t *testing.T, dir, version string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "plugins", "mine"))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "installed/a.example/x/aws", version)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "plugin")
	if err := os.WriteFile(path, append(raw, version...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLockFile: without a lock everything installed runs; with one, exactly what it says, and the version that it says.
func TestLockFile(t *testing.T) {
	dir, file, find := lockWorld(t)
	check := func(want ...string) {
		t.Helper()
		for i, r := range file.Runners {
			err := CheckPlugin(file, r, find)
			var lock *LockError
			switch {
			case want[i] == "" && err != nil, want[i] != "" && (!errors.As(err, &lock) || !strings.Contains(err.Error(), want[i]) || !strings.Contains(err.Error(), LockFile)):
				t.Errorf("runner %d: %v, want %q", i, err, want[i])
			}
		}
	}
	check("", "")
	lock, changes, err := NewLock(t.Context(), file, find)
	if err != nil || len(changes) != 2 || changes[0].New.Version != "1.5.0" || changes[1].New.Version != "1.5.0" || changes[1].New.Name != "./plugins/mine" || changes[0].Old != (LockedPlugin{}) {
		t.Fatalf("%+v, %v", changes, err)
	}
	check("", "") // it is not written yet
	if err := lock.Write(); err != nil {
		t.Fatal(err)
	}
	check("", "")
	installVersion(t, dir, "1.6.0") // a newer one does not run before it is locked
	launch, err := Plugin(file, file.Runners[0], find)
	if err != nil || !strings.Contains(launch.Path, "1.5.0") || launch.SHA256 != changes[0].New.SHA256 || !strings.Contains(launch.SHA256From, LockFile) || launch.InsecurePath {
		t.Errorf("%+v, %v", launch, err)
	}
	check("", "")
	if _, changes, err = NewLock(t.Context(), file, find); err != nil || changes[0].New.Version != "1.6.0" || changes[0].Old.Version != "1.5.0" || changes[1].Old != changes[1].New {
		t.Errorf("%+v, %v", changes, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugins", "mine"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	check("", "taskscaler plugin lock")
	if found := CheckLock(file, file.Runners, find); len(found) != 1 || found[0].Line != 11 {
		t.Errorf("%v", found)
	}
	if found := CheckLock(file, file.Runners[:1], plugin.FindOptions{}); len(found) != 0 {
		t.Errorf("a plugin that is not installed here: %v", found)
	}
	if _, _, err := NewLock(t.Context(), file, find); err == nil || !strings.Contains(err.Error(), "not a taskscaler plugin") {
		t.Errorf("what is no plugin is locked: %v", err)
	}
	file.Runners[0].Autoscaler.PluginSHA256 = strings.Repeat("ab", 32)
	check("another sum for plugin \"aws:1\" than plugin_sha256", "taskscaler plugin lock")
}

// TestSecurityLockedBytes: the bytes that are executed are compared with the lock, also if the file is replaced after the check.
func TestSecurityLockedBytes(t *testing.T) {
	dir, file, find := lockWorld(t)
	lock, _, err := NewLock(t.Context(), file, find)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Write(); err != nil {
		t.Fatal(err)
	}
	launch, err := Plugin(file, file.Runners[1], find)
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, "mark")
	if err := os.Remove(launch.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(launch.Path, []byte("#!/bin/sh\n: > "+mark+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = plugin.Launch(t.Context(), launch)
	var refusal *plugin.LaunchError
	if !errors.As(err, &refusal) || refusal.Reason != plugin.ReasonChecksum || !strings.Contains(err.Error(), lock.Path) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("other bytes were run")
	}
}

// TestLockFilesThatAreNone: a lock that cannot be used stops every start, and says why.
func TestLockFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	file := parse(t, dir, "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"/bin/true\"\nmax_instances = 1\n")
	entry := func(name, platform string) string {
		return fmt.Sprintf("[[plugin]]\nname = %q\nplatform = %q\nversion = \"1\"\nsha256 = %q\n", name, platform, strings.Repeat("ab", 32))
	}
	path := filepath.Join(dir, LockFile)
	for text, want := range map[string]string{
		"":                                    "version 0, and this taskscaler reads version 1: " + lockRemedy,
		"version = 2\n":                       "it has the version 2, and this taskscaler reads version 1",
		"version = 1\nnonsense = 2\n":         `line 2: unknown key "nonsense"`,
		"version = 1\n[[plugin]\n":            "line 2: ",
		"version = 1\n[[plugin]]\nname = 'x'": "has no name, no platform or no sha256",
		"version = 1\n" + entry("x", Platform()) + entry("x", Platform()):               "is there twice",
		"version = 1\n" + entry("x", Platform()) + entry("/bin/true", "plan9/mips"):     `plugin "/bin/true" is not in it for ` + Platform(),
		"version = 1\n" + entry("/bin/true", Platform()) + strings.Repeat("#", maxLock): "more than",
		"version = 1\n" + entry("/bin/true", Platform()):                                "the sum of plugin",
	} {
		writeFile(t, path, text)
		var lock *LockError
		if err := CheckPlugin(file, file.Runners[0], plugin.FindOptions{}); !errors.As(err, &lock) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Plugin(file, file.Runners[0], plugin.FindOptions{}); err == nil || !strings.Contains(err.Error(), "chmod o-w "+path) {
		t.Errorf("%v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Plugin(file, file.Runners[0], plugin.FindOptions{}); err == nil || !strings.Contains(err.Error(), "not a regular file: "+lockRemedy) {
		t.Errorf("%v", err)
	}
}

// TestLockedKey: the key that must have signed a plugin outlives its versions, and holds for other platforms until they have their own.
func TestLockedKey(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.toml")
	lock, err := OpenLock(config)
	if err != nil {
		t.Fatal(err)
	}
	const name = "registry.example.com/ci/aws:1"
	lock.SetKey(name, "no entry")
	if key := lock.Key(name); key != "" {
		t.Errorf("without an entry: %q", key)
	}
	lock.Plugins = []LockedPlugin{{Name: name, Platform: "plan9/mips", Version: "1.0", SHA256: strings.Repeat("0", 64), Key: "theirs"}}
	lock.Set(name, "1.1", strings.Repeat("1", 64), "")
	if key := lock.Key(name); key != "theirs" {
		t.Errorf("of another platform: %q", key)
	}
	lock.SetKey(name, "ours")
	lock.Set(name, "1.2", strings.Repeat("2", 64), "")
	if err := lock.Write(); err != nil {
		t.Fatal(err)
	}
	again, err := ReadLock(config)
	if err != nil {
		t.Fatal(err)
	}
	if key := again.Key(name); key != "ours" || again.Plugins[1].Key != "theirs" {
		t.Errorf("%q, %+v", key, again.Plugins)
	}
	if key := again.Key("registry.example.com/ci/other"); key != "" {
		t.Errorf("of another plugin: %q", key)
	}
	if key := (*Lock)(nil).Key(name); key != "" {
		t.Errorf("no lock: %q", key)
	}
}
