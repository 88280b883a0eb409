package setup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

const jumpHostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"

// writeJump writes the private key of a jump host, its passphrase, and known hosts, into the folder of a configuration.
func writeJump(t *testing.T, dir string) {
	t.Helper()
	lock(t, filepath.Join(dir, "jump"), "open sesame")
	for name, text := range map[string]string{
		"jump.pass": "open sesame\n", "wrong.pass": "hunter2\n", "junk": "no key\n", "hosts": "[bastion.example]:2222 " + jumpHostKey + "\n", "others": "other.example " + jumpHostKey + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJumpHost: the jump host of the file reaches the manager, with a key that needs no passphrase. What cannot work is an error that names the key of the
// configuration, and no secret. CheckFiles finds the same.
func TestJumpHost(t *testing.T) {
	dir := t.TempDir()
	writeJump(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "fleeting-plugin-fake"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	const withKey = "proxy_jump_key_path = \"jump\"\nproxy_jump_key_passphrase_path = \"jump.pass\"\n"
	const withHost = "proxy_jump_host_key = \"bastion.example " + jumpHostKey + "\"\n"
	for name, c := range map[string]struct{ lines, key, want string }{
		"host key":                {withKey + withHost, "", ""},
		"known hosts":             {withKey + "proxy_jump_known_hosts_path = \"hosts\"\n", "", ""},
		"key of instances":        {"key_path = \"jump\"\nkey_passphrase_path = \"jump.pass\"\n" + withHost, "", ""},
		"unknown host":            {withKey + "proxy_jump_known_hosts_path = \"others\"\n", "proxy_jump_known_hosts_path", "proxy_jump_known_hosts_path"},
		"no known hosts":          {withKey + "proxy_jump_known_hosts_path = \"none\"\n", "proxy_jump_known_hosts_path", "proxy_jump_known_hosts_path"},
		"no key":                  {"proxy_jump_key_path = \"none\"\n" + withHost, "proxy_jump_key_path", "proxy_jump_key_path"},
		"no passphrase":           {"proxy_jump_key_path = \"jump\"\n" + withHost, "proxy_jump_key_path", "proxy_jump_key_passphrase_path"},
		"wrong passphrase":        {"proxy_jump_key_path = \"jump\"\nproxy_jump_key_passphrase_path = \"wrong.pass\"\n" + withHost, "proxy_jump_key_path", "the passphrase is wrong"},
		"no such passphrase":      {"proxy_jump_key_path = \"jump\"\nproxy_jump_key_passphrase_path = \"none\"\n" + withHost, "proxy_jump_key_passphrase_path", "proxy_jump_key_passphrase_path"},
		"a key that is none":      {"proxy_jump_key_path = \"junk\"\n" + withHost, "proxy_jump_key_path", "proxy_jump_key_path"},
		"a junk key of instances": {"key_path = \"junk\"\n" + withHost, "key_path", "key_path"},
		"a host key of RSA 0":     {withKey + "proxy_jump_host_key = \"ssh-rsa AAAAB3NzaC1yc2EAAAA=\"\n", "proxy_jump_host_key", "proxy_jump_host_key"},
	} {
		t.Run(name, func(t *testing.T) {
			file := parse(t, dir, "[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\nmax_instances = 1\n"+
				"[runners.autoscaler.connector_config]\nproxy_jump = \"ops@bastion.example:2222\"\n"+c.lines)
			got, err := Config(file.Runners[0])
			faults := CheckFiles(file, file.Runners, plugin.FindOptions{Beside: dir}, os.Getenv)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("got %v", err)
				}
				key := "connector_config." + c.key
				if len(faults) != 1 || faults[0].Key != "runners.autoscaler."+key || faults[0].Line != file.Runners[0].Autoscaler.LineOf(key) || faults[0].Line < 9 {
					t.Errorf("CheckFiles: %v", faults)
				}
				var way *connector.JumpError
				if errors.As(err, &way) && way.Address != "bastion.example:2222" {
					t.Errorf("it does not name the jump host: %v", err)
				}
				return
			}
			if err != nil || len(faults) > 0 {
				t.Fatalf("%v; %v", err, faults)
			}
			j := got.Jump
			if _, err := ssh.ParsePrivateKey([]byte(j.Key.Reveal())); err != nil || j.Address != "bastion.example:2222" || j.Username != "ops" || len(j.HostKeys) != 1 ||
				!strings.HasSuffix(j.HostKeys[0], jumpHostKey) {
				t.Errorf("%v, %v", j, err)
			}
			if err := got.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}
