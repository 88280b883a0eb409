package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// parse returns the file that text describes. It fails the test on any fault.
func parse(t *testing.T, text string) *File {
	t.Helper()
	file, report := Parse("/etc/taskscaler/config.toml", []byte(text))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return file
}

// fleet returns a file with one runner; text continues its autoscaler section.
func fleet(text string) string {
	return "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"aws\"\n" + text
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestDefaults(t *testing.T) {
	f := parse(t, fleet(""))
	equal(t, "head", []any{f.Path, f.Concurrent, f.CheckInterval, f.ShutdownTimeout, f.LogLevel, f.LogFormat, f.ListenAddress},
		[]any{"/etc/taskscaler/config.toml", 0, 3 * time.Second, time.Duration(0), "info", "text", ""})
	r := f.Runners[0]
	equal(t, "runner", []any{r.Index, r.Line, r.Name, r.URL, r.ID, r.Token.Empty(), r.Executor, r.Limit, r.Shared},
		[]any{1, 1, "", "", "", true, "instance", 0, false})
	a := *r.Autoscaler
	equal(t, "policies", a.Schedule.Len(), 0)
	equal(t, "plugin_config", string(a.PluginConfig.Raw()), "{}")
	a.Schedule, a.PluginConfig, a.lines = nil, RawConfig{}, nil
	connector := Connector{Keepalive: 30 * time.Second, Timeout: 10 * time.Minute}
	equal(t, "autoscaler", a, Autoscaler{
		Line: 3, CapacityPerInstance: 1, Plugin: "aws", Connector: connector,
		InstanceAcquireTimeout: 15 * time.Minute, UpdateInterval: time.Minute, UpdateIntervalWhenExpecting: 2 * time.Second,
		DeletionRetryInterval: time.Minute, ShutdownDeletionInterval: 10 * time.Second, ShutdownDeletionRetries: 3, FailureThreshold: 3,
		Throttle: policy.Throttle{Limit: 100, Burst: 100}, ReservationThrottling: true,
		StateStorage: StateStorage{Enabled: true, Dir: "/etc/taskscaler/.taskscaler"}, Journal: Journal{Enabled: true, MaxSize: 64 << 20}, VMIsolation: VMIsolation{Connector: connector},
		InstanceDeadlines: InstanceDeadlines{Requested: 10 * time.Minute, Creating: 15 * time.Minute, Preparing: 20 * time.Minute,
			DeletingAlarm: time.Hour},
		CallTimeouts: CallTimeouts{Init: 2 * time.Minute, Update: 2 * time.Minute, Increase: 10 * time.Minute, Decrease: 5 * time.Minute,
			ConnectInfo: time.Minute, Heartbeat: 30 * time.Second, Shutdown: 30 * time.Second},
		AdoptPreexisting: AdoptHold, ReservationDeadline: 2 * time.Minute, ReattachAfterRestart: 5 * time.Minute,
		ReattachAfterDisconnect: 30 * time.Second,
	})
}

func TestPolicyDefaults(t *testing.T) {
	f := parse(t, fleet("[[runners.autoscaler.policy]]\n[[runners.autoscaler.policy]]\nperiods = []\nidle_count = 2\nidle_time = \"0s\"\n"))
	always := []string{"* * * * *"}
	equal(t, "policies", f.Runners[0].Autoscaler.Policies, []policy.Policy{
		{Periods: always, Settings: policy.Settings{IdleTime: 5 * time.Minute}},
		{Periods: always, Settings: policy.Settings{IdleCount: 2, Preemptive: true}},
	})
	equal(t, "winner", f.Runners[0].Autoscaler.Schedule.At(time.Unix(0, 0)).Index, 1)
}

func TestEverything(t *testing.T) {
	path, err := filepath.Abs("testdata/good/everything.toml")
	if err != nil {
		t.Fatal(err)
	}
	f, report, err := Load("testdata/good/everything.toml")
	if err != nil || report.Err() != nil {
		t.Fatal(err, report.Err())
	}
	beside := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	equal(t, "head", []any{f.Path, f.Concurrent, f.CheckInterval, f.ShutdownTimeout, f.LogLevel, f.LogFormat, f.ListenAddress},
		[]any{path, 100, 5 * time.Second, time.Minute, "debug", "json", ":9252"})
	r := f.Runners[0]
	equal(t, "runner", []any{r.Name, r.URL, r.ID, r.Token.Reveal(), r.Executor, r.Limit, r.Instance},
		[]any{"all keys", "https://gitlab.example.com", "42", "glrt-SECRET", "docker-autoscaler", 100, Instance{[]string{"*"}, true}})

	a := *r.Autoscaler
	equal(t, "plugin_config", string(a.PluginConfig.Raw()), `{"both":"2024-12-24T08:14:48","clock":"08:14:48","count":3,"day":"2024-12-24",`+
		`"empty":{},"list":[1,"two",[true],{"three":3}],"name":"asg","nested":{"deeper":{"password":"hunter2"}},"ratio":0.5,`+
		`"started":"2024-12-24T08:14:48.5+09:00"}`)
	equal(t, "nesting_config", string(a.VMIsolation.NestingConfig.Raw()), `{"cpus":2}`)
	half := 2.0
	equal(t, "policy", a.Policies[1], policy.Policy{
		Periods: []string{"* 8-17 * * mon-fri", "30-59 7 * * mon-fri"}, Timezone: "Asia/Seoul",
		Settings: policy.Settings{IdleCount: 10, IdleTime: 20 * time.Minute, ScaleFactor: 1.5, ScaleFactorLimit: 30,
			ScaleFactorMode: policy.FactorAdd, Throttle: &policy.Throttle{Limit: half, Burst: 20}},
	})
	mondayNine := time.Date(2024, 12, 23, 0, 0, 0, 0, time.UTC) // 9 o'clock in Seoul
	equal(t, "schedule", a.Schedule.At(mondayNine).Index, 1)
	a.Schedule, a.Policies, a.PluginConfig, a.VMIsolation.NestingConfig = nil, nil, RawConfig{}, RawConfig{}
	a.lines = nil
	equal(t, "autoscaler", a, Autoscaler{
		Line: 29, CapacityPerInstance: 4, MaxUseCount: 7, MaxInstances: 20, Plugin: "registry.example.com:5000/group/sub/openstack:1.5",
		PluginSHA256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", PluginInsecurePath: true,
		PluginEnv: []Secret{secret.New("OS_*"), secret.New("VAULT_TOKEN=hunter2")},
		Connector: Connector{OS: "darwin", Arch: "arm64", Protocol: provider.ProtocolWinRMHTTPS, ProtocolPort: 4321, Username: "ci",
			Password: secret.New("hunter2"), KeyPath: beside("keys/id_ed25519"), KeyPassphrasePath: beside("keys/passphrase"),
			UseStaticCredentials: true, Keepalive: 10 * time.Second,
			Timeout: 4 * time.Minute, UseExternalAddr: true, PasswordWithoutHostKey: true, AllowLegacySSH: true, AllowDHGroupExchange: true,
			ProxyJump: ProxyJump{Username: "ops", Address: "[2001:db8::7]:2222", KeyPath: beside("keys/jump"), KeyPassphrasePath: beside("keys/jump.pass"),
				HostKey: testHostKey},
			WinRMShell: "powershell", WinRMAuth: "ntlm", WinRMCAFile: beside("keys/ca.pem"), WinRMInsecure: true},
		InstanceReadyCommand: "true", InstanceAcquireTimeout: time.Hour, UpdateInterval: 30 * time.Second, UpdateIntervalWhenExpecting: time.Second,
		DeletionRetryInterval: 2 * time.Minute, ShutdownDeletionInterval: 11 * time.Second, ShutdownDeletionRetries: 5, FailureThreshold: 6,
		Throttle: policy.Throttle{Limit: 0.5, Burst: 8}, LogInternalIP: true, LogExternalIP: true, DeleteInstancesOnShutdown: true,
		StateStorage: StateStorage{Enabled: true, EnabledSet: true, Dir: beside("state/here"), KeepInstanceWithAcquisitions: true, KeyFile: beside("keys/state")},
		Journal:      Journal{Enabled: true, MaxSize: 16 << 20},
		VMIsolation: VMIsolation{NestingHost: "tcp://localhost:1", Image: "guest",
			Connector: Connector{OS: "linux", Password: secret.New("hunter2"), Keepalive: 30 * time.Second, Timeout: 10 * time.Minute}},
		Buckets: Buckets{[]float64{1, 2.5, 10}, []float64{2}, []float64{3}, []float64{4}, []float64{5}, []float64{6.5}},
		InstanceDeadlines: InstanceDeadlines{Requested: time.Minute, Creating: 2 * time.Minute, Preparing: 3 * time.Minute,
			DeletingAlarm: 4 * time.Minute},
		CallTimeouts: CallTimeouts{Init: 10 * time.Second, Update: 20 * time.Second, Increase: time.Hour, Decrease: 40 * time.Second,
			ConnectInfo: 50 * time.Second, Heartbeat: time.Minute, Shutdown: 70 * time.Second},
		AdoptPreexisting: AdoptAdopt, ReservationDeadline: 3 * time.Minute, ReattachAfterRestart: 6 * time.Minute,
		ReattachAfterDisconnect: 40 * time.Second,
	})
}

func TestCapacityIsBounded(t *testing.T) {
	equal(t, "the most", parse(t, fleet("capacity_per_instance = 10000")).Runners[0].Autoscaler.CapacityPerInstance, 10_000)
	_, report := Parse("config.toml", []byte(fleet("capacity_per_instance = 10001")))
	faults := report.Faults()
	if len(faults) != 1 || faults[0].Code != CodeRange || faults[0].Key != "runners.autoscaler.capacity_per_instance" ||
		!strings.Contains(faults[0].Message, "is 10001, but an instance has at most 10000 slots") {
		t.Errorf("%v", faults)
	}
}

func TestThrottleDefaults(t *testing.T) {
	for _, c := range []struct {
		text string
		want policy.Throttle
	}{
		{"max_instances = 7", policy.Throttle{Limit: 100, Burst: 7}},
		{"scale_throttle.limit = 0.25", policy.Throttle{Limit: 0.25, Burst: 1}},
		{"scale_throttle.limit = 2.5", policy.Throttle{Limit: 2.5, Burst: 3}},
		{"scale_throttle = {limit = 1, burst = 50}", policy.Throttle{Limit: 1, Burst: 50}},
		{"scale_throttle.limit = -1", policy.Throttle{Limit: -1}},
		{"scale_throttle.limit = -1.0", policy.Throttle{Limit: -1}},
		{"scale_throttle.limit = 1e300", policy.Throttle{Limit: 1e300, Burst: 1<<31 - 1}},
	} {
		equal(t, c.text, parse(t, fleet(c.text)).Runners[0].Autoscaler.Throttle, c.want)
	}
}

// Zero means the default for every key that has one, as in GitLab Runner. Only idle_time = "0s" has its own meaning.
func TestZeroIsTheDefault(t *testing.T) {
	var text strings.Builder
	for _, k := range Keys() {
		if k.section() != "runners.autoscaler" {
			continue
		}
		switch k.Type {
		case TypeDuration:
			text.WriteString(k.name() + " = \"0s\"\n")
		case TypeInteger:
			text.WriteString(k.name() + " = 0\n")
		}
	}
	zeros, absent := parse(t, fleet(text.String())).Runners[0].Autoscaler, parse(t, fleet("")).Runners[0].Autoscaler
	zeros.lines, absent.lines = nil, nil
	equal(t, "autoscaler", zeros, absent)
}

func TestLongName(t *testing.T) {
	for n, faults := range map[int]int{512: 0, 513: 1} {
		_, report := Parse("c.toml", []byte(strings.Replace(fleet(""), "executor", "name = \""+strings.Repeat("n", n)+"\"\nexecutor", 1)))
		equal(t, fmt.Sprint("faults of a name of ", n, " bytes"), len(report.Faults()), faults)
	}
}

func TestConnectorAliases(t *testing.T) {
	for written, want := range map[string]string{"linux": "linux", "Linux": "linux",
		"WINDOWS": "windows", "macos": "darwin", "Darwin": "darwin", "": ""} {
		equal(t, written, parse(t, fleet("connector_config.os = \""+written+"\"")).Runners[0].Autoscaler.Connector.OS, want)
	}
	for written, want := range map[string]string{"amd64": "amd64", "X86_64": "amd64", "x64": "amd64",
		"arm64": "arm64", "aarch64": "arm64", "ARM": "arm64"} {
		equal(t, written, parse(t, fleet("connector_config.arch = \""+written+"\"")).Runners[0].Autoscaler.Connector.Arch, want)
	}
}

func TestPreparingFollowsTheConnectTimeout(t *testing.T) {
	f := parse(t, fleet("connector_config.timeout = \"4m\"\ninstance_deadlines.preparing = \"0s\""))
	equal(t, "preparing", f.Runners[0].Autoscaler.InstanceDeadlines.Preparing, 14*time.Minute)
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(fleet("[runners.autoscaler.connector_config]\nusername = \"u\"\nkey_path = \"key\"\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	f, report, err := Load(path)
	if err != nil || report.Err() != nil { // an absent key file is no fault
		t.Fatal(err, report.Err())
	}
	c := f.Runners[0].Autoscaler.Connector
	if _, err := c.LoadKey(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), filepath.Join(dir, "key")) {
		t.Errorf("got %v", err)
	}
	missing := f.CheckFiles()
	if len(missing.Faults()) != 1 || missing.Problems[0].Line != 7 || !strings.Contains(missing.Err().Error(), filepath.Join(dir, "key")) {
		t.Errorf("got %v", missing.Problems)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := c.LoadKey()
	if err != nil || f.CheckFiles().Err() != nil {
		t.Fatal(err, f.CheckFiles().Err())
	}
	p := c.ToProvider(key)
	if string(p.Key) != "PEM" || p.Username != "u" || p.Timeout != 10*time.Minute || p.Keepalive != 30*time.Second {
		t.Errorf("got %v", p)
	}
	if key, err := (Connector{}).LoadKey(); key != nil || err != nil {
		t.Errorf("without key_path: got %q, %v", key, err)
	}
}

// TestStateKeyFile: validate finds a key of the state that cannot be read, or that others can read.
func TestStateKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte(fleet("[runners.autoscaler.state_storage]\nkey_file = \"state.key\"\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	f, report, err := Load(path)
	if err != nil || report.Err() != nil {
		t.Fatal(err, report.Err())
	}
	key := filepath.Join(dir, "state.key")
	check := func(what, want string) {
		t.Helper()
		if found := f.CheckFiles().Faults(); len(found) != 1 || found[0].Line != 6 || !strings.Contains(found[0].Error(), want) || !strings.Contains(found[0].Error(), key) {
			t.Errorf("%s: %v", what, found)
		}
	}
	check("absent", "correct key_file")
	if err := errors.Join(os.WriteFile(key, nil, 0o600), os.Chmod(key, 0o640)); err != nil {
		t.Fatal(err)
	}
	check("readable by the group", "chmod 600")
	if err := os.Chmod(key, 0o600); err != nil || f.CheckFiles().Err() != nil {
		t.Error(err, f.CheckFiles().Err())
	}
}

func TestLoadUnreadable(t *testing.T) {
	if _, _, err := Load(filepath.Join(t.TempDir(), "absent.toml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: got %v", err)
	}
	if _, _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was read")
	}
	huge := filepath.Join(t.TempDir(), "huge.toml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxFileSize+1); err != nil { // sparse: it takes no space
		t.Fatal(err)
	}
	if _, _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a huge file: got %v", err)
	}
}

// A misspelt key in a wrong section names the key that was meant and its section.
func TestMisspeltKeyOfAnotherSection(t *testing.T) {
	_, report := Parse("c.toml", []byte(fleet("idel_count = 3\n")))
	if f := report.Faults(); len(f) != 1 || f[0].Remedy != `did you mean "idle_count"? It belongs in [[runners.autoscaler.policy]]` {
		t.Errorf("%+v", f)
	}
}

func TestReport(t *testing.T) {
	f, report := Parse("c.toml", []byte("concurrent = 1\n[[runners]]\nexecutor = \"instance\"\nlimit = -1\n"))
	if f == nil {
		t.Fatal("no File was returned beside the faults")
	}
	var faults Faults
	if err := report.Err(); !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("got %v", report.Err())
	}
	const want = "c.toml:3: runners.executor: is \"instance\", which needs a [runners.autoscaler] section (add the section with at least plugin, " +
		"max_instances and a policy, or write another executor)\nc.toml:4: runners.limit: is -1, but a count cannot be negative " +
		"(write 0 or a positive number)"
	equal(t, "text", faults.Error(), want)
	encoded, err := json.Marshal(faults[1])
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "json", string(encoded), `{"severity":"fault","code":"negative","path":"c.toml","line":4,"column":1,"key":"runners.limit",`+
		`"message":"is -1, but a count cannot be negative","remedy":"write 0 or a positive number"}`)
	if (&Report{}).Err() != nil || Severity(7).String() != "severity(7)" {
		t.Error("an empty report has an error, or a severity has a wrong name")
	}
}

