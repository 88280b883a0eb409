package connector_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

var errFirst = errors.New("the first contact failed")

// examined makes a second contact with the instance at info, for at most a second.
func examined(t *testing.T, failed error, info provider.ConnectInfo) (connector.Finding, error) {
	t.Helper()
	return connector.ExamineWithin(t.Context(), time.Second, failed, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		return connector.Dial(ctx, info, connector.Quick(connector.DialOptions{Dial: network}, hang, 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond))
	})
}

// TestSecondContact: only an instance that answers that it cannot be used is unusable. One that is too slow is doubtful.
func TestSecondContact(t *testing.T) {
	t.Parallel()
	host, public := newKey(t)
	serve := func(run func(*call) int) provider.ConnectInfo {
		m, err := startMachine(&ssh.ServerConfig{NoClientAuth: true}, host, run)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.close)
		return newInfo(t, m.port(), nil, public)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	_, other := newKey(t)
	healthy := serve(runLocally)
	rebuilt := healthy
	rebuilt.HostKeys = []string{authorized(other)}
	for name, c := range map[string]struct {
		info provider.ConnectInfo
		want connector.Finding
	}{
		"it works":                      {healthy, connector.FindingNone},
		"nobody listens":                {newInfo(t, closed.Addr().(*net.TCPAddr).Port, nil, public), connector.FindingUnusable},
		"it accepts and does not greet": {newInfo(t, silent.Addr().(*net.TCPAddr).Port, nil, public), connector.FindingDoubtful},
		"it logs in and fails commands": {serve(func(*call) int { return 1 }), connector.FindingUnusable},
		"it logs in and hangs":          {serve(func(c *call) int { <-c.ctx.Done(); return 0 }), connector.FindingDoubtful},
		"it logs in, opens no session":  {newInfo(t, withoutSessions(t, host), nil, public), connector.FindingDoubtful},
		"it has another host key":       {rebuilt, connector.FindingChangedHostKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := examined(t, errFirst, c.info)
			if found != c.want || (err == nil) != (c.want == connector.FindingNone) || err != nil && !errors.Is(err, errFirst) {
				t.Errorf("finding %d, want %d: %v", found, c.want, err)
			}
		})
	}
}

// TestSecondContactEndsWhatIsLeft: what is left of a command is ended. If it cannot be, no new job may run beside it, and the other jobs go on.
func TestSecondContactEndsWhatIsLeft(t *testing.T) {
	t.Parallel()
	host, public := newKey(t)
	for name, c := range map[string]struct {
		status int // of the script that ends what is left
		want   connector.Finding
	}{
		"it is ended":     {0, connector.FindingNone},
		"it is not ended": {1, connector.FindingDoubtful},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Bool
			m, err := startMachine(&ssh.ServerConfig{NoClientAuth: true}, host, func(call *call) int {
				if strings.Contains(call.command, "4711") {
					asked.Store(true)
					return c.status
				}
				return 0
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.close)
			found, err := examined(t, connector.LostWithProcess(4711), newInfo(t, m.port(), nil, public))
			if found != c.want || (err == nil) != (c.want == connector.FindingNone) || !asked.Load() {
				t.Errorf("finding %d, want %d: %v; asked to end it: %v", found, c.want, err, asked.Load())
			}
		})
	}
}

// withoutSessions serves logins, and never answers the request for a session. It returns the port.
func withoutSessions(t *testing.T, hostKey []byte) int {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				_, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					return
				}
				work.Go(func() { ssh.DiscardRequests(requests) })
				for range channels { // until the client leaves
				}
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	return listener.Addr().(*net.TCPAddr).Port
}

// TestSecondContactIsNotInterrupted: the end of the caller says nothing about the instance.
func TestSecondContactIsNotInterrupted(t *testing.T) {
	m := startInProcess(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found, err := connector.Examine(ctx, errFirst, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		return connector.Dial(ctx, m.info, quick(connector.DialOptions{Dial: network}))
	})
	if found != connector.FindingNone || err != nil {
		t.Errorf("finding %d: %v", found, err)
	}
}

