package connector

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		name, internal, external string
		useExternal              bool
		port                     int
		protocol                 provider.Protocol
		want                     string
	}{
		{"internal by default", "10.0.0.1", "1.2.3.4", false, 0, "", "10.0.0.1:22"},
		{"external on request", "10.0.0.1", "1.2.3.4", true, 0, "", "1.2.3.4:22"},
		{"only external", "", "1.2.3.4", false, 0, "", "1.2.3.4:22"},
		{"only internal", "10.0.0.1", " ", true, 0, "", "10.0.0.1:22"},
		{"configured port", "host.example", "", false, 2222, "", "host.example:2222"},
		{"own port wins", "host.example:2200", "", false, 2222, "", "host.example:2200"},
		{"protocol's port", "10.0.0.1", "", false, 0, provider.ProtocolWinRM, "10.0.0.1:5985"},
		{"protocol's port with TLS", "10.0.0.1", "", false, 0, provider.ProtocolWinRMHTTPS, "10.0.0.1:5986"},
		{"port 0 in the address", "10.0.0.1:0", "", false, 0, "", "10.0.0.1:22"},
		{"port 0 in the address, configured port", "[2001:db8::1]:0", "", false, 2222, "", "[2001:db8::1]:2222"},
		{"only external, with port", "", "[2001:db8::2]:2200", false, 22, "", "[2001:db8::2]:2200"},
		{"IPv6", "2001:db8::1", "", false, 0, "", "[2001:db8::1]:22"},
		{"IPv6 in brackets", "[2001:db8::1]", "", false, 0, "", "[2001:db8::1]:22"},
		{"IPv6 with port", "[2001:db8::1]:2200", "", false, 0, "", "[2001:db8::1]:2200"},
		{"IPv6 with zone", "fe80::1%eth0", "", false, 0, "", "[fe80::1%eth0]:22"},
		{"IPv6 with zone and port", "[fe80::1%eth0]:23", "", false, 0, "", "[fe80::1%eth0]:23"},
	} {
		info := provider.ConnectInfo{InternalAddr: c.internal, ExternalAddr: c.external}
		info.ProtocolPort, info.Protocol = c.port, c.protocol
		if got, err := endpoint(info, c.useExternal); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestEndpointErrors(t *testing.T) {
	if _, err := endpoint(provider.ConnectInfo{}, true); !errors.Is(err, ErrNoAddress) {
		t.Errorf("no address: %v", err)
	}
	for _, addr := range []string{
		"host:", "host:-0", "host:65536", "host:ssh", "host:+22", "host:-1", ":22", "a:b:c", "[::1", "[::1]22", "[]", "[]:22",
		"ho st", "user@host", "h/x", "fe80::1%a b", "[fe80::1%a/b]:22",
	} {
		if got, err := joinPort(addr, 22); err == nil {
			t.Errorf("%q became %q", addr, got)
		}
	}
	for _, port := range []int{-1, 65536} {
		if got, err := joinPort("host", port); err == nil {
			t.Errorf("port %d became %q", port, got)
		}
	}
}

func FuzzJoinPort(f *testing.F) {
	for _, s := range []string{
		"host", "host:22", "::1", "[::1]:22", "fe80::1%eth0", "[fe80::1%eth0]:1", "::% 0", "1.2.3.4:5", "", ":", "[", "a:b:c", "1:2:3:4:5:6:7:8:9",
	} {
		f.Add(s, 22)
	}
	f.Fuzz(func(t *testing.T, addr string, port int) {
		got, err := joinPort(addr, port)
		if err != nil {
			return
		}
		host, p, err := net.SplitHostPort(got)
		if err != nil || host == "" {
			t.Fatalf("%q, %d became %q: %v", addr, port, got, err)
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			t.Fatalf("%q became %q", addr, got)
		}
		if again, err := joinPort(got, 1); err != nil || again != got {
			t.Fatalf("%q became %q and then %q: %v", addr, got, again, err)
		}
		if strings.ContainsAny(host, " \n\r\t/@") {
			t.Fatalf("host %q", host)
		}
	})
}

func TestProtocolOf(t *testing.T) {
	for _, c := range []struct {
		in   provider.ConnectorConfig
		want provider.Protocol
	}{
		{provider.ConnectorConfig{}, provider.ProtocolSSH},
		{provider.ConnectorConfig{OS: "Windows"}, provider.ProtocolWinRM},
		{provider.ConnectorConfig{OS: "windows", Protocol: provider.ProtocolSSH}, provider.ProtocolSSH},
	} {
		if got := ProtocolOf(c.in); got != c.want {
			t.Errorf("%v: %s", c.in, got)
		}
	}
}
