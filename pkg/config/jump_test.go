package config

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

const testHostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS"

// TestParseJump: the forms of OpenSSH's ProxyJump are taken, except for what is not one host with a user.
func TestParseJump(t *testing.T) {
	for text, want := range map[string][2]string{
		"ops@bastion":                    {"ops", "bastion:22"},
		"ops@bastion.example:2222":       {"ops", "bastion.example:2222"},
		"ssh://ops@bastion.example:2222": {"ops", "bastion.example:2222"},
		"ssh://ops@bastion.example/":     {"ops", "bastion.example:22"},
		"ops@192.0.2.7:22":               {"ops", "192.0.2.7:22"},
		"ops@[2001:db8::7]:2222":         {"ops", "[2001:db8::7]:2222"},
		"ops@[2001:db8::7]":              {"ops", "[2001:db8::7]:22"},
		"ops@[fe80::7%eth0]":             {"ops", "[fe80::7%eth0]:22"},
		"ops@[::1]":                      {"ops", "[::1]:22"},
		"ops@corp@bastion":               {"ops@corp", "bastion:22"},
	} {
		user, address, err := parseJump(text)
		if err != nil || user != want[0] || address != want[1] {
			t.Errorf("%q: %q, %q, %v", text, user, address, err)
		}
	}
	for _, text := range []string{
		"", "bastion", "@bastion", "ops@", "ops@:22", "ops@bastion:", "ops@bastion:0", "ops@bastion:65536", "ops@bastion:+22", "ops@a,ops@b", "ops@[::1", "ops@[]",
		"ops@bas tion", "o ps@bastion", "ops:secret@bastion", "http://ops@bastion", "ops@-oProxyCommand=x", "ops@bastion/x", "ops@a:b:c",
		"ops@2001:db8::7", "ops@::1", "ops@::1:2222", "ops@fe80::7%eth0", "ssh://ops@::1",
	} {
		if user, address, err := parseJump(text); err == nil {
			t.Errorf("%q became %q, %q", text, user, address)
		}
	}
}

// TestBareAddressOfAJumpHost: an IPv6 address without brackets is refused with the right form, because its end may be a port.
func TestBareAddressOfAJumpHost(t *testing.T) {
	for written, want := range map[string]string{
		"u@::1": `(write "u@[::1]")`, "u@2001:db8::7": `(write "u@[2001:db8::7]")`, "u@fe80::7%eth0": `(write "u@[fe80::7%eth0]")`,
		"u@::1:2222": `(write "u@[::1:2222]", or "u@[::1]:2222" if 2222 is the port)`, "u@::1:70000": `(write "USER@HOST" or "USER@HOST:PORT")`,
	} {
		_, report := Parse("config.toml", []byte(fleet("[runners.autoscaler.connector_config]\nkey_path = \"k\"\nproxy_jump_known_hosts_path = \"h\"\nproxy_jump = \""+written+"\"\n")))
		if found := report.Faults(); len(found) != 1 || found[0].Line != 8 || !strings.Contains(found[0].Error(), want) || !strings.Contains(found[0].Error(), "brackets") {
			t.Errorf("%s: %v", written, found)
		}
	}
}

// FuzzParseJump: what is taken is a user and an address that can be dialled, and means the same when it is written again.
func FuzzParseJump(f *testing.F) {
	for _, s := range []string{"ops@bastion", "ssh://ops@bastion:22/", "ops@[::1]:22", "ops@fe80::1%eth0", "a@b,c@d", "@", "ops@", "o@h:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		user, address, err := parseJump(text)
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(address)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > maxPort || host == "" || user == "" || strings.ContainsAny(host, " /@,\n") {
			t.Fatalf("%q became %q, %q", text, user, address)
		}
		if u, a, err := parseJump(user + "@" + address); err != nil || u != user || a != address {
			t.Fatalf("%q became %q, %q, and then %q, %q, %v", text, user, address, u, a, err)
		}
	})
}

func TestIsHostKey(t *testing.T) {
	for _, line := range []string{testHostKey, testHostKey + " a comment", "bastion.example " + testHostKey, "[bastion.example]:2222 " + testHostKey} {
		if !isHostKey(line) {
			t.Errorf("%q is refused", line)
		}
	}
	for _, line := range []string{"", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + testHostKey[len("ssh-ed25519 "):], "SHA256:abc", "ssh-ed25519 /////w=="} {
		if isHostKey(line) {
			t.Errorf("%q is taken", line)
		}
	}
}
