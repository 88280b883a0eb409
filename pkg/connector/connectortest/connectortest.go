// Package connectortest checks that package connector keeps its promises with one SSH server. [Run] runs the suite. The server needs a
// POSIX shell, and the user must be allowed to check processes there with kill -0.
package connectortest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Target describes the server under test.
type Target struct {
	Info    provider.ConnectInfo // how to connect, with the server's host key
	Options connector.DialOptions
	// SingleSession says that the server runs only one command per connection, not even one after another.
	SingleSession bool
	// DiesOfUnreadStdin says that the server closes the connection when a command exits before it has read its input.
	DiesOfUnreadStdin bool
	// Tunnels says that the server forwards TCP and Unix sockets, and runs on this machine.
	Tunnels bool
	// AcceptsEnv is the name of an environment variable that the server accepts. Empty: it accepts none.
	AcceptsEnv string
	// ForeignKey is a private key in PEM form that the server refuses. Nil: the test of a refused login is skipped.
	ForeignKey []byte
}

// hang bounds everything that the suite waits for. Only a hang reaches it: it is far longer than a busy machine needs.
const hang = 2 * time.Minute

// Run runs the suite in subtests of t.
func Run(t *testing.T, target Target) {
	s := &suite{target}
	for _, c := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"ExitStatus", s.exitStatus},
		{"Streams", s.streams},
		{"CommandIsNotChanged", s.commandIsNotChanged},
		{"Unwrapped", s.unwrapped},
		{"CommandTooLong", s.commandTooLong},
		{"StdinIsStreamed", s.stdinIsStreamed},
		{"BlockedStdin", s.blockedStdin},
		{"FailingStdin", s.failingStdin},
		{"FailingStdout", s.failingStdout},
		{"BigOutput", s.bigOutput},
		{"KilledCommand", s.killedCommand},
		{"Env", s.env},
		{"Sessions", s.sessions},
		{"CancelBeforeStart", s.cancelBeforeStart},
		{"CancelEndsTree", s.cancelEndsTree},
		{"CancelEndsTheStubborn", s.cancelEndsTheStubborn},
		{"CancelSparesOthers", s.cancelSparesOthers},
		{"CancelIsGentle", s.cancelIsGentle},
		{"DialRun", s.dialRun},
		{"DialRunDeadline", s.dialRunDeadline},
		{"DialRunFailure", s.dialRunFailure},
		{"TunnelTCP", s.tunnelTCP},
		{"TunnelUnix", s.tunnelUnix},
		{"TunnelCancelled", s.tunnelCancelled},
		{"CloseWhileRunning", s.closeWhileRunning},
		{"WrongHostKey", s.wrongHostKey},
		{"PinHostKey", s.pinHostKey},
		{"RefusedLogin", s.refusedLogin},
	} {
		t.Run(c.name, c.test)
	}
}

type suite struct{ target Target }

func (s *suite) context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

func (s *suite) dial(t *testing.T) connector.Client {
	t.Helper()
	c, err := connector.Dial(s.context(t), s.target.Info, s.target.Options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// run runs command on a connection of its own.
func (s *suite) run(t *testing.T, opts connector.RunOptions) error {
	t.Helper()
	ctx := s.context(t)
	c, err := connector.Dial(ctx, s.target.Info, s.target.Options)
	if err != nil {
		return err
	}
	return errors.Join(c.Run(ctx, opts), c.Close())
}
