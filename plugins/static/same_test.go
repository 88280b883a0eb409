package static

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/sshdtest"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// refused returns the text of the fault that Init finds; empty if it finds none.
func refused(t testing.TB, s provider.Settings, hosts map[string]Host) string {
	t.Helper()
	g := &InstanceGroup{Dir: t.TempDir(), Instances: hosts}
	_, err := g.Init(t.Context(), nil, s)
	shutdown(t, g)
	if err == nil {
		return ""
	}
	if provider.KindOf(err) != provider.KindConfig {
		t.Errorf("%v", err)
	}
	return err.Error()
}

// TestOneHostWithTwoNames: it is refused, because two jobs would run on it at once.
func TestOneHostWithTwoNames(t *testing.T) {
	settings := func(port int) (s provider.Settings) { s.ProtocolPort = port; return s }
	for name, c := range map[string]struct {
		port int
		a, b Host
		want string // empty: two hosts
	}{
		"internal":           {0, Host{InternalAddr: "h"}, Host{InternalAddr: "h"}, "instances: build1.internal_addr and build2.internal_addr are the same host, h:22: "},
		"external":           {0, Host{ExternalAddr: "h:2222", InternalAddr: "a"}, Host{ExternalAddr: "h:2222", InternalAddr: "b"}, "build1.external_addr and build2.external_addr"},
		"crosswise":          {0, Host{InternalAddr: "h"}, Host{ExternalAddr: "h"}, "build1.internal_addr and build2.external_addr"},
		"the default port":   {0, Host{InternalAddr: "h"}, Host{InternalAddr: "h:22"}, "h:22"},
		"port 0":             {0, Host{InternalAddr: "h:0"}, Host{InternalAddr: "h:22"}, "h:22"},
		"the connector's":    {2222, Host{InternalAddr: "h"}, Host{InternalAddr: "h:2222"}, "h:2222"},
		"of WinRM":           {0, Host{InternalAddr: "h", OS: "windows"}, Host{InternalAddr: "h:5985", Protocol: "winrm"}, "h:5985"},
		"capitals and a dot": {0, Host{InternalAddr: "Build.example."}, Host{InternalAddr: "build.example"}, "build.example:22"},
		"IPv6":               {0, Host{InternalAddr: "fd00:0::1"}, Host{InternalAddr: "[FD00::1]:22"}, "[fd00::1]:22"},
		"two ports":          {0, Host{InternalAddr: "h:2201"}, Host{InternalAddr: "h:2202"}, ""},
		"its own addresses":  {0, Host{InternalAddr: "h", ExternalAddr: "h"}, Host{InternalAddr: "i"}, ""},
	} {
		got := refused(t, settings(c.port), map[string]Host{"build1": c.a, "build2": c.b})
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || strings.Count(got, "the same host") > 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestOneHostWithTwoNamesLater: instances_file is checked at each reading, and the hosts of before stay.
func TestOneHostWithTwoNamesLater(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.toml")
	h := Host{InternalAddr: greeter(t)}
	hostsFile(t, file, map[string]Host{"build1": h})
	g := open(t, &InstanceGroup{InstancesFile: file})
	hostsFile(t, file, map[string]Host{"build1": h, "build2": h})
	want := file + ": build1.internal_addr and build2.internal_addr are the same host"
	if _, err := g.Describe(t.Context()); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if n, err := g.Increase(t.Context(), 2); n != 0 || provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), want) {
		t.Errorf("%d, %v", n, err)
	}
	if len(g.hosts) != 1 {
		t.Errorf("the hosts are %v", g.hosts)
	}
}

// TestHostKeysAreChecked: at the start, not at the first job.
func TestHostKeysAreChecked(t *testing.T) {
	_, key, err := sshdtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	cert := "x509-sha256 " + strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		protocol string
		keys     []string
		want     string
	}{
		"a key":                {"", []string{key}, ""},
		"as ssh-keyscan":       {"ssh", []string{"10.0.0.1 " + strings.TrimSpace(key)}, ""},
		"a certificate":        {"winrm+https", []string{cert}, ""},
		"both":                 {"winrm+https", []string{key, cert}, ""},
		"garbage":              {"", []string{key, "garbage"}, "instances: build1: host_keys: entry 2 is no host key (not in authorized_keys form"},
		"empty":                {"", []string{""}, "ssh-keyscan"},
		"two in one":           {"", []string{strings.TrimSpace(key) + "\n" + key}, "more than one key"},
		"half a sum":           {"winrm+https", []string{"x509-sha256 abcd"}, "openssl x509 -fingerprint -sha256"},
		"of another protocol":  {"winrm+https", []string{key}, "no entry is for the protocol of the host, winrm+https: "},
		"a certificate of SSH": {"", []string{cert}, "no entry is for the protocol of the host, ssh: "},
	} {
		got := refused(t, provider.Settings{}, map[string]Host{"build1": {InternalAddr: "h", Protocol: c.protocol, HostKeys: c.keys}})
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	file := filepath.Join(t.TempDir(), "hosts.toml")
	if err := os.WriteFile(file, []byte("[a]\ninternal_addr = 'a'\nhost_keys = ['garbage']\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &InstanceGroup{Dir: t.TempDir(), InstancesFile: file}
	if _, err := g.Init(t.Context(), nil, provider.Settings{}); err == nil || !strings.Contains(err.Error(), file+": a: host_keys: entry 1 ") {
		t.Errorf("%v", err)
	}
}
