package connectortest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
)

func (s *suite) dialRun(t *testing.T) {
	conn, err := s.dial(t).DialRun(s.context(t), "cat; echo end")
	if err != nil {
		t.Fatal(err)
	}
	in := noise(1 << 20)
	go func() {
		_, _ = conn.Write(in)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	out, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(out, append(in, "end\n"...)) {
		t.Errorf("%d bytes, error %v", len(out), err)
	}
	if err := errors.Join(conn.Close(), conn.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (s *suite) dialRunDeadline(t *testing.T) {
	conn, err := s.dial(t).DialRun(s.context(t), "cat")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read past its deadline: %v", err)
	}
	_ = conn.SetDeadline(time.Time{})
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(conn, b); err != nil || b[0] != 'x' {
		t.Errorf("after the deadline was lifted: %q, %v", b, err)
	}
}

func (s *suite) dialRunFailure(t *testing.T) {
	conn, err := s.dial(t).DialRun(s.context(t), "echo some; echo no such daemon >&2; exit 4")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	out, err := io.ReadAll(conn)
	var exit *connector.ExitError
	if string(out) != "some\n" || !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.Contains(err.Error(), "no such daemon") {
		t.Errorf("%q, %v", out, err)
	}
}

func (s *suite) tunnelTCP(t *testing.T) { s.tunnel(t, "tcp", "127.0.0.1:0") }

func (s *suite) tunnelUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "ct") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.tunnel(t, "unix", filepath.Join(dir, "s"))
}

func (s *suite) tunnel(t *testing.T, network, addr string) {
	if !s.Target.Tunnels {
		t.Skip("the server does not forward connections")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() { // echoes until the half-close, then sends "end"
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
		_, _ = conn.Write([]byte("end"))
		_ = conn.Close()
	}()
	conn, err := s.dial(t).Dial(s.context(t), network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := noise(256 << 10)
	go func() {
		_, _ = conn.Write(in)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	if out, err := io.ReadAll(conn); err != nil || !bytes.Equal(out, append(in, "end"...)) {
		t.Errorf("%d bytes, error %v", len(out), err)
	}
}

func (s *suite) tunnelCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(s.context(t))
	cancel()
	if conn, err := s.dial(t).Dial(ctx, "tcp", "127.0.0.1:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Dial returned %v, %v", conn, err)
	}
}

// wrongHostKey pins another key: alone, and beside the right one.
func (s *suite) wrongHostKey(t *testing.T) {
	if s.Target.WinRM {
		t.Skip("WinRM has no keys of SSH")
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	info := s.Target.Info
	other := string(ssh.MarshalAuthorizedKey(key))
	info.HostKeys = []string{other}
	_, err = connector.Dial(s.context(t), info, s.Target.Options)
	var mismatch *connector.HostKeyError
	if !errors.As(err, &mismatch) || mismatch.Presented == "" || !strings.Contains(mismatch.Pinned[0], ssh.FingerprintSHA256(key)) {
		t.Fatalf("got %v", err)
	}
	info.HostKeys = append([]string{other}, s.Target.Info.HostKeys...)
	c, err := connector.Dial(s.context(t), info, s.Target.Options)
	if err != nil {
		t.Fatalf("the second of two known keys: %v", err)
	}
	_ = c.Close()
}

func (s *suite) pinHostKey(t *testing.T) {
	if s.Target.WinRM {
		t.Skip("WinRM has no keys of SSH")
	}
	info, opts := s.Target.Info, s.Target.Options
	info.HostKeys, opts.Insecure = nil, false
	if _, err := connector.Dial(s.context(t), info, opts); !errors.Is(err, connector.ErrUnpinned) {
		t.Errorf("nothing to check against: %v", err)
	}
	var pinned []string
	opts.PinHostKey = func(key string) error { pinned = append(pinned, key); return nil }
	c, err := connector.Dial(s.context(t), info, opts)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if len(pinned) != 1 {
		t.Fatalf("pinned %d times", len(pinned))
	}
	info.HostKeys = pinned
	if c, err = connector.Dial(s.context(t), info, s.Target.Options); err != nil {
		t.Fatalf("with the pinned key: %v", err)
	}
	_ = c.Close()
	info.HostKeys = nil
	opts.PinHostKey = func(string) error { return errEnough }
	if _, err := connector.Dial(s.context(t), info, opts); !errors.Is(err, errEnough) {
		t.Errorf("a refused pin: %v", err)
	}
}

func (s *suite) refusedLogin(t *testing.T) {
	if s.Target.ForeignKey == nil {
		t.Skip("no foreign key was given")
	}
	info, opts := s.Target.Info, s.Target.Options
	info.Key, info.Password, info.Timeout = s.Target.ForeignKey, "", hang
	ctx, cancel := context.WithCancel(s.context(t))
	opts.OnRetry = func(error) { cancel() } // one refusal is enough
	_, err := connector.Dial(ctx, info, opts)
	var refused *connector.AuthError
	var connect *connector.ConnectError
	if !errors.As(err, &connect) || !errors.As(err, &refused) || refused.Username != info.Username {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "PRIVATE") {
		t.Error("the error shows the key")
	}
}
