package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pluginFolder makes a plugin folder and sets it for the commands: a real plugin in two versions, and files that are none.
func pluginFolder(t *testing.T) (dir, real string) {
	t.Helper()
	dir = t.TempDir()
	real = filepath.Join(dir, "a.example", "x", "hosts", "1.5.0", "plugin")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=1.5.0", "-o", real, "../../plugins/static/cmd/fleeting-plugin-static").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"a.example/x/hosts/1.4.0/plugin": append(raw, "older"...), "fleeting-plugin-text": []byte("see README\n"), "fleeting-plugin-quiet": []byte("#!/bin/sh\n"), "fleeting-plugin-open": raw,
		"fleeting-plugin-empty": nil, "fleeting-plugin-note": []byte("see README\n"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"fleeting-plugin-text": 0o644, "fleeting-plugin-open": 0o777} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir, real
}

// tryIn runs a command that finds the plugins of a folder only.
func tryIn(dir string, args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(context.Background(), args, environment{stdin: strings.NewReader(""), stdout: &out, stderr: &err, getenv: func(key string) string {
		if key == "TASKSCALER_PLUGIN_PATH" {
			return dir
		}
		return ""
	}})
	return code, out.String(), err.String()
}

func contains(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s: no %q in:\n%s", what, w, text)
		}
	}
}

func TestPluginCommands(t *testing.T) {
	dir, real := pluginFolder(t)
	code, stdout, stderr := tryIn(dir, "plugin", "list")
	if code != 0 || stderr != "" {
		t.Fatalf("%d, %s", code, stderr)
	}
	contains(t, "list", stdout, "* a.example/x/hosts  1.5.0", "  a.example/x/hosts  1.4.0", "NOT TRUSTED  "+dir+"/fleeting-plugin-text", "it is a text file", "NOT TRUSTED  "+dir+"/fleeting-plugin-open", "chmod go-w ", "is an empty file")
	if got := strings.Count(stdout, "* "); got != 2 { // hosts and quiet
		t.Errorf("%d plugins would start:\n%s", got, stdout)
	}
	var list []foundPlugin
	if code, stdout, _ := tryIn(dir, "plugin", "list", "--json"); code != 0 || json.Unmarshal([]byte(stdout), &list) != nil || len(list) < 5 {
		t.Fatalf("%d: %s", code, stdout)
	}
	seen := 0
	for _, f := range list {
		if f.Path == real {
			seen++
			if !f.Used || !f.Trusted || len(f.SHA256) != 64 || f.Version != "1.5.0" {
				t.Errorf("%+v", f)
			}
		}
	}
	if seen != 1 {
		t.Errorf("it is listed %d times", seen)
	}
	for name, want := range map[string]string{"hosts": real, "hosts:1.4": strings.Replace(real, "1.5.0", "1.4.0", 1), "quiet": filepath.Join(dir, "fleeting-plugin-quiet")} {
		if code, stdout, stderr := tryIn(dir, "plugin", "path", name); code != 0 || stdout != want+"\n" || !strings.HasPrefix(stderr, "it is ") {
			t.Errorf("path %s: %d, %q, %q", name, code, stdout, stderr)
		}
	}
	code, stdout, stderr = tryIn(dir, "plugin", "info", "hosts")
	if code != 0 || stderr != "" {
		t.Errorf("info: %d, %s", code, stderr)
	}
	contains(t, "info", stdout, "version       1.5.0", "protocol      taskscaler plugin 1", "capabilities  heartbeat", real, "newest of 2 installed versions")
	var info pluginInfo
	if code, stdout, _ := tryIn(dir, "plugin", "info", "--json", "hosts:1.4"); code != 0 || json.Unmarshal([]byte(stdout), &info) != nil || info.About.Protocol != 1 || info.Version != "1.4.0" {
		t.Errorf("%d: %s", code, stdout)
	}
	for name, want := range map[string]string{
		"text": "it is a text file", "quiet": "is not a taskscaler plugin", "open": "chmod go-w", "hosts:2": "installed are 1.5.0, 1.4.0", "none": "is not installed", "./none": "there is no file",
	} {
		if code, stdout, stderr := tryIn(dir, "plugin", "info", name); code != exitFailed || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("info %s: %d, %q, %q", name, code, stdout, stderr)
		}
	}
	for _, line := range []string{"plugin info", "plugin path a b", "plugin nope", "plugin list x", "plugin lock", "plugin path --config= x"} {
		if code, _, stderr := tryIn(dir, strings.Fields(line)...); code != exitUsage || stderr == "" {
			t.Errorf("%s: %d, %q", line, code, stderr)
		}
	}
}

func TestPluginLock(t *testing.T) {
	dir, real := pluginFolder(t)
	config := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(config, []byte("[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"hosts\"\nmax_instances = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(filepath.Dir(config), "taskscaler.lock")
	step := func(code int, want string, args ...string) {
		t.Helper()
		if got, stdout, stderr := tryIn(dir, args...); got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: %d, %q, %q; want %q", args, got, stdout, stderr, want)
		}
	}
	step(exitFailed, "there is no taskscaler.lock beside", "plugin", "lock", "--check", "--config", config)
	step(0, "hosts  1.5.0  sha256 ", "plugin", "lock", "--config", config)
	step(0, "(unchanged)", "plugin", "lock", "--config", config)
	step(0, "(as locked)", "plugin", "lock", "--check", "--config", config)
	step(0, lock+" has it in version 1.5.0", "plugin", "path", "--config", config, "hosts")
	step(0, "0 faults", "validate", config)
	raw, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(real); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(real, append(raw, "patched"...), 0o755); err != nil {
		t.Fatal(err)
	}
	step(exitFailed, "config.toml:5: runners.autoscaler.plugin: "+lock+": the sum of plugin \"hosts\" is ", "validate", config)
	step(exitFailed, "config.toml:5: runners.autoscaler.plugin: "+lock, "validate", "--files", config)
	step(exitFailed, "run `taskscaler plugin lock`", "plugin", "lock", "--check", "--config", config)
	if code, stdout, stderr := tryIn(dir, "plugin", "path", "--config", config, "hosts"); code != exitFailed || stdout != "" || !strings.Contains(stderr, lock+": the sum of plugin \"hosts\" is ") {
		t.Errorf("path of other bytes: %d, %q, %q", code, stdout, stderr)
	}
	step(exitFailed, "plugin \"quiet\" is not in it", "plugin", "path", "--config", config, "quiet")
	step(exitFailed, "give the path of a config.toml", "plugin", "path", "--config", config+".none", "hosts")
	step(exitFailed, "give the path of a config.toml", "plugin", "lock", "--config", config+".none")
	step(exitUsage, "did you mean \"new\"?", "plugin", "nwe")
	step(exitFailed, "the sum in "+lock, "plugin", "info", "--config", config, "hosts")
	step(exitFailed, "the sum of plugin", "run", "--config", config, "--socket", filepath.Join(t.TempDir(), "s"))
	step(0, "other bytes of the same version", "plugin", "lock", "--config", config)
	step(0, "0 faults", "validate", "--files", config)
	for _, broken := range []string{"version = 1\n[[plug", ""} { // the remedy mends it
		if err := os.WriteFile(lock, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		step(exitFailed, lock+": ", "validate", config)
		step(exitFailed, "remove it and run `taskscaler plugin lock`", "plugin", "lock", "--config", config)
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		step(0, "(new)", "plugin", "lock", "--config", config)
		step(0, "(as locked)", "plugin", "lock", "--check", "--config", config)
	}
}