// GitLab Runner's own keys are accepted in every section.
func TestForeignKeysPass(t *testing.T) {
	head := strings.Fields("sentry_dsn connection_max_age experimental user labels usage_logger machine")
	runner := strings.Fields("tls-ca-file tls-cert-file tls-key-file clone_url builds_dir cache_dir environment request_concurrency output_limit " +
		"pre_build_script post_build_script pre_clone_script pre_get_sources_script post_get_sources_script debug_trace_disabled safe_directory_checkout " +
		"clean_git_config shell unhealthy_requests_limit unhealthy_interval job_status_final_update_retry_limit proxy_exec labels token_obtained_at " +
		"token_expires_at strict_check_interval log_output_limit trace_logs")
	sections := strings.Fields("custom_build_dir docker machine kubernetes ssh parallels virtualbox custom cache " +
		"feature_flags referees monitoring store docker.services cache.s3 slot_cgroups")
	var text strings.Builder
	for _, k := range head {
		text.WriteString(k + " = \"x\"\n")
	}
	text.WriteString("[session_server]\nsession_timeout = 1800\n[[runners]]\n")
	for _, k := range runner {
		text.WriteString(k + " = \"x\"\n")
	}
	for _, s := range sections {
		text.WriteString("[runners." + s + "]\nidle_count = 2024-12-24\n")
	}
	_, report := Parse("c.toml", []byte(text.String()))
	codes := make([]string, 0, len(report.Problems))
	for _, p := range report.Problems {
		codes = append(codes, p.Code)
	}
	if !slices.Equal(codes, []string{CodeNoFleet}) {
		t.Errorf("got %s", problems(report))
	}
}

