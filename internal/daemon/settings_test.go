package daemon

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// everyKey sets every key that a manager uses to a value that is not its default.
const everyKey = `
log_level = "warn"
log_format = "json"
shutdown_timeout = 7
[[runners]]
name = "all"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
plugin_env = ["ONE=1"]
capacity_per_instance = 3
max_use_count = 4
max_instances = 5
instance_ready_command = "true"
instance_acquire_timeout = "11s"
update_interval = "12s"
update_interval_when_expecting = "13s"
deletion_retry_interval = "14s"
shutdown_deletion_interval = "15s"
shutdown_deletion_retries = 16
failure_threshold = 17
log_internal_ip = true
log_external_ip = true
delete_instances_on_shutdown = true
adopt_preexisting = "adopt"
reservation_deadline = "18s"
reattach_after_restart = "19s"
reattach_after_disconnect = "20s"
[runners.autoscaler.scale_throttle]
limit = 2.5
burst = 21
[runners.autoscaler.instance_deadlines]
requested = "22s"
creating = "23s"
preparing = "24s"
deleting_alarm = "25s"
[runners.autoscaler.call_timeouts]
init = "28s"
update = "29s"
increase = "30s"
decrease = "31s"
connect_info = "32s"
heartbeat = "33s"
shutdown = "34s"
[runners.autoscaler.state_storage]
keep_instance_with_acquisitions = true
[runners.autoscaler.connector_config]
os = "linux"
arch = "amd64"
protocol = "ssh"
protocol_port = 2222
username = "me"
password = "secret"
key_path = "key"
use_static_credentials = true
keepalive = "26s"
timeout = "27s"
use_external_addr = true
[[runners.autoscaler.policy]]
idle_count = 6
preemptive_mode = false
`

