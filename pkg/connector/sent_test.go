//go:build unix

package connector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

// serveWith starts a server in process that answers each command with run. Everybody may log in.
func serveWith(t *testing.T, run func(*call) int) *inProcess {
	t.Helper()
	host, hostPublic := newKey(t)
	m, err := startMachine(&ssh.ServerConfig{NoClientAuth: true}, host, run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return &inProcess{m, newInfo(t, m.port(), nil, hostPublic)}
}

// TestMergedStderr: the line with the process id is in no output, even if the server sends stderr as stdout.
func TestMergedStderr(t *testing.T) {
	s := serveWith(t, func(c *call) int {
		cmd := exec.CommandContext(c.ctx, "sh", "-c", c.command)
		cmd.Stdout, cmd.Stderr = c, c
		if cmd.Run() != nil {
			return 1
		}
		return 0
	})
	c := dial(t, s.info, connector.DialOptions{})
	var out, errs bytes.Buffer
	if err := c.Run(t.Context(), connector.RunOptions{Command: "echo out; echo err >&2", Stdout: &out, Stderr: &errs}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "out\nerr\n" || errs.Len() != 0 {
		t.Errorf("stdout %q, stderr %q", &out, &errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := running(t, ctx, c)
	cancel()
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.As(err, &cancelled) || !cancelled.Ended || !cancelled.Sent {
		t.Errorf("without its process id the command cannot be ended: %v", err)
	}
}

// TestSent: the error says whether the command was sent. If it was not, the command certainly did not run.
func TestSent(t *testing.T) {
	var lost *connector.LostError
	var cancelled *connector.CancelError

	t.Run("the connection is lost while the command is being started", func(t *testing.T) {
		ran := make(chan struct{})
		var conn net.Conn
		s := serveWith(t, func(c *call) int { close(ran); <-c.ctx.Done(); return 0 })
		c := dial(t, s.info, connector.DialOptions{Dial: func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			return conn, err
		}})
		go func() { <-ran; _ = conn.Close() }()
		if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); !errors.As(err, &lost) || !lost.Sent {
			t.Errorf("got %v", err)
		}
		if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); !errors.As(err, &lost) || lost.Sent || lost.Started {
			t.Errorf("after that: %v", err)
		}
	})
	t.Run("the context ended before", func(t *testing.T) {
		c := dial(t, serveWith(t, func(*call) int { t.Error("it ran"); return 0 }).info, connector.DialOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Run(ctx, connector.RunOptions{Command: "true"}); !errors.As(err, &cancelled) || cancelled.Sent || !cancelled.Ended {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the output cannot be written", func(t *testing.T) {
		c := dial(t, serveWith(t, runLocally).info, connector.DialOptions{})
		broken := errors.New("no space left on device")
		err := c.Run(t.Context(), connector.RunOptions{Command: "echo x", Stdout: failingWriter{broken}})
		if !errors.As(err, &cancelled) || !cancelled.Sent || !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// heldConn delivers nothing while it is held.
type heldConn struct {
	net.Conn
	hold    atomic.Bool
	waiting chan struct{} // receives a value when a Read waits
	goOn    chan struct{}
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.hold.Load() {
		select {
		case c.waiting <- struct{}{}:
		default:
		}
		<-c.goOn
	}
	return n, err
}

// TestCancelledBeforeItIsSent: a command that is cancelled before the server has opened its session is not sent later.
func TestCancelledBeforeItIsSent(t *testing.T) {
	var commands []string // of the server, one after another
	s := serveWith(t, func(c *call) int { commands = append(commands, c.command); return 0 })
	held := &heldConn{waiting: make(chan struct{}, 1), goOn: make(chan struct{})}
	c := dial(t, s.info, connector.DialOptions{Dial: func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		held.Conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return held, err
	}})
	held.hold.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held.waiting; cancel() }()
	var cancelled *connector.CancelError
	if err := c.Run(ctx, connector.RunOptions{Command: "first"}); !errors.As(err, &cancelled) || cancelled.Sent || !cancelled.Ended {
		t.Errorf("got %v", err)
	}
	held.hold.Store(false)
	close(held.goOn)
	if err := c.Run(t.Context(), connector.RunOptions{Command: "second", Unwrapped: true}); err != nil {
		t.Error(err)
	}
	if len(commands) != 1 || commands[0] != "second" {
		t.Errorf("the server was asked for %q", commands)
	}
}

// TestEndOfALostCommand: what is left of a command whose connection was lost can be ended over a new connection.
func TestEndOfALostCommand(t *testing.T) {
	s := startSSHD(t)
	c := dial(t, s.info, connector.DialOptions{})
	pid := servingPID(t, c)
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- c.Run(t.Context(), connector.RunOptions{Command: `trap "" HUP PIPE; echo $$; sleep 150`, Stdout: in})
	}()
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	job, err := strconv.Atoi(string(bytes.TrimSpace(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var lost *connector.LostError
	if err := await(t, result); !errors.As(err, &lost) || !lost.Sent {
		t.Fatalf("got %v", err)
	}
	fresh := dial(t, s.info, connector.DialOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lost.End(ctx, fresh); err != nil {
		t.Errorf("End: %v", err)
	}
	if err := fresh.Run(ctx, connector.RunOptions{Command: fmt.Sprintf(`! kill -0 %d 2>/dev/null || grep -q ") Z" /proc/%d/stat`, job, job)}); err != nil {
		t.Errorf("process %d still runs: %v", job, err)
	}
}