func TestDescribe(t *testing.T) {
	f := parse(t, fleet(`capacity_per_instance = 4
max_instances = 10
[[runners.autoscaler.policy]]
idle_count = 5
[[runners.autoscaler.policy]]
idle_count = 4
scale_factor = 1.5
scale_factor_limit = 3
[[runners.autoscaler.policy]]
idle_count = 1
scale_factor = 2
scale_factor_mode = "add"
[[runners.autoscaler.policy]]
scale_factor = 0.5
scale_factor_limit = 9
[[runners.autoscaler.policy]]
scale_factor = 1
scale_factor_limit = 9
scale_factor_mode = "add"
`))
	equal(t, "words", f.Runners[0].Autoscaler.Describe(), []string{
		"policy 1: idle_count 5 = 5 jobs = 2 instances of capacity 4",
		"policy 2: idle_count 4 = 4 jobs = 1 instance of capacity 4; idle target = max(4, min(1.5 × jobs, 3)) = always 4",
		"policy 3: idle_count 1 = 1 job = 1 instance of capacity 4; idle target = 1 + 2 × jobs",
		"policy 4: idle_count 0 = 0 jobs = 0 instances of capacity 4; idle target = max(0, min(0.5 × jobs, 9))",
		"policy 5: idle_count 0 = 0 jobs = 0 instances of capacity 4; idle target = 0 + min(1 × jobs, 9)",
	})
}

