package connector_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// cable counts the connections of a client, and can be cut.
type cable struct {
	mu    sync.Mutex
	conns []net.Conn
	down  bool
}

func (c *cable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.down {
		_ = conn.Close()
		return nil, errors.New("the cable is cut")
	}
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// TestWinRMConnectionIsLost: the error says that the command ran, and a second contact ends what is left of it.
func TestWinRMConnectionIsLost(t *testing.T) {
	s := startWinRM(t)
	var net cable
	c := dial(t, s.info, connector.DialOptions{Dial: net.dial})
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		result <- c.Run(t.Context(), connector.RunOptions{Command: "echo $$; exec sleep 150", Stdout: in})
	}()
	pid, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	net.cut()
	err = await(t, result)
	var lost *connector.LostError
	if !errors.As(err, &lost) || !lost.Started || !lost.Sent || connector.FindingOf(err) == connector.FindingNone {
		t.Fatalf("got %v", err)
	}
	redial := func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		info, opts := s.info, connector.DialOptions{Dial: network}
		info.Timeout = hang
		return connector.Dial(ctx, info, quick(opts))
	}
	if found, err := connector.Examine(t.Context(), lost, redial); found != connector.FindingNone || err != nil {
		t.Errorf("the second contact: %d, %v", found, err)
	}
	command := "kill -0 " + strings.TrimSpace(pid) + " 2>/dev/null && ! grep -q ') Z' /proc/" + strings.TrimSpace(pid) + "/stat"
	var exit *connector.ExitError
	if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{}), connector.RunOptions{Command: command}); !errors.As(err, &exit) {
		t.Errorf("the command still runs: %v", err)
	}
	if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"}); !errors.As(err, &lost) || lost.Sent || lost.Started {
		t.Errorf("after that: %v", err)
	}
}

// TestWinRMMachineIsFrozen: a server that accepts connections and does not answer is noticed within three keepalives.
func TestWinRMMachineIsFrozen(t *testing.T) {
	s := startWinRM(t)
	s.info.Keepalive = time.Second
	c := dial(t, s.info, connector.DialOptions{})
	result := running(t, t.Context(), c)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := await(t, result)
	var lost *connector.LostError
	if !errors.As(err, &lost) || !lost.Started || !errors.Is(err, connector.ErrKeepalive) || connector.FindingOf(err) != connector.FindingDoubtful {
		t.Errorf("got %v", err)
	}
	t.Logf("noticed after %s", time.Since(began).Round(time.Millisecond))
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"}); err != nil {
		t.Errorf("after that the machine answers again: %v", err)
	}
}

// TestWinRMCancelOnAFrozenMachine: Run returns, and does not claim that the command has ended.
func TestWinRMCancelOnAFrozenMachine(t *testing.T) {
	s := startWinRM(t)
	c, err := connector.Dial(t.Context(), s.info, connector.Quick(connector.DialOptions{}, hang, 300*time.Millisecond, time.Second, 300*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	result := running(t, ctx, c)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cancel()
	var cancelled *connector.CancelError
	if err := await(t, result); !errors.As(err, &cancelled) || cancelled.Ended || !cancelled.Sent || connector.FindingOf(err) != connector.FindingDoubtful {
		t.Errorf("got %v", err)
	}
}

func TestWinRMServerIsKilled(t *testing.T) {
	s := startWinRM(t)
	c := dial(t, s.info, connector.DialOptions{})
	result := running(t, t.Context(), c)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var lost *connector.LostError
	if err := await(t, result); !errors.As(err, &lost) || !lost.Started {
		t.Errorf("got %v", err)
	}
	s.info.Timeout = 300 * time.Millisecond
	_, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{}))
	var connect *connector.ConnectError
	if !errors.As(err, &connect) || connect.Attempts == 0 || connector.FindingOf(err) == connector.FindingNone {
		t.Errorf("a server that is gone: %v", err)
	}
}

// TestWinRMHealthy: a second contact with a machine that works finds nothing.
func TestWinRMHealthy(t *testing.T) {
	s := startWinRM(t)
	found, err := connector.Examine(t.Context(), errors.New("something failed"), func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		return connector.Dial(ctx, s.info, quick(connector.DialOptions{Dial: network}))
	})
	if found != connector.FindingNone || err != nil {
		t.Errorf("%d, %v", found, err)
	}
}

