package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
		"run without a file":   {[]string{"run"}, 2, "", "--config is missing"},
		"run with faults":      {[]string{"run", "--config", bad}, 1, "", "cannot be negative"},
		"exec without command": {[]string{"exec"}, 125, "", "name the command to run"},
		"exec with faults":     {[]string{"exec", "--config", bad, "--", "true"}, 125, "", "cannot be negative"},
		"exec, wrong flag":     {[]string{"exec", "--colour", "--", "true"}, 125, "", "--colour"},
		"exec, two managers":   {[]string{"exec", "--config", bad, "--socket", "s", "--", "true"}, 125, "", "--config and --socket exclude each other"},
		"exec without manager": {[]string{"exec", "--", "true"}, 125, "", "taskscaler run"},
		"status":               {[]string{"status"}, 1, "", "no manager is running"},
		"watch":                {[]string{"status", "--watch", "--json"}, 1, "", "no manager is running"},
		"drain":                {[]string{"drain", "--socket", "/no/such/socket"}, 1, "", "/no/such/socket"},
		"undo":                 {[]string{"drain", "--undo", "--socket", "/no/such/socket"}, 1, "", "/no/such/socket"},
		"explain, empty key":   {[]string{"explain", "--key", ""}, 2, "", "--key is empty"},
		"explain, two places":  {[]string{"explain", "--socket", "s", "--journal", "j"}, 2, "", "--socket excludes --journal"},
		"explain, two asked":   {[]string{"explain", "--key", "k", "--instance", "i"}, 2, "", "--instance, --key and --at exclude each other: use one of them"},
		"explain, not a time":  {[]string{"explain", "--at", "noon"}, 2, "", "--at: \"noon\" is not a time"},
		"replay, no manager":   {[]string{"replay"}, 1, "", "no manager is running"},
		"replay of nothing":    {[]string{"replay", ""}, 2, "", "name one journal"},
		"replay of two":        {[]string{"replay", ".", "--config", "c.toml"}, 2, "", "use one of them"},
		"replay, not a time":   {[]string{"replay", ".", "--until", "noon"}, 2, "", "--until: \"noon\" is not a time"},
		"replay, empty until":  {[]string{"replay", ".", "--until", ""}, 2, "", "--until is empty"},
		"a near command":       {[]string{"stats"}, 2, "", `did you mean "status"?`},
		"a near flag":          {[]string{"status", "--wach"}, 2, "", `unknown flag --wach: did you mean "--watch"?`},
		"an unknown letter":    {[]string{"status", "-q"}, 2, "", "unknown flag -q"},
		"run, file as it is":   {[]string{"run", "c.toml"}, 2, "", "did you mean --config c.toml?"},
		"status of a name":     {[]string{"status", "one"}, 2, "", "did you mean --runner one?"},
		"status, empty socket": {[]string{"status", "--socket", ""}, 2, "", "--socket is empty"},
		"exec, empty key":      {[]string{"exec", "--key", "", "--", "true"}, 125, "", "--key is empty"},
		"exec, empty runner":   {[]string{"exec", "--runner", "", "--", "true"}, 125, "", "--runner is empty"},
		"exec, bad upload":     {[]string{"exec", "--upload", "a", "--", "true"}, 125, "", `--upload: "a" is not LOCAL:REMOTE`},
		"exec, bad download":   {[]string{"exec", "--download", "a:", "--", "true"}, 125, "", `--download: "a:" is not REMOTE:LOCAL`},
		"exec, no such upload": {[]string{"exec", "--upload", "none:x", "--", "true"}, 125, "", "--upload: stat none"},
		"ssh without a key":    {[]string{"ssh"}, 125, "", "name the key of the lease"},
		"ssh with a command":   {[]string{"ssh", "k", "true"}, 125, "", "exec --tty"},
		"ssh, empty key":       {[]string{"ssh", ""}, 125, "", "is empty"},
		"ssh without manager":  {[]string{"ssh", "k"}, 125, "", "taskscaler run"},
		"tunnel without ends":  {[]string{"tunnel", "k"}, 125, "", "tunnel [flags] KEY LOCAL:REMOTE"},
		"tunnel, bad ends":     {[]string{"tunnel", "k", "80"}, 125, "", "is not LOCAL:REMOTE"},
		"tunnel, no listener":  {[]string{"tunnel", "k", "/none/s:80"}, 125, "", "/none/s"},
		"exec, negative time":  {[]string{"exec", "--timeout", "-1s", "--", "true"}, 125, "", "--timeout is -1s: give a positive duration"},
		"exec, time of a word": {[]string{"exec", "--timeout", "soon", "--", "true"}, 125, "", `--timeout: "soon" is not a duration such as 90s`},
		"explain, last x":      {[]string{"explain", "--last", "x"}, 2, "", `--last: "x" is not a whole number`},
		"simulate, a file":     {[]string{"simulate", "x.toml"}, 2, "", "did you mean --config x.toml?"},
		"simulate, seed -1":    {[]string{"simulate", "--seed", "-1"}, 2, "", `--seed: "-1" is not a whole number that is not negative`},
		"simulate, repeat 0":   {[]string{"simulate", "--repeat", "0"}, 2, "", "--repeat is 0: give a number of at least 1"},
		"simulate, replicas 0": {[]string{"simulate", "--replicas", "0"}, 2, "", "--replicas is 0: give a number of at least 1"},
		"compare nothing":      {[]string{"simulate", "compare"}, 2, "", "name the configurations to compare"},
		"validate nothing":     {[]string{"validate"}, 2, "", "name the files to check"},
		"value is missing":     {[]string{"status", "--runner"}, 2, "", "--runner needs a value"},
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
	none := filepath.Join(t.TempDir(), "none")
	for _, flag := range [][]string{nil, {"--fragment"}, {"--files"}} {
		args := append([]string{"validate", none}, flag...)
		if code, stdout, stderr := try(t, args...); code != 1 || stderr != "" || !strings.HasPrefix(stdout, "fault: "+none+": cannot be read: no such file") ||
			!strings.HasSuffix(stdout, none+": 1 fault, 0 warnings\n") {
			t.Errorf("no file, %q: %d, %q, %q", flag, code, stdout, stderr)
		}
	}
}

