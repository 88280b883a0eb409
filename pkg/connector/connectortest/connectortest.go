// Package connectortest is the comments of package connector made executable: Run holds a server that it can connect to against them.
// It needs a POSIX shell on the far side, and processes there that it may look at with kill -0.
package connectortest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Target is a server under test.
type Target struct {
	Info    provider.ConnectInfo // with the server's host key
	Options connector.DialOptions
	// SingleSession says that the server serves one command a connection, one after the other not even.
	SingleSession bool
	// DiesOfUnreadStdin says that the server ends the connection when a command exits without having read its input.
	DiesOfUnreadStdin bool
	// Tunnels says that the server forwards TCP and Unix sockets, and runs on this machine.
	Tunnels bool
	// AcceptsEnv is the name of a variable that the server lets through; empty: none.
	AcceptsEnv string
	// ForeignKey is a private key (PEM) that the server does not accept; nil leaves the test of a refused login out.
	ForeignKey []byte
}

// patience bounds what should take milliseconds; it decides no test that works.
const patience = 60 * time.Second

// Run runs the suite.
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
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
