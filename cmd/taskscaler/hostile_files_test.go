package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/daemon"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/config"
)

// tomlText is text as a string of TOML.
func tomlText(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\U%08x`, r)
	}
	return `"` + b.String() + `"`
}

// TestHostileConfig: a configuration from elsewhere, and a template that a job of CI validates.
func TestHostileConfig(t *testing.T) {
	evil := tomlText(long)
	whole := tinyWith("1")
	texts := map[string]string{
		"not TOML":          "[[runners]]\nname = evil" + broken + "\n" + whole,
		"not TOML, a key":   "evil" + broken + " = 1\n" + whole,
		"not TOML, a table": "[evil" + broken + "]\n" + whole,
		"a table":           strings.Replace(whole, "[runners.autoscaler]", "[runners.autoscaler."+evil+"]\n[runners.autoscaler]", 1),
		"a key":             whole + evil + " = 1\n",
		"a key of a runner": strings.Replace(whole, "[runners.autoscaler]", evil+" = 1\n[runners.autoscaler]", 1),
		"two keys":          whole + evil + " = 1\n" + evil + " = 2\n",
		"a name":            strings.Replace(whole, `"tiny"`, evil, 1),
		"an executor":       strings.Replace(whole, `"instance"`, evil, 1),
		"a plugin":          strings.Replace(whole, `"fake"`, evil, 1),
		"a level":           "log_level = " + evil + "\n" + whole,
		"a format":          "log_format = " + evil + "\n" + whole,
		"periods":           whole + "periods = [" + evil + "]\n",
		"a zone":            whole + "timezone = " + evil + "\n",
		"a duration":        whole + "idle_time = " + evil + "\n",
		"a type":            strings.Replace(whole, "capacity_per_instance = 2", "capacity_per_instance = "+evil, 1),
		"a directory":       whole + "[runners.autoscaler.state_storage]\ndir = " + evil + "\n",
		"a key file":        whole + "[runners.autoscaler.state_storage]\nkey_file = " + evil + "\n",
		"a key path":        whole + "[runners.autoscaler.connector_config]\nkey_path = " + evil + "\n",
		"a plugin's key":    whole + "[runners.autoscaler.plugin_config]\n" + evil + " = " + evil + "\n",
		"an image":          strings.Replace(whole, "[runners.autoscaler]", "[runners.autoscaler]\nvm_isolation = "+evil, 1),
	}
	for name, text := range texts {
		path := hostileFile(t, ".toml", text)
		for _, args := range [][]string{
			{"validate", path}, {"validate", "--files", path}, {"validate", "--fragment", path}, {"explain", "--config", path, "--runner", long},
			{"run", "--config", path, "--runner", long, "--socket", filepath.Join(t.TempDir(), "s")}, {"exec", "--config", path, "--runner", long, "--", "true"},
			{"simulate", "--config", path, "--workload", "poisson:rate=1/s,duration=1s,jobs=9", "--runner", "nosuch" + hostile},
		} {
			_, stdout, stderr := invoke(t, map[string]string{"TASKSCALER_PLUGIN_PATH": t.TempDir()}, args...)
			shown(t, fmt.Sprintf("%s, %.40q", name, args), stdout, stderr)
			for line := range strings.Lines(stdout) {
				if args[0] == "validate" && !strings.HasPrefix(line, "fault: ") && !strings.HasPrefix(line, "warning: ") && !strings.HasPrefix(line, "runner ") &&
					!strings.HasPrefix(line, "note: ") && !strings.Contains(line, " fault") {
					t.Errorf("%s: validate prints the line %.200q", name, line)
				}
			}
		}
	}
}

// TestHostileWorkload: a log of jobs from elsewhere, and files with hostile names, in every form of a report.
func TestHostileWorkload(t *testing.T) {
	const markup = `<img src=x onerror=alert(1)>`
	quoted := `"` + strings.ReplaceAll(hostile, `"`, "") + strings.Repeat("Z", 5000) + `"`
	tag := "evil\x1b[2J\nFORGED: all is well\u202e"
	codes := map[string]int{"asserted": exitAssertion, "no such tag": exitUsage, "no such shape": exitFailed, "no job": exitFailed}
	log := "arrival,duration,tag,name," + quoted + "\n"
	for n := range 300 {
		log += fmt.Sprintf("%d,60,\"%s\",%s,%s\n", n, tag, quoted, quoted)
	}
	log += quoted + ",60,x,y,z\n1," + quoted + ",x,y,z\n"
	one, two := hostileFile(t, markup+".toml", tinyWith("1")), hostileFile(t, markup+".toml", tinyWith("2"))
	jobs, model := hostileFile(t, markup+".csv", log), hostileFile(t, ".toml", "[boot]\ndistribution = \"constant\"\nvalue = \"5s\"\n[shapes."+tomlText(hostile)+".price]\nbilling = \"second\"\nper_hour = 1.5\n")
	policy := filepath.Join(t.TempDir(), inName+".toml")
	with := func(args ...string) []string {
		return append(args, "--workload", jobs, "--job-name", "*Z*", "--format-in", "csv", "--model", model)
	}
	for name, args := range map[string][]string{
		"text":           with("simulate", "--config", one),
		"replicas":       with("simulate", "--config", one, "--replicas", "2", "--timing"),
		"CSV":            with("simulate", "--config", one, "--format", "csv"),
		"HTML":           with("simulate", "--config", one, "--format", "html"),
		"JSON":           with("simulate", "--config", one, "--format", "json"),
		"a file":         with("simulate", "--config", one, "--output", policy+".html"),
		"asserted":       with("simulate", "--config", one, "--assert", "wait_by_tag."+tag+".p95<0s", "--assert", "mean_wait<0s"),
		"no such tag":    with("simulate", "--config", one, "--assert", "wait_by_tag.nosuch.p95<0s"),
		"compared":       with("simulate", "compare", one, two),
		"compared, HTML": with("simulate", "compare", one, two, "--format", "html"),
		"compared, JSON": with("simulate", "compare", one, two, "--format", "json"),
		"recommended":    with("simulate", "recommend", "--config", one, "--budget", "4"),
		"a policy":       with("simulate", "recommend", "--config", one, "--budget", "4", "--policy", policy),
		"a shape":        with("simulate", "--config", one, "--shape", hostile),
		"no such shape":  with("simulate", "--config", one, "--shape", "nosuch"),
		"no job":         {"simulate", "--config", one, "--workload", jobs, "--format-in", "csv", "--job-name", "nosuch" + hostile},
	} {
		code, stdout, stderr := invoke(t, nil, args...)
		if code != codes[name] {
			t.Errorf("%s: exit code %d, %.300q … %.300q", name, code, stderr, stderr[max(len(stderr)-300, 0):])
		}
		if strings.Contains(name, "HTML") {
			if strings.Contains(stdout, "<img src=x") || !strings.Contains(stdout, "&lt;img") {
				t.Errorf("%s: the name of a file is markup", name)
			}
			continue
		}
		safe(t, name+", stdout", stdout, true, 4<<10)
		safe(t, name+", stderr", stderr, false, 4<<10)
		if !strings.Contains(stdout+stderr, "evil") && !strings.Contains(stdout+stderr, "recommended") {
			t.Errorf("%s does not show the text: %.300q, %.300q", name, stdout, stderr)
		}
		if strings.Contains(name, "JSON") && !json.Valid([]byte(stdout)) {
			t.Errorf("%s: %.300q", name, stdout)
		}
	}
	written, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	safe(t, "the policy", string(written), true, 4<<10)
	if report := config.ValidateFragment("policy.toml", written); len(report.Faults()) > 0 {
		t.Errorf("the policy has faults: %v", report.Faults())
	}
}