// Each file is checked, whatever is wrong with the others.
func TestValidateContinues(t *testing.T) {
	good, missing := write(t, tinyWith("3")), filepath.Join(t.TempDir(), "none")
	code, stdout, stderr := try(t, "validate", missing, good)
	if code != 1 || stderr != "" || !strings.Contains(stdout, good+": 0 faults") || !strings.Contains(stdout, "fault: "+missing+": cannot be read: ") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

// TestHelpersRefuseUnknownWords: the commands that the command-line library adds name the words that they know, and exit with 2.
func TestHelpersRefuseUnknownWords(t *testing.T) {
	for line, want := range map[string]string{
		"completion":          "bash, fish, powershell, zsh",
		"completion foo":      "bash, fish, powershell, zsh",
		"completion bsh":      `did you mean "bash"?`,
		"completion bash x":   `unexpected argument "x"`,
		"help nope":           "completion, drain, exec, explain, help, plugin, replay, run, simulate, ssh, status, tunnel, validate, version",
		"help statsu":         `did you mean "status"?`,
		"help completion foo": "bash, fish, powershell, zsh",
		"help run x":          `unknown command "x"`,
		"version x":           `unexpected argument "x"`,
	} {
		if code, stdout, stderr := try(t, strings.Fields(line)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q, %q", line, code, stdout, stderr)
		}
	}
	for _, line := range []string{"help", "help run", "help completion bash", "completion zsh", "help simulate compare"} {
		if code, stdout, stderr := try(t, strings.Fields(line)...); code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%s: %d, %q", line, code, stderr)
		}
	}
}

func TestValidateFragments(t *testing.T) {
	fragment := write(t, "[runners.autoscaler]\nplugin = \"fake\"\ncapacity_per_instance = 2\n[[runners.autoscaler.policy]]\nidle_count = 3\n")
	code, stdout, _ := try(t, "validate", fragment)
	if code != 1 || !strings.Contains(stdout, "as a part of a file") || !strings.Contains(stdout, "use --fragment") {
		t.Errorf("without --fragment: %d, %q", code, stdout)
	}
	code, stdout, _ = try(t, "validate", "--fragment", fragment)
	if code != 0 || !strings.Contains(stdout, "runner 1: policy 1: idle_count 3 = 3 jobs = 2 instances of capacity 2\n") {
		t.Errorf("with --fragment: %d, %q", code, stdout)
	}
	whole := write(t, strings.Replace(tinyWith("3"), `plugin = "fake"`, `plugin = ""`, 1))
	if _, stdout, _ := try(t, "validate", whole); strings.Contains(stdout, "--fragment") {
		t.Errorf("a whole file: %q", stdout)
	}
	broken := write(t, "[runners.autoscaler]\nidle_count = -1\n")
	if _, stdout, _ := try(t, "validate", broken); strings.Contains(stdout, "--fragment") {
		t.Errorf("a fragment with faults: %q", stdout)
	}
}

