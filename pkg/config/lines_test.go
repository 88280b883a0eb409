package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLineOf: each key has its own line, however its table is written. A key that the file does not set has the line of its section.
func TestLineOf(t *testing.T) {
	f := parse(t, "[[runners]]\nexecutor = \"instance\"\n[runners.autoscaler]\nmax_instances = 1\nplugin = \"fake\"\n"+ // 1 to 5
		"state_storage = { dir = \"x\" }\ncall_timeouts.init = \"1s\"\n[runners.autoscaler.connector_config]\nusername = \"u\"\nkey_path = \"k\"\n"+ // to 10
		"[[runners.autoscaler.policy]]\nidle_count = 1\n[runners.autoscaler.plugin_config]\nplugin = 1\n")
	a := f.Runners[0].Autoscaler
	for key, want := range map[string]int{
		"": 3, "plugin": 5, "state_storage.dir": 6, "state_storage.key_file": 6, "call_timeouts.init": 7, "connector_config": 8, "connector_config.username": 9,
		"connector_config.key_path": 10, "connector_config.proxy_jump": 8, "policy": 11, "plugin_config": 13, "plugin_config.plugin": 13, "vm_isolation.enabled": 3,
	} {
		if got := a.LineOf(key); got != want {
			t.Errorf("%q is in line %d, want %d", key, got, want)
		}
	}
	if got := (&Autoscaler{Line: 2}).LineOf("connector_config.key_path"); got != 2 {
		t.Errorf("without a file: line %d", got)
	}
}

// TestFilesOfTheConnector: each file that cannot be used is a fault of the key that names it, in the line of this key, with what to do.
func TestFilesOfTheConnector(t *testing.T) {
	const one = "write the passphrase, and nothing else, into one line of the file"
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "PEM", "empty": "", "blank": "\nsecond\n", "lines": "hunter2\nhunter3\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ lines, key, remedy string }{
		{"key_path = \"none\"", "key_path", "make it readable for the user that runs taskscaler, or correct key_path"},
		{"key_path = \".\"", "key_path", "correct key_path"},
		{"key_path = \"key\"\nkey_passphrase_path = \"none\"", "key_passphrase_path", "make it readable for the user that runs taskscaler, or correct key_passphrase_path"},
		{"key_path = \"key\"\nkey_passphrase_path = \"empty\"", "key_passphrase_path", one},
		{"key_path = \"key\"\nkey_passphrase_path = \"blank\"", "key_passphrase_path", one},
		{"key_path = \"key\"\nkey_passphrase_path = \"lines\"", "key_passphrase_path", one},
		{"winrm_ca_file = \"none\"", "winrm_ca_file", "make it readable for the user that runs taskscaler, or correct winrm_ca_file"},
		{"proxy_jump_key_path = \"none\"", "proxy_jump_key_path", "make it readable for the user that runs taskscaler, or correct proxy_jump_key_path"},
		{"proxy_jump_key_path = \"key\"\nproxy_jump_key_passphrase_path = \"lines\"", "proxy_jump_key_passphrase_path", one},
		{"proxy_jump_known_hosts_path = \"none\"", "proxy_jump_known_hosts_path", "make it readable for the user that runs taskscaler, or correct proxy_jump_known_hosts_path"},
	} {
		f, report := Parse(filepath.Join(dir, "config.toml"), []byte(fleet("[runners.autoscaler.connector_config]\ntimeout = \"1m\"\n"+c.lines+"\n")))
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		line := f.Runners[0].Autoscaler.LineOf("connector_config." + c.key)
		found := f.CheckFiles().Problems
		if len(found) != 1 || found[0].Key != "runners.autoscaler.connector_config."+c.key || found[0].Line != line || line < 7 || found[0].Remedy != c.remedy {
			t.Errorf("%s: %+v", c.lines, found)
		}
		checkSecrets(t, problems(&Report{Problems: found}))
	}
}
