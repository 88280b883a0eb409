package jobexec

import (
	"context"
	"errors"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// halfOpen is a connection to the manager that can break on this side. The other side does not notice.
type halfOpen struct {
	net.Conn
	mu     sync.Mutex
	broken bool
}

func (c *halfOpen) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// breaks ends the reads of this side.
func (c *halfOpen) breaks() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = true
	return c.Conn.SetReadDeadline(time.Unix(1, 0))
}

// Read implements net.Conn.
func (c *halfOpen) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && c.isBroken() {
		err = &net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return n, err
}

// Close implements net.Conn. A broken connection stays open on the other side.
func (c *halfOpen) Close() error {
	if c.isBroken() {
		return nil
	}
	return c.Conn.Close()
}

// TestReattachesWhileTheManagerStillSeesTheOldConnection: the manager knows its caller again, although the connection that broke is still open
// for it.
func TestReattachesWhileTheManagerStillSeesTheOldConnection(t *testing.T) {
	r := newRig(t, 1)
	conns := make(chan *halfOpen, 16)
	manager := control.NewClientWithDialer(r.path, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", r.path)
		if err != nil {
			return nil, err
		}
		half := &halfOpen{Conn: conn}
		conns <- half
		return half, nil
	})
	held := r.job("sh", "-c", "read line; exit 9")
	input, goOn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close() }()
	held.Stdin = input
	done := make(chan outcome, 1)
	go func() {
		code, err := Run(t.Context(), manager, held)
		done <- outcome{code, err}
	}()
	<-r.started
	first := <-conns // of the stream of the lease
	defer func() { _ = first.Conn.Close() }()
	if err := first.breaks(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the job to say that the lease stands, or to end", func() bool {
		return strings.Contains(r.stderr.String(), "the lease is still valid") || len(done) > 0
	})
	if err := goOn.Close(); err != nil {
		t.Fatal(err)
	}
	if o := <-done; o.code != 9 || o.err != nil {
		t.Errorf("%+v", o)
	}
	r.await("release k")
}

// late is a manager whose answer comes too late: the lease is granted, and before its caller hears of it, the job ends.
type late struct {
	*control.Client
	granted func()
	end     func()
}

// Lease implements Manager.
func (l *late) Lease(ctx context.Context, req control.LeaseRequest) (*control.Stream, error) {
	stream, err := l.Client.Lease(ctx, req)
	if err != nil {
		return nil, err
	}
	l.granted()
	l.end()
	<-ctx.Done()
	_ = stream.Close()
	return nil, context.Cause(ctx)
}

// TestEndsInTheMomentOfTheGrant: the job did not hear of its lease, and gives it back all the same.
func TestEndsInTheMomentOfTheGrant(t *testing.T) {
	r := newRig(t, 1)
	ctx, end := context.WithCancelCause(t.Context())
	defer end(nil)
	manager := &late{control.NewClient(r.path), func() { r.await("granted k") }, func() { end(&SignalError{syscall.SIGTERM}) }}
	if code, err := Run(ctx, manager, r.job("true")); code != 143 || err == nil {
		t.Errorf("%d, %v", code, err)
	}
	if calls := r.manager.Calls(); !slices.Contains(calls, "release k") {
		t.Errorf("the lease was not released when the job had ended: %q", calls)
	}
}

// TestSecondContactOutlivesTheJob: an interrupted job whose connection broke still finds out whether the instance works. Else the instance would
// be condemned for an interrupt, and the other jobs on it would end.
func TestSecondContactOutlivesTheJob(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&SignalError{Signal: syscall.SIGINT})
	r := &run{job: Job{Dial: func(ctx context.Context, _ provider.ConnectInfo, _ connector.DialOptions) (connector.Client, error) {
		return closes{}, ctx.Err()
	}}}
	lease := control.Lease{Instance: "i-1", Connect: &provider.ConnectInfo{ID: "i-1"}}
	found := r.doubt(ctx, lease, errors.New("the connection broke"))
	if found != (verdict{}) {
		t.Errorf("a healthy instance is condemned: %+v", found)
	}
}

// closes is a client on which each command succeeds.
type closes struct{ connector.Client }

func (closes) Close() error { return nil }

func (closes) Run(ctx context.Context, _ connector.RunOptions) error { return ctx.Err() }

// TestDialAsTheLeaseSays: how a job connects is the manager's decision.
func TestDialAsTheLeaseSays(t *testing.T) {
	var got connector.DialOptions
	r := &run{job: Job{Dial: func(_ context.Context, _ provider.ConnectInfo, opts connector.DialOptions) (connector.Client, error) {
		got = opts
		return closes{}, nil
	}}}
	for _, lease := range []control.Lease{{UseExternalAddr: true}, {AllowLegacySSH: true}, {AllowDHGroupExchange: true},
		{Jump: &control.JumpHost{Address: "bastion:22", Username: "ops", Key: secret.New("k"), HostKeys: []string{"h"}}},
		{WinRM: &control.WinRM{Shell: "powershell", Auth: "basic", CA: []byte("ca"), Insecure: true}}} {
		if _, err := r.dial(t.Context(), lease, provider.ConnectInfo{}, connector.DialOptions{}); err != nil {
			t.Fatal(err)
		}
		var winrm connector.WinRMOptions
		if lease.WinRM != nil {
			winrm = connector.WinRMOptions{Shell: connector.WinRMPowerShell, Auth: connector.WinRMBasic, CA: []byte("ca"), Insecure: true}
		}
		var jump *connector.JumpHost
		if lease.Jump != nil {
			jump = &connector.JumpHost{Address: "bastion:22", Username: "ops", Key: secret.New("k"), HostKeys: []string{"h"}}
		}
		if !reflect.DeepEqual(got.Jump, jump) {
			t.Errorf("lease %+v: jump host %+v", lease, got.Jump)
		}
		if !reflect.DeepEqual(got.WinRM, winrm) {
			t.Errorf("lease %+v: WinRM %+v", lease, got.WinRM)
		}
		if got.UseExternalAddr != lease.UseExternalAddr || got.LegacyAlgorithms != lease.AllowLegacySSH || got.GroupExchange != lease.AllowDHGroupExchange || got.Insecure || got.PasswordWithoutHostKey {
			t.Errorf("lease %+v: options %+v", lease, got)
		}
	}
}

// TestManagerWithTooManyClients: a job that the manager has no connection for is told so, and waits.
func TestManagerWithTooManyClients(t *testing.T) {
	r := newRig(t, 2)
	r.stop()
	r.limit = 2 // one stream
	r.start()
	first, end := r.beginHeld(0)
	second := r.begin(t.Context(), "true")
	for !strings.Contains(r.stderr.String(), "as many clients as its limit of open files allows") {
		select {
		case got := <-second:
			t.Fatalf("it did not wait: %+v", got)
		case <-time.After(time.Millisecond):
		}
	}
	end()
	for _, job := range []<-chan outcome{first, second} {
		if got := <-job; got.code != 0 || got.err != nil {
			t.Errorf("%+v", got)
		}
	}
}
