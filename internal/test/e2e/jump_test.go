package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// bastion is a jump host in this process.
type bastion struct {
	address  string
	hostKey  string
	key      []byte // of its user
	config   *ssh.ServerConfig
	refuse   atomic.Bool  // every login
	forwards atomic.Int32 // connections through it
	logins   atomic.Int32

	listener net.Listener
	ctx      context.Context
	end      context.CancelFunc
	work     sync.WaitGroup
}

var errNoLogin = errors.New("no")

// newBastion returns one that does not listen yet.
func newBastion(t *testing.T) *bastion {
	t.Helper()
	pair := func() ([]byte, ssh.Signer) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(block), signer
	}
	key, user := pair()
	_, host := pair()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bastion{address: l.Addr().String(), hostKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey()))), key: key}
	_ = l.Close()
	b.config = &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if b.refuse.Load() || c.User() != "ops" || string(k.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, errNoLogin
		}
		return nil, nil
	}}
	b.config.AddHostKey(host)
	b.ctx, b.end = context.WithCancel(context.Background())
	t.Cleanup(func() {
		b.end()
		if b.listener != nil {
			_ = b.listener.Close()
		}
		b.work.Wait()
	})
	return b
}

func (b *bastion) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.listener = l
	b.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.work.Go(func() { b.serve(conn) })
		}
	})
}

func (b *bastion) serve(conn net.Conn) {
	defer context.AfterFunc(b.ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, b.config)
	if err != nil {
		return
	}
	b.logins.Add(1)
	b.work.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		b.work.Go(func() { b.forward(c) })
	}
}

func (b *bastion) forward(c ssh.NewChannel) {
	var to struct {
		Host     string
		Port     uint32
		From     string
		FromPort uint32
	}
	if err := ssh.Unmarshal(c.ExtraData(), &to); err != nil {
		_ = c.Reject(ssh.Prohibited, err.Error())
		return
	}
	far, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	near, requests, err := c.Accept()
	if err != nil {
		_ = far.Close()
		return
	}
	b.forwards.Add(1)
	b.work.Go(func() { ssh.DiscardRequests(requests) })
	defer context.AfterFunc(b.ctx, func() { _ = far.Close() })()
	b.work.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

// TestJumpHost: the manager and exec reach instances through the jump host. While it is away, instances wait, and the status says why. When it refuses exec, the
// job fails with its words, and the instance serves the next job.
func TestJumpHost(t *testing.T) {
	t.Parallel()
	b := newBastion(t)
	w := newWorld(t, settings{autoscaler: fmt.Sprintf("max_instances = 1\n[runners.autoscaler.connector_config]\nproxy_jump = \"ops@%s\"\nproxy_jump_key_path = \"jump\"\n"+
		"proxy_jump_host_key = %q\n", b.address, b.hostKey)}.String())
	w.write("jump", string(b.key))
	m := w.manager()
	first := w.start("exec", "--", "echo", "hello")
	w.eventually("the status names the jump host", func() (bool, string) {
		s := w.start("status")
		s.wait()
		text := s.stdout.String()
		return strings.Contains(text, "jump host, since") && strings.Contains(text, "the jump host "+b.address+" cannot be reached"), text
	})
	b.listen(t)
	first.expect(0, "hello\n")
	if n := b.forwards.Load(); n < 2 || b.logins.Load() < 2 {
		t.Errorf("%d connections and %d logins at the jump host, want those of the manager and of exec", n, b.logins.Load())
	}
	b.refuse.Store(true)
	second := w.start("exec", "--", "echo", "hello")
	if second.expect(125, ""); !strings.Contains(second.stderr.String(), `the jump host `+b.address+` refused the key of user "ops"`) ||
		strings.Contains(second.stderr.String(), "asking for another instance") {
		t.Errorf("exec says: %s", &second.stderr)
	}
	b.refuse.Store(false)
	w.start("exec", "--", "echo", "again").expect(0, "again\n")
	if made := w.created(); made != 1 {
		t.Errorf("%d instances: one was condemned because of the jump host", made)
	}
	m.drained()
}
