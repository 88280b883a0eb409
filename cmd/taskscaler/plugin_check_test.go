package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider/conformance"
)

// brokenPlugin builds the plugin with every fault into a folder, with a configuration for one fault.
func brokenPlugin(t *testing.T, dir, fault string) (config string) {
	t.Helper()
	bin := filepath.Join(dir, "fleeting-plugin-broken")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/taskscaler/taskscaler/internal/brokengroup/cmd/fleeting-plugin-broken").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return brokenConfig(t, dir, fault, 1)
}

func brokenConfig(t *testing.T, dir, fault string, runners int) string {
	t.Helper()
	var text strings.Builder
	for i := range runners {
		fmt.Fprintf(&text, "[[runners]]\nname = \"r%d\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"broken\"\nmax_instances = 3\n"+
			"[runners.autoscaler.plugin_config]\nfile = \"table\"\nmax_size = 4\nbreak = %q\n[[runners.autoscaler.policy]]\nidle_count = 0\n", i+1, fault)
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPluginTestReports: the report of one finding in the three forms, and the exit codes.
func TestPluginTestReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, junit := brokenPlugin(t, dir, "connect-user"), filepath.Join(dir, "report.xml")
	args := []string{"plugin", "test", "--config", config, "--live", "--no-connect", "--only", "connect-settings,address,boots", "--junit", junit}
	code, out, err := tryIn(dir, append(args[:len(args):len(args)], "--verbose")...)
	if code != exitFailed {
		t.Errorf("exit code %d\n%s%s", code, out, err)
	}
	contains(t, "the text", out, "FAIL  connect-settings", "the operator set username", "change  Start from Settings.ConnectorConfig", "why     Whoever sets a user",
		"ok    address", "3 checks: 2 passed, 1 failed", "capabilities  heartbeat, suspend_resume", "Increase")
	raw, readErr := os.ReadFile(junit)
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal(raw, &suite); readErr != nil || err != nil || suite.Tests != 3 || suite.Failures != 1 {
		t.Errorf("%v, %v: %s", readErr, err, raw)
	}
	code, out, err = tryIn(dir, append(args[:len(args):len(args)], "--json")...)
	var report struct {
		Schema string
		Failed int
		Checks []struct {
			ID, Status string
			Findings   []struct{ Saw, Change string }
		}
	}
	if parse := json.Unmarshal([]byte(out), &report); parse != nil || code != exitFailed || report.Schema != "taskscaler.plugin-test/1" || report.Failed != 1 || len(report.Checks) != 3 {
		t.Errorf("exit code %d, %v\n%s%s", code, parse, out, err)
	}
	if code, out, err := tryIn(dir, "plugin", "test", "./fleeting-plugin-broken", "--config", config); code != exitFailed || !strings.Contains(err, "there is no file") {
		t.Errorf("a path begins at the working directory: %d\n%s%s", code, out, err)
	}
	code, out, err = tryIn(dir, "plugin", "test", filepath.Join(dir, "fleeting-plugin-broken"), "--config", config)
	if code != 0 {
		t.Errorf("without --live: exit code %d\n%s%s", code, out, err)
	}
	contains(t, "without --live", out, "which make or remove machines, were not made: they need --live", "ok    list", "0 failed")
}

// TestPluginTestUsage: wrong input has a message that says what to do.
func TestPluginTestUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := brokenConfig(t, dir, "", 2)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "--config is missing"},
		{"--config " + config + " --only boot", exitUsage, `there is no check "boot": did you mean "boots"?`},
		{"--config " + config + " --machines 1", exitUsage, "--machines is less than 2"},
		{"--config " + config + " --timeout 0s", exitUsage, "--timeout must be more than 0"},
		{"--config " + config + " --proxy-answers x.json", exitUsage, "--proxy-answers needs --proxy"},
		{"--config " + config + " --runner r1 --proxy --proxy-answers " + config, exitFailed, "is not installed"},
		{"a b --config " + config, exitUsage, `unexpected argument "b"`},
		{"--config " + config, exitFailed, "choose one with --runner: r1, r2"},
		{"--config " + config + " --runner r3", exitFailed, "no runner has this name"},
		{"--config " + config + " --runner r1", exitFailed, "is not installed"},
		{"--config " + filepath.Join(dir, "none.toml"), exitFailed, "no such file"},
	} {
		code, out, err := tryIn(dir, append([]string{"plugin", "test"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(err, c.want) {
			t.Errorf("plugin test %s: exit code %d, want %d and %q:\n%s%s", c.args, code, c.code, c.want, out, err)
		}
	}
}

// TestPluginTestList: every check is listed with its reason.
func TestPluginTestList(t *testing.T) {
	code, out, _ := tryIn(t.TempDir(), "plugin", "test", "--list")
	for _, c := range conformance.Checks() {
		contains(t, "the list", out, c.ID, c.Why)
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
}