// TestNoConnectionAtAll: an instance that accepts no connection is unusable, although nothing but time-outs is seen. If the network was never
// asked, because the embedder's dialer has its own, or if this process was not run in time, a time-out stays a doubt.
func TestNoConnectionAtAll(t *testing.T) {
	for _, c := range []struct {
		asks, late bool
		want       connector.Finding
	}{
		{asks: true, want: connector.FindingUnusable},
		{asks: false, want: connector.FindingDoubtful},
		{asks: true, late: true, want: connector.FindingDoubtful},
	} {
		examine := connector.ExamineWithin
		if c.late {
			examine = connector.ExamineLate
		}
		found, err := examine(t.Context(), 200*time.Millisecond, errFirst, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
			if c.asks {
				gone, cancel := context.WithCancel(ctx)
				cancel()
				_, _ = network(gone, "tcp", "127.0.0.1:1")
			}
			<-ctx.Done()
			return nil, &connector.ConnectError{Address: "a", Last: os.ErrDeadlineExceeded, Cause: context.Cause(ctx)}
		})
		if found != c.want || err == nil {
			t.Errorf("%+v: finding %d: %v", c, found, err)
		}
	}
}

// TestOwnClock: a process that was not run for long cannot tell who was too slow.
func TestOwnClock(t *testing.T) {
	if connector.LateAfter(10*time.Millisecond) || !connector.LateAfter(time.Second) {
		t.Error("10 ms must not count as late, and 1 s must")
	}
}

// TestFindings: what an error says alone.
func TestFindings(t *testing.T) {
	dialed := func(err error) error {
		return &connector.ConnectError{Address: "a", Last: &net.OpError{Op: "dial", Net: "tcp", Err: err}, Cause: context.DeadlineExceeded}
	}
	for _, c := range []struct {
		err  error
		want connector.Finding
	}{
		{nil, connector.FindingNone},
		{connector.NewExitError(1, ""), connector.FindingNone},
		{&connector.CommandTooLongError{}, connector.FindingNone},
		{&connector.CancelError{Ended: true, Sent: true}, connector.FindingNone},
		{&connector.CancelError{Sent: true}, connector.FindingDoubtful},
		{&connector.LostError{Err: connector.ErrClosed}, connector.FindingNone},
		{&connector.LostError{Err: connector.ErrKeepalive}, connector.FindingDoubtful},
		{&connector.LostError{Err: syscall.ECONNRESET}, connector.FindingUnusable},
		{&connector.RefusedError{Command: true}, connector.FindingUnusable},
		{&connector.HostKeyError{}, connector.FindingChangedHostKey},
		{dialed(os.NewSyscallError("connect", syscall.ECONNREFUSED)), connector.FindingUnusable},
		{dialed(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), connector.FindingUnusable},
		{dialed(os.NewSyscallError("socket", syscall.EMFILE)), connector.FindingNone},
		{dialed(os.NewSyscallError("connect", syscall.ENETUNREACH)), connector.FindingNone},
		{dialed(os.NewSyscallError("connect", syscall.ETIMEDOUT)), connector.FindingDoubtful},
		{dialed(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), connector.FindingNone},
		{dialed(&net.DNSError{Err: "no such host", IsNotFound: true}), connector.FindingDoubtful},
		{&connector.ConnectError{Cause: context.DeadlineExceeded}, connector.FindingDoubtful},
		{&connector.KeyError{}, connector.FindingNone},
		{&connector.AuthError{Err: errRefused}, connector.FindingUnusable},
	} {
		if got := connector.FindingOf(c.err); got != c.want {
			t.Errorf("%v: finding %d, want %d", c.err, got, c.want)
		}
		if got := connector.FindingOf(fmt.Errorf("dial: %w", c.err)); c.err != nil && got != c.want {
			t.Errorf("wrapped %v: finding %d, want %d", c.err, got, c.want)
		}
	}
}

// TestRefused: a refusal has a type, and a command that fails says whether the shell was seen.
func TestRefused(t *testing.T) {
	m := startInProcess(t)
	c := dial(t, m.info, connector.DialOptions{})
	var exit *connector.ExitError
	if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 3"}); !errors.As(err, &exit) || exit.Unseen() {
		t.Errorf("a shell that ran the command: %v, unseen %v", err, exit.Unseen())
	}
	s := serveWith(t, func(*call) int { return 1 })
	c = dial(t, s.info, connector.DialOptions{})
	if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 3"}); !errors.As(err, &exit) || exit.ExitCode() != 1 || !exit.Unseen() {
		t.Errorf("an account without a shell: %v", err)
	}
}
