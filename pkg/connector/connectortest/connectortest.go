// Package connectortest checks that package connector keeps its promises with one server of SSH or WinRM. [Run] runs the suite. The server needs a
// POSIX shell, and the user must be allowed to check processes there with kill -0.
package connectortest

import (
	"context"
	"errors"
	"strings"
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
	// KillsGroups says that the server kills the process group of a command when the shell that it started ends. So a cancelled command has no time to clean up.
	KillsGroups bool
	// Tunnels says that the server forwards TCP and Unix sockets, and runs on this machine.
	Tunnels bool
	// Terminals says that the server gives terminals. Else it must refuse them.
	Terminals bool
	// AcceptsEnv is the name of an environment variable that the server accepts. Empty: it accepts none.
	AcceptsEnv string
	// WinRM says that the server speaks WinRM: a command has one line, a cancelled command gets no TERM, and there are no keys of SSH. The server must
	// run commands with a POSIX shell all the same.
	WinRM bool
	// PlainCopies says that files of the machine have neither permissions nor symlinks, and only names that Windows can have. It is true over WinRM, where the
	// server needs a powershell.exe that copies. Without it, the tests of copies are skipped over WinRM.
	PlainCopies bool
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
		{"Terminal", s.terminal},
		{"TerminalResized", s.terminalResized},
		{"TerminalEndOfInput", s.terminalEndOfInput},
		{"TerminalCancelled", s.terminalCancelled},
		{"CopyFile", s.copyFile},
		{"CopyFolder", s.copyFolder},
		{"CopyTarget", s.copyTarget},
		{"CopyFails", s.copyFails},
		{"CopyCancelled", s.copyCancelled},
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
		t.Run(c.name, func(t *testing.T) {
			if target.WinRM && !target.PlainCopies && strings.HasPrefix(c.name, "Copy") {
				t.Skip("the server has no powershell.exe, which copies files over WinRM")
			}
			c.test(t)
		})
	}
}

type suite struct{ Target Target }

func (s *suite) context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

func (s *suite) dial(t *testing.T) connector.Client {
	t.Helper()
	c, err := connector.Dial(s.context(t), s.Target.Info, s.Target.Options)
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
	c, err := connector.Dial(ctx, s.Target.Info, s.Target.Options)
	if err != nil {
		return err
	}
	return errors.Join(c.Run(ctx, opts), c.Close())
}