// Runners of one name are told apart.
func TestValidateTwins(t *testing.T) {
	twins := write(t, tinyWith("1")+tinyWith("2"))
	if _, stdout, _ := try(t, "validate", twins); !strings.Contains(stdout, `runner "tiny" (runner 1 of the file): policy 1: idle_count 1`) ||
		!strings.Contains(stdout, `runner "tiny" (runner 2 of the file): policy 1: idle_count 2`) {
		t.Error(stdout)
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

// TestTimeoutInAPrivateStart: the time of --timeout passes while the manager of exec --config still starts its plugin.
func TestTimeoutInAPrivateStart(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the plugin is a shell script")
	}
	dir := t.TempDir()
	plugin := filepath.Join(dir, "fleeting-plugin-x")
	if err := os.WriteFile(plugin, []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := write(t, fmt.Sprintf("[[runners]]\nname = \"a\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 1\n"+
		"[runners.autoscaler.state_storage]\ndir = %q\n[[runners.autoscaler.policy]]\nidle_count = 1\n", plugin, filepath.Join(dir, "state")))
	code, _, stderr := try(t, "exec", "--config", file, "--timeout", "200ms", "--", "true")
	if code != 124 || !strings.Contains(stderr, "the private manager was not started") || !strings.Contains(stderr, "the time of --timeout has passed") {
		t.Errorf("%d, %q", code, stderr)
	}
}

// TestValidateChecksPlugins: --files finds a plugin that other users can replace, and a key of the state that is none, as run does.
func TestValidateChecksPlugins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleeting-plugin-x")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("[[runners]]\nname = \"a\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 1\n"+
		"[[runners.autoscaler.policy]]\nidle_count = 1\n", path)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := try(t, "validate", "--files", file); code != 0 {
		t.Errorf("a plugin that only its owner can replace: %d, %q", code, stdout)
	}
	keyed := filepath.Join(dir, "keyed.toml")
	if err := os.WriteFile(keyed, []byte(text+"[runners.autoscaler.state_storage]\nkey_file = \"state.key\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"not a key\n": "age-keygen", "": "age-keygen"} {
		if err := os.WriteFile(filepath.Join(dir, "state.key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, _ := try(t, "validate", "--files", keyed)
		if code != 1 || strings.Count(stdout, "state_storage.key_file") != 1 || !strings.Contains(stdout, want) || strings.Contains(stdout, "not a key") {
			t.Errorf("a key file with %q: %d, %q", content, code, stdout)
		}
	}
	if err := os.Chmod(path, 0o757); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := try(t, "validate", "--files", file); code != 1 || !strings.Contains(stdout, "chmod go-w "+path) {
		t.Errorf("a plugin that everybody can replace: %d, %q", code, stdout)
	}
	if code, stdout, _ := try(t, "validate", file); code != 0 {
		t.Errorf("without --files: %d, %q", code, stdout)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := try(t, "validate", "--files", file); code != 1 || !strings.Contains(stdout, "there is no file") {
		t.Errorf("a plugin that is not there: %d, %q", code, stdout)
	}
}

// TestRunLogsWarnings: warnings about the file are records of the log, in its format, each once.
func TestRunLogsWarnings(t *testing.T) {
	config := write(t, "log_format = \"json\"\n") // a file without a runner is a warning
	code, _, stderr := try(t, "run", "--config", config, "--socket", filepath.Join(config, "no", "folder"))
	first, _, _ := strings.Cut(stderr, "\n")
	var record struct{ Level, Msg, Warning string }
	if err := json.Unmarshal([]byte(first), &record); err != nil || record.Level != "WARN" || !strings.Contains(record.Warning, "[runners.autoscaler]") {
		t.Errorf("%v: %q", err, stderr)
	}
	if n := strings.Count(stderr, "nothing to do"); code != exitFailed || n != 1 {
		t.Errorf("exit code %d, and the warning %d times: %q", code, n, stderr)
	}
}
