//go:build unix

package connector_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

func TestKilledSession(t *testing.T) {
	s := startSSHD(t)
	c := dial(t, s.info, connector.DialOptions{})
	pid := servingPID(t, c)
	result := running(t, t.Context(), c)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var lost *connector.LostError
	if err := await(t, result); !errors.As(err, &lost) || !lost.Started {
		t.Errorf("got %v", err)
	}
}

// freeze stops the process that serves c until the test ends.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) { // its connection may be lost already
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
}

func TestKeepaliveOfFrozenServer(t *testing.T) {
	s := startSSHD(t)
	s.info.Keepalive = 50 * time.Millisecond
	for began := time.Now(); ; {
		c := dial(t, s.info, connector.DialOptions{})
		pid, err := askServingPID(t.Context(), c)
		var result <-chan error
		if err == nil {
			result, err = tryRunning(t.Context(), c)
		}
		if errors.Is(err, connector.ErrKeepalive) && time.Since(began) < hang {
			continue // a busy machine did not answer in 150 ms although nobody had frozen it yet
		}
		if err != nil {
			t.Fatal(err)
		}
		freeze(t, pid)
		var lost *connector.LostError
		if err := await(t, result); !errors.As(err, &lost) || !errors.Is(err, connector.ErrKeepalive) {
			t.Errorf("got %v", err)
		}
		return
	}
}

func TestKeepaliveOfLivingServers(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *server{
		"sshd": func(t testing.TB) *server { return startSSHD(t) }, "dropbear": startDropbear, "tinysshd": startTinysshd,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.info.Keepalive = 50 * time.Millisecond
			for began := time.Now(); ; {
				err := dial(t, s.info, connector.DialOptions{}).Run(t.Context(), connector.RunOptions{Command: "sleep 0.5"})
				if err == nil {
					return
				}
				// On a busy machine a living server may miss three questions in 150 ms, but not every time.
				if !errors.Is(err, connector.ErrKeepalive) || time.Since(began) > hang {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestCancelOnFrozenServer(t *testing.T) {
	s := startSSHD(t)
	s.info.Keepalive = -1
	c, err := connector.Dial(t.Context(), s.info, connector.Quick(connector.DialOptions{}, hang, 300*time.Millisecond, time.Hour, hang))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	pid := servingPID(t, c)
	ctx, cancel := context.WithCancelCause(t.Context())
	result := running(t, ctx, c)
	freeze(t, pid)
	enough := errors.New("enough")
	cancel(enough)
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.Is(err, enough) || !errors.As(err, &cancelled) || cancelled.Ended {
		t.Errorf("got %v", err)
	}
	// A command whose start the frozen server never confirms.
	early, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := c.Run(early, connector.RunOptions{Command: "true"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.DialRun(early, "true"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("DialRun: %v", err)
	}
	if _, err := c.Dial(early, "tcp", "127.0.0.1:22"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v", err)
	}
}

// TestCancelUnwrapped can use only the signals of the protocol. sshd passes them on to the group, but not in a session of root ("session
// signalling requires privilege separation"). Run must not claim then that the command ended.
func TestCancelUnwrapped(t *testing.T) {
	s := startSSHD(t)
	opts := quick(connector.DialOptions{})
	if os.Geteuid() == 0 { // the command does not end: Run waits for the whole of its limits
		opts = connector.Quick(connector.DialOptions{}, hang, hang, 100*time.Millisecond, 100*time.Millisecond)
	}
	opts.Insecure = true
	c, err := connector.Dial(t.Context(), s.info, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- c.Run(ctx, connector.RunOptions{Command: "sh -c 'sleep 1000 & echo $!; wait'", Stdout: in, Unwrapped: true})
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	cancel()
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.As(err, &cancelled) || cancelled.Ended != (os.Geteuid() != 0) {
		t.Errorf("got %v", err)
	}
}

// TestCancelWithoutSecondSession: if sshd allows only one session, Run uses a second connection.
func TestCancelWithoutSecondSession(t *testing.T) {
	s := startSSHD(t, "MaxSessions 1")
	c := dial(t, s.info, connector.DialOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	result := running(t, ctx, c)
	cancel()
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.As(err, &cancelled) || !cancelled.Ended {
		t.Errorf("got %v", err)
	}
}