// TestHostilePlugin: what a program prints that is no plugin, or that fails.
func TestHostilePlugin(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the plugin is a shell script")
	}
	for name, script := range map[string]string{
		"words":       "cat \"$0.txt\"\ncat \"$0.txt\" >&2\nexit 3\n",
		"a handshake": "printf '1|1|unix|'\ncat \"$0.txt\"\nsleep 0.1\nexit 3\n",
		"only errors": "cat \"$0.txt\" >&2\nexit 3\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "fleeting-plugin-evil")
		file := filepath.Join(dir, "config.toml")
		for path, text := range map[string]string{
			path: "#!/bin/sh\n" + script, path + ".txt": long + broken + "\n",
			file: strings.Replace(tinyWith("1"), `"fake"`, fmt.Sprintf("%q", path), 1) + fmt.Sprintf("[runners.autoscaler.state_storage]\ndir = %q\n", filepath.Join(dir, "state")),
		} {
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		code, stdout, stderr := invoke(t, nil, "exec", "--config", file, "--", "true")
		if code != execFailed || stdout != "" {
			t.Errorf("%s: %d, %.300q", name, code, stdout)
		}
		shown(t, name, stdout, stderr)
	}
}

// TestHostileLog: each record of the log is one line, in both formats.
func TestHostileLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		guard := safetext.NewGuard(&out)
		log, end := daemon.OpenLog(&config.File{LogFormat: format}, guard, slog.LevelInfo)
		log.Warn(broken, broken, broken, slog.Group(broken, slog.Any(broken, fmt.Errorf("%s", broken))))
		log.Info("next", "id", hostile)
		end()
		safe(t, format, out.String(), true, 1<<10)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%s: %d lines: %q", format, len(lines), lines)
		}
		var record struct{ Msg, ID string }
		if err := json.Unmarshal([]byte(lines[1]), &record); format == "json" && (err != nil || record.ID != hostile) {
			t.Errorf("the JSON says %q: %v", record.ID, err)
		}
	}
}
