package connector_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// TestSshdIPv6: an instance is reached at an IPv6 address, in each of the forms that providers use, and by the only address that it has.
func TestSshdIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	_ = l.Close()
	s := startSSHD(t, "ListenAddress ::1")
	port := s.info.ProtocolPort
	for _, c := range []struct {
		internal, external string
		useExternal        bool
		port               int
	}{
		{"::1", "", false, port},
		{"[::1]", "", false, port},
		{fmt.Sprintf("[::1]:%d", port), "", false, 0},
		{"[::1]:0", "", false, port},
		{"", "::1", false, port}, // only the external one, which was not asked for
		{"::1", "", true, port},  // only the internal one
		{"::1", "192.0.2.1", false, port},
		{"192.0.2.1", "::1", true, port},
	} {
		info := s.info
		info.InternalAddr, info.ExternalAddr, info.ProtocolPort = c.internal, c.external, c.port
		if err := runOnce(t.Context(), info, quick(connector.DialOptions{UseExternalAddr: c.useExternal}), connector.RunOptions{Command: "true"}); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
