package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// os/signal keeps one goroutine for ever, once it was used.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("os/signal.signal_recv"), goleak.IgnoreTopFunction("os/signal.loop"))
}

// try runs the program in this process.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	dir := t.TempDir()
	code = run(t.Context(), args, environment{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, getenv: func(key string) string {
		if key == "XDG_RUNTIME_DIR" {
			return dir
		}
		return ""
	}})
	return code, out.String(), errs.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const tiny = `[[runners]]
name = "tiny"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
capacity_per_instance = 2
[[runners.autoscaler.policy]]
idle_count = %COUNT%
preemptive_mode = false
`

func tinyWith(count string) string { return strings.Replace(tiny, "%COUNT%", count, 1) }

func TestExitCodes(t *testing.T) {
	bad := write(t, tinyWith("-1"))
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"help":                 {[]string{"--help"}, 0, "Available Commands", ""},
		"nothing":              {nil, 0, "Available Commands", ""},
		"no such command":      {[]string{"fly"}, 2, "", `unknown command "fly"`},
		"no such flag":         {[]string{"status", "--colour"}, 2, "", "--colour"},
		"run without a file":   {[]string{"run"}, 2, "", `"config" not set`},
		"run with faults":      {[]string{"run", "--config", bad}, 1, "", "cannot be negative"},
		"exec without command": {[]string{"exec"}, 125, "", "at least 1 arg"},
		"exec with faults":     {[]string{"exec", "--config", bad, "--", "true"}, 125, "", "cannot be negative"},
		"exec, wrong flag":     {[]string{"exec", "--colour", "--", "true"}, 125, "", "--colour"},
		"exec, two managers":   {[]string{"exec", "--config", bad, "--socket", "s", "--", "true"}, 125, "", "none of the others"},
		"exec without manager": {[]string{"exec", "--", "true"}, 125, "", "taskscaler run"},
		"status":               {[]string{"status"}, 1, "", "no manager is running"},
		"watch":                {[]string{"status", "--watch", "--json"}, 1, "", "no manager is running"},
		"drain":                {[]string{"drain", "--socket", "/no/such/socket"}, 1, "", "/no/such/socket"},
		"undo":                 {[]string{"drain", "--undo", "--socket", "/no/such/socket"}, 1, "", "/no/such/socket"},
		"explain, empty key":   {[]string{"explain", "--key", ""}, 2, "", "--key is empty"},
		"explain, two places":  {[]string{"explain", "--socket", "s", "--journal", "j"}, 2, "", "--socket excludes --journal"},
		"explain, two asked":   {[]string{"explain", "--key", "k", "--instance", "i"}, 2, "", "--instance, --key and --at exclude each other: use one of them"},
		"explain, not a time":  {[]string{"explain", "--at", "noon"}, 2, "", "--at: \"noon\" is not a time"},
		"replay of nothing":    {[]string{"replay"}, 2, "", "name one journal"},
		"replay, not a time":   {[]string{"replay", ".", "--until", "noon"}, 2, "", "--until: \"noon\" is not a time"},
		"replay, empty until":  {[]string{"replay", ".", "--until", ""}, 2, "", "--until is empty"},
		"version":              {[]string{"version"}, 0, "taskscaler", ""},
		"completion":           {[]string{"completion", "bash"}, 0, "__start_taskscaler", ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := try(t, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("%d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if (c.stdout == "") != (stdout == "") {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	good, bad := write(t, tinyWith("3")), write(t, tinyWith("-3"))
	code, stdout, stderr := try(t, "validate", good)
	want := `runner "tiny": policy 1: idle_count 3 = 3 jobs = 2 instances of capacity 2` + "\n" + good + ": 0 faults, 0 warnings\n"
	if code != 0 || stdout != want || stderr != "" {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = try(t, "validate", good, bad)
	if code != 1 || stderr != "" || !strings.Contains(stdout, "fault: "+bad+":8: runners.autoscaler.policy.idle_count: ") ||
		!strings.Contains(stdout, good+": 0 faults") || !strings.Contains(stdout, bad+": 1 fault, 0 warnings\n") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
	warned := write(t, strings.Replace(tinyWith("3"), "preemptive_mode", "idle_time = \"0s\"\npreemptive_mode", 1))
	if code, stdout, _ := try(t, "validate", warned); code != 0 || !strings.Contains(stdout, "warning: ") {
		t.Errorf("a warning: %d, %q", code, stdout)
	}
	fragment := write(t, "[runners.autoscaler.connector_config]\nusername = \"x\"\n")
	if code, stdout, _ := try(t, "validate", "--fragment", fragment); code != 0 || !strings.Contains(stdout, "0 faults, 0 warnings") {
		t.Errorf("a fragment: %d, %q", code, stdout)
	}
	key := write(t, tinyWith("3")+"[runners.autoscaler.connector_config]\nkey_path = \"nowhere\"\n")
	if code, stdout, _ := try(t, "validate", key); code != 0 {
		t.Errorf("offline: %d, %q", code, stdout)
	}
	if code, stdout, _ := try(t, "validate", "--files", key); code != 1 || !strings.Contains(stdout, "nowhere") {
		t.Errorf("with --files: %d, %q", code, stdout)
	}
	if code, _, stderr := try(t, "validate", filepath.Join(t.TempDir(), "none")); code != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("no file: %d, %q", code, stderr)
	}
}

// TestSharedTemplate: the template that companies start from validates.
func TestSharedTemplate(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "configs", "company-template.toml")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the collected configurations are not here: %v", err)
	}
	code, stdout, stderr := try(t, "validate", path)
	if code != 0 || stderr != "" || !strings.Contains(stdout, "0 faults, 5 warnings") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}
