package connectortest_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector/connectortest"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// The test of a server, here one that listens on this machine: one function.
func Example() {
	_ = func(t *testing.T) { // func TestMyServer(t *testing.T)
		info := provider.ConnectInfo{InternalAddr: "127.0.0.1:2222", HostKeys: []string{"ssh-ed25519 AAAA…"}}
		info.Username, info.Password = "ci", "secret"
		connectortest.Run(t, connectortest.Target{Info: info, Tunnels: true})
	}
}
