package setup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// TestCheckFiles: each runner is checked for itself, and every problem has the line and the key that it is about.
func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	writeKey(t, filepath.Join(dir, "plain.pem"))
	for name, mode := range map[string]os.FileMode{"fleeting-plugin-fake": 0o755, "bad.key": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("not a key\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	lock(t, filepath.Join(dir, "locked.pem"), "open sesame")
	runner := func(name, plugin, rest string) string {
		return "[[runners]]\nname = \"" + name + "\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"" + plugin + "\"\n" + rest
	}
	text := runner("no-key", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"bad.key\"\n") +
		runner("fine", "fake", "") +
		runner("unreadable", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"none\"\n") +
		runner("private", "fake", "[runners.autoscaler.connector_config]\nkey_path = \"none\"\n") +
		runner("locked", "fake", "[runners.autoscaler.connector_config]\nkey_path = \"locked.pem\"\nkey_passphrase = \"hunter2\"\n") +
		runner("no passphrase", "fake", "[runners.autoscaler.connector_config]\nkey_path = \"locked.pem\"\nkey_passphrase_path = \"none\"\n") +
		runner("absent", "other", "") +
		runner("junk", "fake", "[runners.autoscaler.connector_config]\nusername = \"u\"\nkey_path = \"bad.key\"\nwinrm_ca_file = \"bad.key\"\n") +
		runner("no way", "fake", "[runners.autoscaler.connector_config]\nproxy_jump = \"u@h\"\nproxy_jump_known_hosts_path = \"bad.key\"\nproxy_jump_key_path = \"bad.key\"\n") +
		runner("not locked", "fake", "[runners.autoscaler.connector_config]\nkey_path = \"plain.pem\"\nkey_passphrase = \"hunter2\"\n"+
			"proxy_jump = \"u@h\"\nproxy_jump_host_key = \"h "+jumpHostKey+"\"\nproxy_jump_key_path = \"plain.pem\"\nproxy_jump_key_passphrase_path = \"bad.key\"\n") +
		runner("unit", "fake", "[runners.autoscaler.state_storage]\nkey_file = \"$CREDENTIALS_DIRECTORY/none\"\n")
	file, lines := parse(t, dir, text), strings.Split(text, "\n")
	find := plugin.FindOptions{Beside: dir}
	for in, want := range map[string][]string{
		"": {"state_storage.key_file age-keygen", "state_storage.key_file none", "connector_config.key_path none", "connector_config.key_path passphrase is wrong",
			"connector_config.key_passphrase_path none", "plugin not installed", "connector_config.key_path expected one", "connector_config.winrm_ca_file no certificate",
			"connector_config.proxy_jump_known_hosts_path ssh-keyscan", "connector_config.proxy_jump_key_path expected one",
			"connector_config.key_passphrase not encrypted", "connector_config.proxy_jump_key_passphrase_path not encrypted"},
		dir: {"state_storage.key_file age-keygen", "state_storage.key_file none", "connector_config.key_path none", "connector_config.key_path passphrase is wrong",
			"connector_config.key_passphrase_path none", "plugin not installed", "connector_config.key_path expected one", "connector_config.winrm_ca_file no certificate",
			"connector_config.proxy_jump_known_hosts_path ssh-keyscan", "connector_config.proxy_jump_key_path expected one",
			"connector_config.key_passphrase not encrypted", "connector_config.proxy_jump_key_passphrase_path not encrypted", "state_storage.key_file none"},
	} {
		got := CheckFiles(file, file.Runners, find, func(string) string { return in })
		if len(got) != len(want) {
			t.Fatalf("in a unit with %q: %v", in, got)
		}
		for i, p := range got {
			f := strings.SplitN(want[i], " ", 2)
			if p.Key != "runners.autoscaler."+f[0] || !strings.Contains(p.Message+p.Remedy, f[1]) || p.Path != file.Path ||
				!strings.HasPrefix(lines[max(p.Line, 1)-1], f[0][strings.LastIndexByte(f[0], '.')+1:]+" = ") {
				t.Errorf("fault %d is %+v, want %q", i, p, want[i])
			}
		}
	}
	if got := CheckFiles(file, file.Runners[1:2], find, os.Getenv); len(got) > 0 {
		t.Errorf("only the good runner: %v", got)
	}
}
