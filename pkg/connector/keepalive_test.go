package connector_test

import (
	"cmp"
	"context"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// line is one end of a connection in memory. Unlike that of net.Pipe, a Write does not wait for a Read: both sides of SSH write first.
type line struct {
	in, out chan []byte
	rest    []byte
	hangUp  func()
	gone    <-chan struct{}
}

func newLine() (a, b *line) {
	there, back, gone := make(chan []byte, 64), make(chan []byte, 64), make(chan struct{})
	hangUp := sync.OnceFunc(func() { close(gone) })
	return &line{in: back, out: there, hangUp: hangUp, gone: gone}, &line{in: there, out: back, hangUp: hangUp, gone: gone}
}

func (l *line) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		select {
		case l.rest = <-l.in:
		case <-l.gone:
			return 0, io.EOF
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *line) isGone() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

func (l *line) Write(p []byte) (int, error) {
	if l.isGone() {
		return 0, os.ErrClosed
	}
	select {
	case l.out <- append([]byte(nil), p...):
		return len(p), nil
	case <-l.gone:
		return 0, os.ErrClosed
	}
}

func (l *line) Close() error                     { l.hangUp(); return nil }
func (l *line) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (l *line) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (l *line) SetDeadline(time.Time) error      { return nil }
func (l *line) SetReadDeadline(time.Time) error  { return nil }
func (l *line) SetWriteDeadline(time.Time) error { return nil }

// openServer returns the settings of a server that lets everybody in, and its host key.
func openServer(t *testing.T) (*ssh.ServerConfig, string) {
	t.Helper()
	key, public := newKey(t)
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	return config, authorized(public)
}

// TestLateKeepalivesAreCountedInARow: a server that answers each keepalive late, but before the limit, keeps its connection for as long as it does
// so. One that stops answering loses it.
func TestLateKeepalivesAreCountedInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config, hostKey := openServer(t)
		ours, theirs := newLine()
		defer theirs.Close()
		const every = 10 * time.Second
		quiet := make(chan struct{})
		go func() {
			_, channels, requests, err := ssh.NewServerConn(theirs, config)
			if err != nil {
				return
			}
			go func() {
				for c := range channels {
					_ = c.Reject(ssh.Prohibited, "no sessions")
				}
			}()
			for r := range requests {
				time.Sleep(every + every/2) // one question of the client is left out meanwhile
				select {
				case <-quiet:
					continue
				default:
				}
				if r.WantReply {
					_ = r.Reply(false, nil)
				}
			}
		}()
		info := provider.ConnectInfo{ID: "i-1", InternalAddr: "192.0.2.1", HostKeys: []string{hostKey}}
		info.Username, info.Password, info.Keepalive = "ci", "pw", every
		c, err := connector.Dial(t.Context(), info, connector.DialOptions{Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if ours.isGone() {
			t.Fatal("a server that answers late has lost its connection")
		}
		close(quiet)
		time.Sleep(10 * every)
		if !ours.isGone() {
			t.Error("a server that does not answer has kept its connection")
		}
		_ = c.Close()
	})
}

// freezing is a connection to a server that freezes: from then on what is written is acknowledged, and nothing comes back.
type freezing struct {
	*line
	frozen atomic.Bool
}

func (f *freezing) Write(p []byte) (int, error) {
	if f.frozen.Load() {
		return len(p), nil
	}
	return f.line.Write(p)
}

// memoryInstance serves SSH on a connection, and answers keepalives only.
func memoryInstance(conn net.Conn, config *ssh.ServerConfig) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		_ = c.Reject(ssh.Prohibited, "no sessions")
	}
}

// memoryJumpHost is memoryInstance for a jump host. It takes some time to connect to an instance.
func memoryJumpHost(conn net.Conn, config *ssh.ServerConfig, takes time.Duration) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		time.Sleep(takes)
		near, requests, err := c.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		far, instance := newLine()
		go memoryInstance(instance, config)
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
	}
}

// TestFrozenJumpHostIsNoticedFirst: a jump host that freezes is noticed before the instance behind it seems to be, at whatever moment between two keepalives it
// freezes. So the instance is not blamed.
func TestFrozenJumpHostIsNoticedFirst(t *testing.T) {
	const byDefault = 30 * time.Second
	for _, every := range []time.Duration{0, 8 * time.Second, 40 * time.Second} {
		interval := cmp.Or(every, byDefault)
		for part := range 4 {
			synctest.Test(t, func(t *testing.T) {
				config, hostKey := openServer(t)
				key, _ := newKey(t)
				ours, theirs := newLine()
				defer theirs.Close()
				go memoryJumpHost(theirs, config, interval/4) // so the two keepalives are not sent at the same time
				way := &freezing{line: ours}
				jump := &connector.JumpHost{Address: "192.0.2.7:22", Username: "ops", Key: secret.New(string(key)), HostKeys: []string{hostKey}}
				info := provider.ConnectInfo{ID: "i-1", InternalAddr: "192.0.2.1", HostKeys: []string{hostKey}}
				info.Username, info.Password, info.Keepalive = "ci", "pw", every
				c, err := connector.Dial(t.Context(), info, connector.DialOptions{Jump: jump, Dial: func(context.Context, string, string) (net.Conn, error) { return way, nil }})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				time.Sleep(10*interval + interval/8 + time.Duration(part)*interval/4)
				way.frozen.Store(true)
				began := time.Now()
				err = c.(connector.Waiter).Wait(t.Context())
				checkWay(t, err, jump, connector.ErrKeepalive.Error())
				if took := time.Since(began); took > 2*interval {
					t.Errorf("with keepalives every %s it took %s", interval, took)
				}
			})
		}
	}
}
