package connector_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestKnownHostKeys: the keys of a host are found in a known_hosts file as OpenSSH finds them.
func TestKnownHostKeys(t *testing.T) {
	keys := make([]string, 7)
	for i := range keys {
		_, public := newKey(t)
		keys[i] = authorized(public)
	}
	file := strings.Join([]string{
		"# a comment",
		"bastion.example,192.0.2.1 " + keys[0] + " a comment",
		"[bastion.example]:2222 " + keys[1],
		"*.wild.example,!not.wild.example " + keys[2],
		"@cert-authority bastion.example " + keys[3],
		"@revoked * " + keys[4],
		"revoked.example,both.example " + keys[4],
		"both.example " + keys[5],
		"2001:db8::1 " + keys[6],
		"bastion.example nonsense",
		"",
	}, "\n")
	for address, want := range map[string][]string{
		"bastion.example":      {keys[0]},
		"BASTION.example:22":   {keys[0]},
		"192.0.2.1":            {keys[0]},
		"bastion.example:2222": {keys[1]},
		"192.0.2.1:2222":       {keys[0]}, // without a port in the file
		"a.wild.example":       {keys[2]},
		"both.example":         {keys[5]},
		"[2001:db8::1]:22":     {keys[6]},
		"not.wild.example":     nil,
		"revoked.example":      nil,
		"other.example:2022":   nil,
	} {
		got, err := connector.KnownHostKeys([]byte(file), address)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %q, %v", address, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "ssh-keyscan -t ed25519 -p") {
			t.Errorf("%s: no remedy: %v", address, err)
		}
	}
	if _, err := connector.KnownHostKeys(nil, "ho st"); err == nil {
		t.Error("an address that is none")
	}
}

// TestKnownHostKeysHashed: ssh-keygen hashes the names of the file.
func TestKnownHostKeysHashed(t *testing.T) {
	keygen := program(t, "ssh-keygen", "openssh-client")
	_, public := newKey(t)
	name := write(t, filepath.Join(t.TempDir(), "known_hosts"), []byte("bastion.example "+authorized(public)+"\n[bastion.example]:2222 "+authorized(public)+"\n"))
	if out, err := exec.Command(keygen, "-H", "-f", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hashed, err := os.ReadFile(name)
	if err != nil || strings.Contains(string(hashed), "bastion") {
		t.Fatalf("%v: %s", err, hashed)
	}
	for _, address := range []string{"bastion.example", "bastion.example:2222"} {
		if got, err := connector.KnownHostKeys(hashed, address); err != nil || len(got) != 1 || got[0] != authorized(public) {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
	if got, err := connector.KnownHostKeys(hashed, "other.example"); err == nil {
		t.Errorf("another host: %q", got)
	}
}

func FuzzKnownHostKeys(f *testing.F) {
	f.Add([]byte("host ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n"), "host")
	f.Add([]byte("|1|c2FsdA==|c3Vt ssh-ed25519 AAAA"), "host:2222")
	f.Add([]byte("@revoked * [*]:22,!x ssh-rsa"), "[::1]:22")
	f.Fuzz(func(t *testing.T, file []byte, address string) {
		keys, err := connector.KnownHostKeys(file, address)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%q, %v", keys, err)
		}
		if err == nil {
			if err := (connector.JumpHost{Address: address, Username: "u", HostKeys: keys}).Check(connector.DialOptions{}); err != nil && strings.Contains(err.Error(), "proxy_jump_host_key") {
				t.Fatalf("the keys cannot be used: %v", err)
			}
		}
	})
}
