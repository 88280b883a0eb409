package setup

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// everyKey sets every key that reaches a manager to a value that differs from its default.
const everyKey = `
[[runners]]
name = "all"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
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
password_without_host_key = true
allow_legacy_ssh = true
allow_dh_group_exchange = true
proxy_jump = "ops@bastion.example:2222"
proxy_jump_key_path = "jump"
proxy_jump_key_passphrase_path = "jump.pass"
proxy_jump_host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"
winrm_shell = "powershell"
[[runners.autoscaler.policy]]
idle_count = 6
preemptive_mode = false
`

// parse parses a configuration, which must have no faults.
func parse(t *testing.T, dir, text string) *config.File {
	t.Helper()
	file, report := config.Parse(filepath.Join(dir, "config.toml"), []byte(text))
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestWinRMArrives: the keys of WinRM reach the manager's settings, and a file that is not there is named.
func TestWinRMArrives(t *testing.T) {
	dir := t.TempDir()
	text := strings.NewReplacer(`key_path = "key"`, "", `protocol = "ssh"`, `protocol = "winrm+https"`, `winrm_shell = "powershell"`,
		"winrm_shell = \"powershell\"\nwinrm_auth = \"basic\"\nwinrm_ca_file = \"ca.pem\"\nwinrm_insecure = true").Replace(everyKey)
	writeJump(t, dir)
	r := parse(t, dir, text).Runners[0]
	if _, err := Config(r); err == nil || !strings.Contains(err.Error(), "winrm_ca_file") || !strings.Contains(err.Error(), "ca.pem") {
		t.Errorf("without the file: %v", err)
	}
	ca := certificate(t)
	for _, bad := range []string{"", "garbage", strings.Replace(string(ca), "CERTIFICATE", "PRIVATE KEY", 2), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		writeFile(t, filepath.Join(dir, "ca.pem"), bad)
		var setting *connector.SettingError
		if _, err := Config(r); !errors.As(err, &setting) || !strings.Contains(err.Error(), "connector_config.winrm_ca_file: "+filepath.Join(dir, "ca.pem")) {
			t.Errorf("with %q: %v", bad, err)
		}
	}
	writeFile(t, filepath.Join(dir, "ca.pem"), string(ca))
	got, err := Config(r)
	want := connector.WinRMOptions{Shell: connector.WinRMPowerShell, Auth: connector.WinRMBasic, CA: ca, Insecure: true}
	if err != nil || !reflect.DeepEqual(got.WinRM, want) || Unsupported(r) != "" {
		t.Errorf("%+v, %v", got.WinRM, err)
	}
}

// TestEveryKeyArrives: every key of the file reaches the manager's settings. Otherwise a key could be ignored without notice.
func TestEveryKeyArrives(t *testing.T) {
	dir := t.TempDir()
	writeKey(t, filepath.Join(dir, "key"))
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	writeJump(t, dir)
	got, err := Config(parse(t, dir, everyKey).Runners[0])
	if err != nil {
		t.Fatal(err)
	}
	noKey := map[string]bool{"Insecure": true, "RememberFor": true, "MissingLists": true}
	for _, part := range []any{got, got.Connector} {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			if field := v.Type().Field(i).Name; v.Field(i).IsZero() != noKey[field] {
				t.Errorf("%s.%s: whether it is zero: %t", v.Type(), field, v.Field(i).IsZero())
			}
		}
	}
	for name, pair := range map[string][2]any{
		"AcquireTimeout": {got.AcquireTimeout, 11 * time.Second}, "UpdateInterval": {got.UpdateInterval, 12 * time.Second},
		"UpdateIntervalWhenExpecting": {got.UpdateIntervalWhenExpecting, 13 * time.Second},
		"DeletionRetryInterval":       {got.DeletionRetryInterval, 14 * time.Second},
		"ShutdownDeletionInterval":    {got.ShutdownDeletionInterval, 15 * time.Second}, "ShutdownDeletionRetries": {got.ShutdownDeletionRetries, 16},
		"FailureThreshold": {got.FailureThreshold, 17}, "ReservationDeadline": {got.ReservationDeadline, 18 * time.Second},
		"ReattachAfterRestart":    {got.ReattachAfterRestart, 19 * time.Second},
		"ReattachAfterDisconnect": {got.ReattachAfterDisconnect, 20 * time.Second},
		"RequestedDeadline":       {got.RequestedDeadline, 22 * time.Second}, "CreatingDeadline": {got.CreatingDeadline, 23 * time.Second},
		"PreparingDeadline": {got.PreparingDeadline, 24 * time.Second}, "DeletingAlarm": {got.DeletingAlarm, 25 * time.Second},
		"InitTimeout": {got.InitTimeout, 28 * time.Second}, "UpdateTimeout": {got.UpdateTimeout, 29 * time.Second},
		"IncreaseTimeout": {got.IncreaseTimeout, 30 * time.Second}, "DecreaseTimeout": {got.DecreaseTimeout, 31 * time.Second},
		"ConnectInfoTimeout": {got.ConnectInfoTimeout, 32 * time.Second}, "HeartbeatTimeout": {got.HeartbeatTimeout, 33 * time.Second},
		"ShutdownTimeout":     {got.ShutdownTimeout, 34 * time.Second},
		"CapacityPerInstance": {got.CapacityPerInstance, 3}, "MaxUseCount": {got.MaxUseCount, 4}, "MaxInstances": {got.MaxInstances, 5},
		"Throttle.Limit": {got.Throttle.Limit, 2.5}, "Throttle.Burst": {got.Throttle.Burst, 21},
		"AdoptPreexisting": {got.AdoptPreexisting, taskscaler.AdoptAll}, "Name": {got.Name, "all"}, "Key": {string(got.Connector.Key), string(key)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
	if err := got.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
}

// TestEncryptedKey: the manager gets a key that needs no passphrase, or an error that says what is wrong with the passphrase and never what it is.
func TestEncryptedKey(t *testing.T) {
	dir := t.TempDir()
	lock(t, filepath.Join(dir, "key"), "open sesame")
	for name, text := range map[string]string{"right": "open sesame\n", "windows": "open sesame\r\n", "wrong": "hunter2\n", "empty": "\n", "lines": "open sesame\nhunter2\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		`key_passphrase = "open sesame"`: "", `key_passphrase_path = "right"`: "", `key_passphrase_path = "windows"`: "",
		"":                              "set key_passphrase_path or key_passphrase",
		`key_passphrase = "hunter2"`:    "the passphrase is wrong",
		`key_passphrase_path = "wrong"`: "the passphrase is wrong",
		`key_passphrase_path = "empty"`: "is empty",
		`key_passphrase_path = "lines"`: "more than one line",
		`key_passphrase_path = "none"`:  "none: no such file",
	} {
		text := "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n" +
			"[runners.autoscaler.connector_config]\nkey_path = \"key\"\n" + line + "\n"
		got, err := Config(parse(t, dir, text).Runners[0])
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if _, err := ssh.ParsePrivateKey(got.Connector.Key); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAdoption(t *testing.T) {
	head := "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"
	for _, c := range []struct {
		text string
		want taskscaler.AdoptMode
	}{
		{"", taskscaler.AdoptHold},
		{"adopt_preexisting = \"adopt\"\n", taskscaler.AdoptAll},
		{"adopt_preexisting = \"remove\"\n", taskscaler.AdoptRemove},
		{"[runners.autoscaler.state_storage]\nenabled = false\n", taskscaler.AdoptRemove},
		{"adopt_preexisting = \"adopt\"\n[runners.autoscaler.state_storage]\nenabled = false\n", taskscaler.AdoptAll},
	} {
		got, err := Config(parse(t, t.TempDir(), head+c.text).Runners[0])
		if err != nil || got.AdoptPreexisting != c.want {
			t.Errorf("%q: %v, want %v; %v", c.text, got.AdoptPreexisting, c.want, err)
		}
	}
}

// TestLoggedAddresses: each of the two keys controls its own kind of address.
func TestLoggedAddresses(t *testing.T) {
	head := "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"
	for key, internal := range map[string]bool{"log_internal_ip": true, "log_external_ip": false} {
		got, err := Config(parse(t, t.TempDir(), head+key+" = true\n").Runners[0])
		if err != nil || got.LogInternalIP != internal || got.LogExternalIP == internal {
			t.Errorf("%s alone: internal %t, external %t; %v", key, got.LogInternalIP, got.LogExternalIP, err)
		}
	}
}

func TestMissingKeyFile(t *testing.T) {
	file := parse(t, t.TempDir(), everyKey)
	if _, err := Config(file.Runners[0]); err == nil || !strings.Contains(err.Error(), "key_path") || !strings.Contains(err.Error(), `"all"`) {
		t.Errorf("%v", err)
	}
}

func TestNoAutoscaler(t *testing.T) {
	runner := parse(t, t.TempDir(), "[[runners]]\nname = \"plain\"\nexecutor = \"shell\"\n").Runners[0]
	if _, err := Config(runner); !errors.Is(err, ErrNoAutoscaler) || !strings.Contains(err.Error(), `"plain"`) {
		t.Errorf("Config: %v", err)
	}
	if _, err := Plugin(&config.File{}, runner, plugin.FindOptions{}); !errors.Is(err, ErrNoAutoscaler) {
		t.Errorf("Plugin: %v", err)
	}
}

// TestNameOfARunnerWithoutOne: a runner that has no name is called by what else tells it apart.
func TestNameOfARunnerWithoutOne(t *testing.T) {
	text := "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"
	runner := parse(t, t.TempDir(), text).Runners[0]
	if got := Name(runner); got == "" || got != runner.Label() {
		t.Errorf("it is called %q, want %q", got, runner.Label())
	}
}

func TestPlugin(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "fleeting-plugin-fake")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	sum, err := plugin.Sum(binary)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(everyKey, "plugin = \"fake\"\n", "plugin = \"fake\"\nplugin_sha256 = \""+sum+"\"\nplugin_insecure_path = true\n", 1)
	file := parse(t, dir, text+"[runners.autoscaler.plugin_config]\nname = \"x\"\n")
	got, err := Plugin(file, file.Runners[0], plugin.FindOptions{Beside: dir})
	if err != nil || got.Path != binary || got.Dir != dir || string(got.Config) != `{"name":"x"}` || got.SHA256 != sum || !got.InsecurePath ||
		got.InitTimeout != 28*time.Second || got.ShutdownTimeout != 34*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.Chmod(binary, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := CheckPlugin(file, file.Runners[0], plugin.FindOptions{Beside: dir}); err != nil {
		t.Errorf("with plugin_insecure_path: %v", err)
	}
	file.Runners[0].Autoscaler.PluginInsecurePath = false
	if err := CheckPlugin(file, file.Runners[0], plugin.FindOptions{Beside: dir}); err != nil {
		t.Errorf("no other bytes run, so it may be replaced: %v", err)
	}
	file.Runners[0].Autoscaler.PluginSHA256 = strings.Repeat("0a", 32)
	if err := CheckPlugin(file, file.Runners[0], plugin.FindOptions{Beside: dir}); err == nil || !strings.Contains(err.Error(), "update plugin_sha256") {
		t.Errorf("another sum: %v", err)
	}
	file.Runners[0].Autoscaler.PluginSHA256 = ""
	if err := CheckPlugin(file, file.Runners[0], plugin.FindOptions{Beside: dir}); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "chmod go-w "+binary)) {
		t.Errorf("without: %v", err)
	}
	if _, err := Plugin(file, file.Runners[0], plugin.FindOptions{}); err == nil || !strings.Contains(err.Error(), `"all"`) {
		t.Errorf("Plugin without an installed binary: %v", err)
	}
}

func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	runner := parse(t, dir, everyKey).Runners[0]
	own := StateDir(runner, "")
	if filepath.Dir(own) != runner.Autoscaler.StateStorage.Dir || own != StateDir(runner, "some/group") {
		t.Errorf("%s is not below %s, or depends on the group", own, runner.Autoscaler.StateStorage.Dir)
	}
	runner.Shared = true
	if a, b := StateDir(runner, "a"), StateDir(runner, "b"); a == b || a == own {
		t.Errorf("runners that share an identity share a directory: %s, %s", a, b)
	}
	if got := pluginStateDir(runner); got != "" {
		t.Errorf("plugins of runners that share an identity share the directory %s", got)
	}
	runner.Shared = false
	if got := pluginStateDir(runner); filepath.Dir(got) != own {
		t.Errorf("the plugin's directory is %s, not below %s", got, own)
	}
	runner.Autoscaler.StateStorage.Enabled = false
	if got := pluginStateDir(runner); got != "" {
		t.Errorf("without a state storage the plugin's directory is %s", got)
	}
}
