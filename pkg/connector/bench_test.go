package connector_test

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// overServers runs a benchmark against sshd, where the login shell of this user also reads its start files, and against a server in this
// process, which only starts sh.
func overServers(b *testing.B, bench func(b *testing.B, info provider.ConnectInfo)) {
	b.Run("sshd", func(b *testing.B) { bench(b, startSSHD(b).info) })
	b.Run("inprocess", func(b *testing.B) { bench(b, startInProcess(b).info) })
}

// BenchmarkRun runs true over loopback on one connection. unwrapped is without the line that prints the process id.
func BenchmarkRun(b *testing.B) {
	overServers(b, func(b *testing.B, info provider.ConnectInfo) {
		c, err := connector.Dial(b.Context(), info, connector.DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		for _, unwrapped := range []bool{false, true} {
			b.Run(map[bool]string{false: "wrapped", true: "unwrapped"}[unwrapped], func(b *testing.B) {
				for b.Loop() {
					if err := c.Run(b.Context(), connector.RunOptions{Command: "true", Unwrapped: unwrapped}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkDialRun connects, runs true and closes.
func BenchmarkDialRun(b *testing.B) {
	overServers(b, func(b *testing.B, info provider.ConnectInfo) {
		for b.Loop() {
			if err := runOnce(b.Context(), info, connector.DialOptions{}, connector.RunOptions{Command: "true"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
