package connector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// hang bounds everything that a test of this package waits for, and every time limit of the product that must not pass in that test.
// Only a hang reaches it: it is far longer than a busy machine needs.
const hang = 2 * time.Minute

func dial(t testing.TB, info provider.ConnectInfo, opts connector.DialOptions) connector.Client {
	t.Helper()
	c, err := connector.Dial(t.Context(), info, quick(opts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// runOnce runs one command on a connection of its own.
func runOnce(ctx context.Context, info provider.ConnectInfo, opts connector.DialOptions, run connector.RunOptions) error {
	c, err := connector.Dial(ctx, info, opts)
	if err != nil {
		return err
	}
	return errors.Join(c.Run(ctx, run), c.Close())
}

// running starts a long command, waits until it runs, and returns the channel for its result.
func running(t *testing.T, ctx context.Context, c connector.Client) <-chan error {
	t.Helper()
	result, err := tryRunning(ctx, c)
	if err != nil {
		t.Fatalf("the command does not run: %v", err)
	}
	return result
}

// tryRunning is running for a connection that may already be lost.
func tryRunning(ctx context.Context, c connector.Client) (<-chan error, error) {
	out, in := io.Pipe()
	result := make(chan error, 1)
	go func() {
		err := c.Run(ctx, connector.RunOptions{Command: "echo there; sleep 150", Stdout: in}) // longer than hang
		_ = in.CloseWithError(err)
		result <- err
	}()
	_, err := io.ReadFull(out, make([]byte, len("there\n")))
	return result, err
}

func await(t *testing.T, result <-chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(hang):
		t.Fatal("it did not return")
		return nil
	}
}

func TestPortNotYetListening(t *testing.T) {
	s := startInProcess(t)
	var told atomic.Int32
	opts := connector.DialOptions{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if told.Load() < 2 { // it listens after two attempts
				return nil, errors.New("connection refused")
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		OnRetry: func(error) { told.Add(1) },
	}
	if err := dial(t, s.info, opts).Run(t.Context(), connector.RunOptions{Command: "true"}); err != nil {
		t.Fatal(err)
	}
}

// silent accepts connections and does not answer. From connection number after on it forwards to address.
func silent(t *testing.T, after int32, address string) (port int, accepted *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	keep := func(c net.Conn) { mu.Lock(); open = append(open, c); mu.Unlock() }
	accepted = new(atomic.Int32)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			keep(c)
			if accepted.Add(1) <= after {
				continue
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = c.Close()
				continue
			}
			keep(far)
			wg.Go(func() { _, _ = io.Copy(far, c); _ = far.Close() })
			wg.Go(func() { _, _ = io.Copy(c, far); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port, accepted
}

// retries returns a context that ends with the error enough at the n-th retry. It sets opts.OnRetry.
func retries(t *testing.T, n int32, opts *connector.DialOptions) (ctx context.Context, enough error) {
	t.Helper()
	enough = fmt.Errorf("%d retries are enough", n)
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	var told atomic.Int32
	opts.OnRetry = func(error) {
		if told.Add(1) == n {
			cancel(enough)
		}
	}
	return ctx, enough
}

func TestSilentServer(t *testing.T) {
	s := startInProcess(t)
	info := s.info
	info.ProtocolPort, _ = silent(t, 1<<30, "")

	// It is given up after the time for connecting.
	opts := connector.Quick(connector.DialOptions{}, 200*time.Millisecond, hang, time.Second, hang)
	info.Timeout = time.Second
	var connect *connector.ConnectError
	if _, err := connector.Dial(t.Context(), info, opts); !errors.As(err, &connect) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}

	// Until then it is tried again and again, and the error says what the last attempt met.
	ctx, enough := retries(t, 2, &opts)
	info.Timeout = hang
	if _, err := connector.Dial(ctx, info, opts); !errors.As(err, &connect) || connect.Attempts < 2 || !errors.Is(err, enough) ||
		!strings.Contains(err.Error(), "no SSH handshake within") {
		t.Errorf("got %v", err)
	}

	// A server that recovers later is reached, because each attempt has a time limit of its own.
	opts = connector.Quick(connector.DialOptions{}, time.Second, hang, time.Second, hang)
	info.ProtocolPort, _ = silent(t, 2, s.listener.Addr().String())
	if err := runOnce(t.Context(), info, opts, connector.RunOptions{Command: "true"}); err != nil {
		t.Error(err)
	}
}

func TestCancelledWhileConnecting(t *testing.T) {
	info := startInProcess(t).info
	port, accepted := silent(t, 1<<30, "")
	info.ProtocolPort = port
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() {
		for accepted.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(enough)
	}()
	if _, err := connector.Dial(ctx, info, connector.DialOptions{}); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestWrongPassword(t *testing.T) {
	s := startInProcess(t)
	info := s.info
	info.Key, info.Password, info.Timeout = nil, "not-the-"+testPassword, hang
	opts := quick(connector.DialOptions{})
	ctx, enough := retries(t, 1, &opts)
	_, err := connector.Dial(ctx, info, opts)
	var refused *connector.AuthError
	if !errors.As(err, &refused) || !errors.Is(err, enough) || strings.Contains(err.Error(), testPassword) {
		t.Errorf("got %v", err)
	}
	info.Password = testPassword
	if err := runOnce(t.Context(), info, quick(connector.DialOptions{}), connector.RunOptions{Command: "true"}); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestHostKeyAfterRestart(t *testing.T) {
	before, after := startInProcess(t), startInProcess(t)
	info := after.info
	info.HostKeys = before.info.HostKeys
	start := time.Now()
	_, err := connector.Dial(t.Context(), info, quick(connector.DialOptions{}))
	var mismatch *connector.HostKeyError
	var connect *connector.ConnectError
	if !errors.As(err, &mismatch) || !errors.As(err, &connect) || connect.Attempts != 1 || connect.Cause != nil {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	if !strings.Contains(mismatch.Presented, "SHA256:") || len(mismatch.Pinned) != 1 || !strings.Contains(err.Error(), "remove the instance") {
		t.Errorf("the message does not say what to do: %v", err)
	}
}

// TestPinnedTypeIsAskedFor: sshd has three host keys and presents the ecdsa key by default.
func TestPinnedTypeIsAskedFor(t *testing.T) {
	s := startSSHD(t)
	info := s.info
	for _, k := range []string{"ssh-rsa", "ecdsa-sha2-nistp256"} {
		out := readPublic(t, s.dir, k)
		info.HostKeys = []string{out}
		if err := runOnce(t.Context(), info, quick(connector.DialOptions{}), connector.RunOptions{Command: "true"}); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	var pinned string
	info.HostKeys = nil
	opts := connector.DialOptions{PinHostKey: func(key string) error { pinned = key; return nil }}
	dial(t, info, opts)
	if pinned != s.info.HostKeys[0] {
		t.Errorf("pinned %q, want the ed25519 key", pinned)
	}
}

// delayed is a slow connection that can be cut.
type delayed struct {
	net.Conn
	delay time.Duration
}

func (d *delayed) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	time.Sleep(d.delay)
	return n, err
}

func TestSlowLink(t *testing.T) {
	s := startInProcess(t)
	var out strings.Builder
	opts := connector.DialOptions{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &delayed{c, 20 * time.Millisecond}, err
	}}
	if err := dial(t, s.info, opts).Run(t.Context(), connector.RunOptions{Command: "cat", Stdin: strings.NewReader("slow"), Stdout: &out}); err != nil {
		t.Error(err)
	}
	if out.String() != "slow" {
		t.Errorf("%q came back", &out)
	}
}

func TestResetConnection(t *testing.T) {
	s := startInProcess(t)
	var conn *net.TCPConn
	opts := connector.DialOptions{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			conn = c.(*net.TCPConn)
		}
		return c, err
	}}
	c := dial(t, s.info, opts)
	result := running(t, t.Context(), c)
	_ = conn.SetLinger(0)
	_ = conn.Close()
	var lost *connector.LostError
	if err := await(t, result); !errors.As(err, &lost) || !lost.Started {
		t.Errorf("got %v", err)
	}
	if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); !errors.As(err, &lost) || lost.Started {
		t.Errorf("after that: %v", err)
	}
}
