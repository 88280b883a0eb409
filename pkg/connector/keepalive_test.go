package connector_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
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

// TestLateKeepalivesAreCountedInARow: a server that answers each keepalive late, but before the limit, keeps its connection for as long as it does
// so. One that stops answering loses it.
func TestLateKeepalivesAreCountedInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
		config.AddHostKey(signer)
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
		info := provider.ConnectInfo{ID: "i-1", InternalAddr: "192.0.2.1", HostKeys: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))}}
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