func TestWinRMQuota(t *testing.T) {
	s := startWinRM(t, "--max-shells", "0")
	var refused *connector.RefusedError
	if err := winrmFails(t, s.info, connector.DialOptions{}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "maximum number of concurrent shells") {
		t.Errorf("got %v", err)
	}
}

// TestWinRMCancelledBeforeItIsSent: a command that is cancelled while its shell is made is never sent, and the shell is given back.
func TestWinRMCancelledBeforeItIsSent(t *testing.T) {
	s := startWinRM(t, "--max-shells", "1")
	ctx, cancel := context.WithCancel(t.Context())
	var armed bool
	var mu sync.Mutex
	asked := func() bool { mu.Lock(); defer mu.Unlock(); return armed }
	c := dial(t, s.info, connector.DialOptions{Dial: func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(dialCtx, network, addr)
		return &watched{conn, func() {
			if asked() {
				cancel()
				<-ctx.Done()
			}
		}}, err
	}})
	mu.Lock()
	armed = true
	mu.Unlock()
	var cancelled *connector.CancelError
	err := c.Run(ctx, connector.RunOptions{Command: "echo wrong >&2; exit 9"})
	mu.Lock()
	armed = false
	mu.Unlock()
	if !errors.As(err, &cancelled) || !cancelled.Ended {
		t.Errorf("got %v", err)
	}
	for deadline := time.Now().Add(hang); ; { // the shell is deleted in the background
		err := c.Run(t.Context(), connector.RunOptions{Command: "exit 0"})
		var refused *connector.RefusedError
		if err == nil {
			return
		}
		if !errors.As(err, &refused) || time.Now().After(deadline) {
			t.Fatalf("after that: %v", err)
		}
	}
}

// watched calls before ahead of each Write.
type watched struct {
	net.Conn
	before func()
}

func (w *watched) Write(p []byte) (int, error) { w.before(); return w.Conn.Write(p) }

// TestWinRMOtherServers: what listens at the port and is not WinRM is named as such, in a short and printable error, and never blocks.
func TestWinRMOtherServers(t *testing.T) {
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	servers := map[string]http.Handler{
		"a web server":         answer(200, "text/html", "<html>\x1b[31m secrets"),
		"no such page":         answer(404, "text/plain", "no"),
		"not XML":              answer(200, "application/soap+xml", "\x00<"),
		"other XML":            answer(200, "application/soap+xml", "<a/>"),
		"an envelope of no id": answer(200, "application/soap+xml", "<Envelope><Body/></Envelope>"),
		"too much": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
			}
		}),
		"a fault": answer(500, "application/soap+xml", "<Envelope><Body><Fault><Reason><Text>\x1b[31mno\nshell "+strings.Repeat("x", 10_000)+"</Text></Reason></Fault></Body></Envelope>"),
	}
	check := func(t *testing.T, port int) {
		info := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
		info.Protocol, info.ProtocolPort, info.Timeout = provider.ProtocolWinRM, port, hang
		info.Username, info.Password = "me", "hunter2-hunter2"
		err := winrmFails(t, info, connector.DialOptions{WinRM: connector.WinRMOptions{Auth: connector.WinRMBasic, Insecure: true}})
		if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\x1b\n") || connector.FindingOf(err) != connector.FindingUnusable {
			t.Errorf("got %q", err)
		}
	}
	for name, handler := range servers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			check(t, server.Listener.Addr().(*net.TCPAddr).Port)
		})
	}
	t.Run("an SSH server", func(t *testing.T) { check(t, startInProcess(t).port()) })
}

// TestWinRMSilentServer: it is given up after the time for connecting.
func TestWinRMSilentServer(t *testing.T) {
	info := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	info.Protocol, info.Username, info.Password, info.Timeout = provider.ProtocolWinRM, "me", "hunter2", time.Second
	info.ProtocolPort, _ = silent(t, 1<<30, "")
	opts := connector.Quick(connector.DialOptions{}, 200*time.Millisecond, hang, time.Second, hang)
	_, err := connector.Dial(t.Context(), info, opts)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "no answer of WinRM within 200ms") ||
		connector.FindingOf(err) != connector.FindingDoubtful {
		t.Errorf("got %v", err)
	}
}