// parse reads a configuration that must be valid.
func parse(t *testing.T, dir, text string) *config.File {
	t.Helper()
	file, report := config.Parse(filepath.Join(dir, "config.toml"), []byte(text))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPrivateCreatesOnlyWhatItNeeds(t *testing.T) {
	file := parse(t, t.TempDir(), strings.Replace(everyKey, `key_path = "key"`, "", 1))
	cfg, err := setup.Config(file.Runners[0])
	if err != nil {
		t.Fatal(err)
	}
	got := private(cfg)
	if at := got.Policies.At(time.Now()); at.Settings.IdleCount != 0 || at.Settings.Preemptive {
		t.Errorf("a private manager keeps idle slots: %+v", at)
	}
	if got.AdoptPreexisting != taskscaler.AdoptHold || !got.DeleteOnShutdown {
		t.Errorf("adopt %v, delete %v", got.AdoptPreexisting, got.DeleteOnShutdown)
	}
}

// TestPrivateIgnoresWhatIsNotItsBusiness: whatever the file says, a private manager leaves the instances of others alone and its own do not stay.
// All other keys have the values of the file.
func TestPrivateIgnoresWhatIsNotItsBusiness(t *testing.T) {
	text := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	for _, adopt := range []config.Adoption{config.AdoptHold, config.AdoptAdopt, config.AdoptRemove} {
		for _, remove := range []bool{false, true} {
			file := parse(t, t.TempDir(), text)
			a := file.Runners[0].Autoscaler
			a.AdoptPreexisting, a.DeleteInstancesOnShutdown = adopt, remove
			cfg, err := setup.Config(file.Runners[0])
			if err != nil {
				t.Fatal(err)
			}
			got := private(cfg)
			if got.AdoptPreexisting != taskscaler.AdoptHold || !got.DeleteOnShutdown || got.Policies != nil || got.ReattachAfterRestart > time.Second {
				t.Errorf("with %s and %v: adopt %v, delete %v, policies %v, reattach %v", adopt, remove, got.AdoptPreexisting, got.DeleteOnShutdown,
					got.Policies, got.ReattachAfterRestart)
			}
			got.AdoptPreexisting, got.DeleteOnShutdown, got.Policies, got.ReattachAfterRestart =
				cfg.AdoptPreexisting, cfg.DeleteOnShutdown, cfg.Policies, cfg.ReattachAfterRestart
			if !reflect.DeepEqual(got, cfg) {
				t.Errorf("a private manager changes other keys of %+v: %+v", cfg, got)
			}
		}
	}
}

func TestLogger(t *testing.T) {
	file := parse(t, t.TempDir(), everyKey)
	var out bytes.Buffer
	log := newLogger(file, &out, slog.LevelDebug)
	log.Info("not wanted")
	log.Warn("wanted")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["msg"] != "wanted" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	file.LogFormat = "text"
	log = newLogger(file, &out, slog.LevelError)
	log.Warn("not wanted here")
	log.Error("wanted")
	if got := out.String(); !strings.Contains(got, "level=ERROR msg=wanted") || strings.Contains(got, "not wanted") {
		t.Errorf("%q", got)
	}
}

func TestSameProcess(t *testing.T) {
	text := strings.Replace(everyKey, `key_path = "key"`, "", 1)
	dir := t.TempDir()
	old := parse(t, dir, text).Runners[0].Autoscaler
	for change, fault := range map[string]string{
		"max_instances = 5 → max_instances = 9":                                                                        "",
		"idle_count = 6 → idle_count = 1":                                                                              "",
		`plugin = "fake" → plugin = "other"`:                                                                           "plugin",
		`username = "me" → username = "you"`:                                                                           "connector_config",
		"use_external_addr = true → use_external_addr = false":                                                         "connector_config",
		"use_external_addr = true → use_external_addr = true\nwinrm_shell = \"powershell\"":                            "connector_config",
		"[runners.autoscaler.state_storage] → [runners.autoscaler.state_storage]\ndir = \"x\"":                         "state_storage",
		"[[runners.autoscaler.policy]] → [runners.autoscaler.journal]\nenabled = false\n[[runners.autoscaler.policy]]": "journal",
		"[[runners.autoscaler.policy]] → [runners.autoscaler.plugin_config]\na = 1\n[[runners.autoscaler.policy]]":     "plugin_config",
	} {
		from, to, _ := strings.Cut(change, " → ")
		now := parse(t, dir, strings.Replace(text, from, to, 1)).Runners[0].Autoscaler
		err := sameProcess(old, now)
		if (err == nil) != (fault == "") || err != nil && !strings.HasPrefix(err.Error(), fault+" changed") {
			t.Errorf("%s: %v", change, err)
		}
	}
}

// TestSameProcessOnOtherLines: a comment moves the keys below it to other lines and changes none of them, so a reload takes the file.
func TestSameProcessOnOtherLines(t *testing.T) {
	text := strings.NewReplacer(`key_path = "key"`, `key_path = "key"
key_passphrase_path = "passphrase"
winrm_ca_file = "ca"
proxy_jump = "ops@bastion"
proxy_jump_key_path = "jump"
proxy_jump_key_passphrase_path = "jump.passphrase"
proxy_jump_known_hosts_path = "hosts"`, "[runners.autoscaler.state_storage]", `[runners.autoscaler.plugin_config]
name = "group"
[runners.autoscaler.state_storage]
key_file = "state"`).Replace(everyKey)
	dir := t.TempDir()
	old, now := parse(t, dir, text).Runners[0].Autoscaler, parse(t, dir, "# a comment\n"+text).Runners[0].Autoscaler
	if err := sameProcess(old, now); err != nil || old.Line == now.Line {
		t.Errorf("%v; the lines are %d and %d", err, old.Line, now.Line)
	}
}

// TestSameProcessKnowsEveryKey: a change of one key alone is refused if only a start can use it, and taken otherwise.
func TestSameProcessKnowsEveryKey(t *testing.T) {
	needsStart := []string{
		"Plugin", "PluginConfig", "PluginEnv", "PluginSHA256", "PluginInsecurePath", "Connector", "StateStorage", "Journal", "CallTimeouts.Init", "CallTimeouts.Shutdown",
	}
	notKeys := []string{"Line", "StateStorage.EnabledSet"}
	old := parse(t, t.TempDir(), strings.Replace(everyKey, `key_path = "key"`, "", 1)).Runners[0].Autoscaler
	other := parse(t, t.TempDir(), strings.NewReplacer(`key_path = "key"`, "", `password = "secret"`, `password = "another"`,
		"[[runners.autoscaler.policy]]", "[runners.autoscaler.plugin_config]\na = 1\n[[runners.autoscaler.policy]]").Replace(everyKey)).Runners[0].Autoscaler
	opaque := map[string]any{"PluginConfig": other.PluginConfig, "Connector.Password": other.Connector.Password,
		"Connector.KeyPassphrase": other.Connector.Password}
	seen := 0
	try := func(path string, change func(*config.Autoscaler)) {
		now := *old
		change(&now)
		err := sameProcess(old, &now)
		refused := slices.ContainsFunc(needsStart, func(key string) bool { return path == key || strings.HasPrefix(path, key+".") })
		if (err != nil) != refused {
			t.Errorf("only %s changes: %v; want a refusal: %v", path, err, refused)
		}
		seen++
	}
	var walk func(typ reflect.Type, path string, index []int)
	walk = func(typ reflect.Type, path string, index []int) {
		for n := range typ.NumField() {
			f := typ.Field(n)
			name, at := strings.TrimPrefix(path+"."+f.Name, "."), append(slices.Clone(index), n)
			value, isOpaque := opaque[name]
			switch {
			case slices.Contains(notKeys, name), !f.IsExported():
			case isOpaque:
				try(name, func(a *config.Autoscaler) { reflect.ValueOf(a).Elem().FieldByIndex(at).Set(reflect.ValueOf(value)) })
			case f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[config.RawConfig]() && f.Type != reflect.TypeFor[config.Secret]():
				walk(f.Type, name, at)
			default:
				try(name, func(a *config.Autoscaler) { another(reflect.ValueOf(a).Elem().FieldByIndex(at)) })
			}
		}
	}
	walk(reflect.TypeFor[config.Autoscaler](), "", nil)
	if seen < 50 {
		t.Errorf("%d keys were changed", seen)
	}
}

// another sets v to a value that it does not have.
func another(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	default: // of slices, pointers and the opaque types that no start depends on
		v.SetZero()
	}
}

// TestReloadIsDocumented: the table of keys does not say that a reload applies a key that it refuses or ignores.
func TestReloadIsDocumented(t *testing.T) {
	const ours = "runners.autoscaler."
	refused := []string{"plugin", "plugin_sha256", "plugin_insecure_path", "plugin_env", "plugin_config", "connector_config", "state_storage", "journal"}
	seen := 0
	for _, k := range config.Keys() {
		part, _, _ := strings.Cut(strings.TrimPrefix(k.Path, ours), ".")
		switch {
		case !strings.HasPrefix(k.Path, ours):
			if k.Reload != config.Restart && k.Reload != config.NotUsed {
				t.Errorf("the table says %[2]q for %[1]s, but a reload ignores the keys outside of [[runners]]", k.Path, k.Reload)
			}
		case slices.Contains(refused, part):
			seen++
			if k.Reload != config.Restart {
				t.Errorf("the table says %[2]q for %[1]s, but a reload refuses a change of it", k.Path, k.Reload)
			}
		}
	}
	if seen < len(refused) {
		t.Errorf("a reload refuses %d keys, want at least %d", seen, len(refused))
	}
}
