package jobexec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestParseForward(t *testing.T) {
	for text, want := range map[string]Forward{
		"8080:80":                          {"tcp", "127.0.0.1:8080", "tcp", "localhost:80"},
		"8080:db:5432":                     {"tcp", "127.0.0.1:8080", "tcp", "db:5432"},
		"0.0.0.0:8080:80":                  {"tcp", "0.0.0.0:8080", "tcp", "localhost:80"},
		"[::1]:8080:[fd00::1]:80":          {"tcp", "[::1]:8080", "tcp", "[fd00::1]:80"},
		"/tmp/d.sock:/var/run/docker.sock": {"unix", "/tmp/d.sock", "unix", "/var/run/docker.sock"},
		"./s:80":                           {"unix", "./s", "tcp", "localhost:80"},
		"localhost:8080:/s":                {"tcp", "localhost:8080", "unix", "/s"},
	} {
		if got, err := ParseForward(text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", ":", "80", "80:", ":80", "80:db", "db:80", "80:db:x", "80:0", "0:80", "65536:80", "80:65536", "/s", "/s:", "80:/s:1", "a:80:b:80:c", "[::1:80:80", "[::1]x:80:80",
		"80:-1", "80:+1",
	} {
		if got, err := ParseForward(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// dials is a client whose tunnels end on this machine, until it is lost.
type dials struct {
	connector.Client
	lost chan struct{}
}

func (d dials) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	select {
	case <-d.lost:
		return nil, &connector.LostError{Err: io.EOF}
	default:
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func (dials) Run(context.Context, connector.RunOptions) error { return nil } // the second contact

func (dials) Close() error { return nil }

// waits is a client that knows when it is lost.
type waits struct{ dials }

func (w waits) Wait(ctx context.Context) error {
	select {
	case <-w.lost:
		return &connector.LostError{Err: io.EOF}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tunnelRig is a tunnel to a target that echoes until the half-close and then says "end".
type tunnelRig struct {
	*rig
	local  net.Addr
	target net.Listener
	lost   chan struct{}
	end    context.CancelCauseFunc
	done   <-chan outcome
}

func newTunnelRig(t *testing.T, knows ...bool) *tunnelRig {
	t.Helper()
	r := newRig(t, 1)
	target, err := net.Listen("unix", filepath.Join(filepath.Dir(r.path), "target"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_, _ = io.WriteString(conn, "end")
				_ = conn.Close()
			}()
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan struct{})
	ctx, end := context.WithCancelCause(t.Context())
	done := make(chan outcome, 1)
	job := Job{Key: "k", Stdout: &r.stdout, Stderr: &r.stderr, Tunnel: &Tunnel{Listener: l, Network: "unix", Remote: target.Addr().String()},
		Dial: func(context.Context, provider.ConnectInfo, connector.DialOptions) (connector.Client, error) {
			if err := r.nextDialErr(); err != nil {
				return nil, err
			}
			d := dials{lost: lost}
			if knows == nil {
				return d, nil
			}
			return waits{d}, nil
		}}
	go func() {
		code, err := Run(ctx, control.NewClient(r.path), job)
		done <- outcome{code, err}
	}()
	t.Cleanup(func() { end(nil) })
	return &tunnelRig{rig: r, local: l.Addr(), target: target, lost: lost, end: end, done: done}
}

func (r *tunnelRig) awaitOpen() {
	r.t.Helper()
	waitFor(r.t, "the tunnel to open", func() bool { return strings.Contains(r.stderr.String(), "is open") })
}

func (r *tunnelRig) dialLocal() net.Conn {
	r.t.Helper()
	conn, err := net.Dial(r.local.Network(), r.local.String())
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// TestTunnel: each connection reaches the target, in both directions and with its half-close. An interrupt ends the tunnel and releases the slot.
func TestTunnel(t *testing.T) {
	r := newTunnelRig(t)
	idle := r.dialLocal()
	for range 3 {
		conn := r.dialLocal()
		sent := bytes.Repeat([]byte("0123456789"), 100_000)
		go func() {
			_, _ = conn.Write(sent)
			_ = conn.(*net.TCPConn).CloseWrite()
		}()
		if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, append(sent, "end"...)) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		_ = conn.Close()
	}
	if said := r.stderr.String(); !strings.Contains(said, "is open, through instance i-1") {
		t.Errorf("it said %q", said)
	}
	r.end(&SignalError{syscall.SIGINT})
	if o := <-r.done; o.code != 130 || o.err == nil || !strings.Contains(o.err.Error(), "the tunnel was closed") {
		t.Errorf("%+v", o)
	}
	if got, err := io.ReadAll(idle); err == nil && len(got) > 0 {
		t.Errorf("an open connection got %q", got)
	}
	if conn, err := net.Dial(r.local.Network(), r.local.String()); err == nil { // another program may have the port now, but it does not lead to the target
		_ = conn.(*net.TCPConn).CloseWrite()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if got, _ := io.ReadAll(conn); string(got) == "end" {
			t.Error("the listener is still open")
		}
		_ = conn.Close()
	}
	r.await("release k")
}

// TestTunnelToNothing: a target that refuses ends only the connection that asked for it.
func TestTunnelToNothing(t *testing.T) {
	r := newTunnelRig(t)
	_ = r.target.Close()
	if got, err := io.ReadAll(r.dialLocal()); len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	waitFor(t, "the refusal to be told", func() bool { return strings.Contains(r.stderr.String(), "dial unix") })
	r.end(ErrTimeout)
	if o := <-r.done; o.code != ExitTimeout {
		t.Errorf("%+v", o)
	}
	r.await("release k")
}

// TestTunnelIsLost: with its connection or with its lease.
func TestTunnelIsLost(t *testing.T) {
	r := newTunnelRig(t)
	close(r.lost)
	_, _ = io.ReadAll(r.dialLocal())
	var lost *connector.LostError
	if o := <-r.done; o.code != ExitLost || !errors.As(o.err, &lost) {
		t.Errorf("the connection: %+v", o)
	}
	r.await("release k")

	r = newTunnelRig(t, true)
	close(r.lost)
	if o := <-r.done; o.code != ExitLost || !errors.As(o.err, &lost) {
		t.Errorf("the connection, while nobody uses it: %+v", o)
	}
	r.await("release k")

	r = newTunnelRig(t, true)
	r.awaitOpen()
	r.dialErrs = []error{syscall.ECONNREFUSED}
	close(r.lost)
	if o := <-r.done; o.code != ExitLost || !errors.As(o.err, &lost) {
		t.Errorf("the connection, and the instance refuses another one: %+v", o)
	}
	r.await("release k unreachable") // it gets no other job

	r = newTunnelRig(t)
	r.awaitOpen()
	r.manager.Revoke("k", "missing")
	if o := <-r.done; o.code != ExitLost || !strings.Contains(o.err.Error(), "it is missing") {
		t.Errorf("the lease: %+v", o)
	}
}