// A long file is read in reasonable time: work that grows with the square of the policies is bounded.
func TestManyPolicies(t *testing.T) {
	table := "[[runners.autoscaler.policy]]\nperiods = [\"* 8 * * *\"]\ntimezone = \"UTC\"\n"
	f, report := Parse("c.toml", []byte(fleet(strings.Repeat(table, maxPolicies))))
	if report.Err() != nil || f.Runners[0].Autoscaler.Schedule.Len() != maxPolicies {
		t.Error(report.Err())
	}
	_, report = Parse("c.toml", []byte(fleet(strings.Repeat(table, maxPolicies+1))))
	if faults := report.Faults(); len(faults) != 1 || faults[0].Code != CodeRange || faults[0].Line != 4+3*maxPolicies+1 {
		t.Errorf("got %v", faults)
	}
}

// BenchmarkKeys reads files with many keys: in one table, in plugin_config, and as tables. Files beyond the bound are refused before they are decoded.
func BenchmarkKeys(b *testing.B) {
	for name, line := range map[string]string{"plugin_config": "k%d = 1\n", "tables": "[runners.autoscaler.plugin_config.t%d]\n", "lists": "l%d = [1, 2]\n"} {
		for _, n := range []int{2_500, 5_000, 10_000, 20_000, 40_000} {
			var text strings.Builder
			text.WriteString(fleet("[runners.autoscaler.plugin_config]\n"))
			for i := range n {
				fmt.Fprintf(&text, line, i)
			}
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					Parse("config.toml", []byte(text.String()))
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data := readFile(b, "testdata/good/everything.toml")
	b.ReportAllocs()
	for b.Loop() {
		Parse("config.toml", data)
	}
}
