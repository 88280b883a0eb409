package connector_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// hostileLimit is the time that a call may take whatever the server does. The calls below have limits of some milliseconds; a busy machine is slow.
const hostileLimit = 20 * time.Second

// FuzzServerBytes: a server that sends arbitrary bytes in place of its banner, its key exchange and everything after it. Dial returns in time with a
// ConnectError whose text is bounded, the password is not sent, the connection is closed, and no goroutine is left (see TestMain).
func FuzzServerBytes(f *testing.F) {
	const banner = "SSH-2.0-OpenSSH_9.6\r\n"
	f.Add([]byte(banner))
	f.Add([]byte("hello\r\n" + banner + "\x00\x00\x00\x0c\x0a\x14"))
	f.Add([]byte("SSH-1.5-old\n"))
	f.Add([]byte(banner + strings.Repeat("\xff", 100)))
	f.Add([]byte(strings.Repeat("no line end", 1000)))
	f.Add(append([]byte(banner), helloOf(f)...))
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := net.Pipe()
		var received []byte
		var far sync.WaitGroup
		far.Go(func() { _, _ = theirs.Write(sent) })
		far.Go(func() {
			_ = theirs.SetReadDeadline(time.Now().Add(hostileLimit))
			received, _ = io.ReadAll(io.LimitReader(theirs, 1<<20))
			_ = theirs.Close()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Millisecond)
		defer cancel()
		opts := connector.Quick(connector.DialOptions{Insecure: true}, 3*time.Millisecond, time.Millisecond, time.Millisecond, time.Millisecond)
		opts.Dial = func(context.Context, string, string) (net.Conn, error) {
			if ours == nil {
				return nil, net.ErrClosed
			}
			conn := ours
			ours = nil
			return conn, nil
		}
		began := time.Now()
		client, err := connector.Dial(ctx, hostileInfo(), opts)
		if client != nil || err == nil {
			t.Fatalf("connected: %v", err)
		}
		if took := time.Since(began); took > hostileLimit {
			t.Fatalf("Dial took %v", took)
		}
		var failed *connector.ConnectError
		if !errors.As(err, &failed) || len(err.Error()) > 64<<10 {
			t.Fatalf("%T: %v", err, err)
		}
		if ours != nil {
			_ = ours.Close()
		}
		far.Wait() // ends only if Dial has closed the connection
		if strings.Contains(string(received), testPassword) || strings.Contains(err.Error(), testPassword) {
			t.Fatal("the password was sent, or is in the error")
		}
	})
}

func hostileInfo() provider.ConnectInfo {
	info := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	info.Username, info.Password, info.Keepalive = "ci", testPassword, -1
	return info
}

// helloOf returns what a real server sends after its banner.
func helloOf(f *testing.F) []byte {
	f.Helper()
	key, _ := newKey(f)
	config := &ssh.ServerConfig{NoClientAuth: true}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	config.AddHostKey(signer)
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, _, _, err := ssh.NewServerConn(theirs, config); err == nil {
			_ = c.Close()
		}
	}()
	go func() { _, _ = ours.Write([]byte("SSH-2.0-x\r\n")) }()
	var all []byte
	buf := make([]byte, 4096)
	for len(all) < 200 {
		n, err := ours.Read(buf)
		if err != nil {
			break
		}
		all = append(all, buf[:n]...)
	}
	_ = ours.Close()
	<-done
	_, hello, _ := strings.Cut(string(all), "\n")
	return []byte(hello)
}

// hostile is what a server that lets everybody in answers to a command.
type hostile struct {
	status []byte // the payload of its exit-status request
	signal []byte // that of exit-signal
	out    []byte // what it writes to both streams
	say    byte   // bits: which of these it sends, and in which way it ends
}

// hostileServer serves one connection after the other, because a key exchange is slow. The next command is answered as now says.
type hostileServer struct {
	now    atomic.Pointer[hostile]
	client connector.Client // nil: to be connected
	far    sync.WaitGroup
	listen net.Listener
	config *ssh.ServerConfig
}

func newHostileServer(f *testing.F) *hostileServer {
	f.Helper()
	key, _ := newKey(f)
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	s := &hostileServer{config: &ssh.ServerConfig{NoClientAuth: true}}
	s.config.AddHostKey(signer)
	// Both sides of SSH begin by writing, so a pipe without a buffer is not enough.
	if s.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.hangUp(); _ = s.listen.Close() })
	return s
}

func (s *hostileServer) connected(t *testing.T) connector.Client {
	t.Helper()
	if s.client != nil {
		return s.client
	}
	opts := connector.Quick(connector.DialOptions{Insecure: true}, hostileLimit, 5*time.Millisecond, time.Millisecond, time.Millisecond)
	opts.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.listen.Addr().String())
		if err != nil {
			return nil, err
		}
		theirs, err := s.listen.Accept()
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		s.far.Go(func() { s.serve(theirs) })
		return conn, nil
	}
	var err error
	if s.client, err = connector.Dial(t.Context(), hostileInfo(), opts); err != nil {
		t.Fatal(err)
	}
	return s.client
}

// hangUp closes the connection, and waits until the server has seen it.
func (s *hostileServer) hangUp() {
	if s.client != nil {
		_ = s.client.Close()
		s.client = nil
	}
	s.far.Wait()
}

func (s *hostileServer) serve(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		h := s.now.Load()
		if h.say&1 != 0 {
			_ = c.Reject(ssh.RejectionReason(len(h.status)), string(h.out))
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go h.session(channel, requests, conn)
	}
}

func (h *hostile) session(c ssh.Channel, requests <-chan *ssh.Request, conn net.Conn) {
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(h.say&2 == 0, h.status)
		}
		if r.Type != "exec" {
			continue
		}
		_, _ = c.Write(h.out)
		_, _ = c.Stderr().Write(h.out)
		if h.say&4 != 0 {
			_, _ = c.SendRequest("exit-status", false, h.status)
		}
		if h.say&8 != 0 {
			_, _ = c.SendRequest("exit-signal", false, h.signal)
		}
		if h.say&16 != 0 {
			_, _ = c.SendRequest(string(h.signal), false, h.out)
		}
		if h.say&32 != 0 {
			_ = conn.Close()
		}
		_ = c.Close()
	}
}

// FuzzExit: a server that runs a command and answers with arbitrary exit messages, output and refusals. Run returns in time. It returns nil only for a
// well-formed exit status 0, and an ExitError only for a well-formed status or signal: it never makes up a result. Output arrives unchanged. No error
// contains more than a bounded part of what the server said.
func FuzzExit(f *testing.F) {
	server := newHostileServer(f)
	type exitSignal struct {
		Signal     string
		CoreDumped bool
		Message    string
		Language   string
	}
	term := ssh.Marshal(exitSignal{"TERM", false, "killed", "en"})
	f.Add([]byte{0, 0, 0, 0}, term, []byte("output\n"), byte(4))
	f.Add([]byte{0, 0, 0, 3}, term, []byte("output\n"), byte(4))
	f.Add([]byte{0, 0, 0}, term, []byte{}, byte(4))
	f.Add([]byte{255, 255, 255, 255}, term, []byte("x"), byte(4))
	f.Add([]byte{0, 0, 0, 0}, term, []byte("x"), byte(8))
	f.Add([]byte{0, 0, 0, 0}, []byte("exit-status"), []byte("\x00\x00\x00\x00"), byte(16))
	f.Add([]byte{1}, term, []byte("no\x1b[2J"), byte(1))
	f.Add([]byte{1}, term, []byte("no"), byte(2))
	f.Add([]byte{1}, term, bytes.Repeat([]byte{0x96}, 15<<10), byte(1))
	f.Add([]byte{0}, ssh.Marshal(exitSignal{strings.Repeat("TERM", 3000), false, "", ""}), []byte{}, byte(8))
	f.Add([]byte{0, 0, 0, 0}, term, []byte("taskscaler-X 12\n"), byte(4+32))
	f.Fuzz(func(t *testing.T, status, signal, out []byte, say byte) {
		if len(status)+len(signal)+len(out) > 16<<10 {
			t.Skip("longer messages are not different")
		}
		h := &hostile{status: status, signal: signal, out: out, say: say}
		server.now.Store(h)
		client := server.connected(t)
		if say&32 != 0 {
			defer server.hangUp()
		}
		ctx, cancel := context.WithTimeout(t.Context(), hostileLimit)
		defer cancel()
		var stdout strings.Builder
		err := client.Run(ctx, connector.RunOptions{Command: "job", Unwrapped: true, Stdout: &stdout})
		if ctx.Err() != nil {
			t.Fatalf("Run did not return in time: %v", err)
		}
		h.judge(t, err, stdout.String())
	})
}

// judge compares the result of Run with what the server said.
func (h *hostile) judge(t *testing.T, err error, stdout string) {
	t.Helper()
	ran := h.say&3 == 0
	if !ran && err == nil || !ran && stdout != "" {
		t.Fatalf("refused, and the result is %v with the output %q", err, stdout)
	}
	var exit *connector.ExitError
	var lost *connector.LostError
	var refused *connector.RefusedError
	exited := errors.As(err, &exit)
	named := h.say&16 != 0 && (string(h.signal) == "exit-status" || string(h.signal) == "exit-signal")
	switch {
	case err == nil || exited:
		if !ran || h.say&(4|8) == 0 && !named {
			t.Fatalf("the server said nothing of an end, and the result is %v", err)
		}
		if err == nil && !named && (h.say&4 == 0 || len(h.status) < 4 || string(h.status[:4]) != "\x00\x00\x00\x00") {
			t.Fatalf("the status %x became a success", h.status)
		}
	case !errors.As(err, &lost) && !errors.As(err, &refused):
		t.Fatalf("%T: %v", err, err)
	}
	if (err == nil || exited) && stdout != string(h.out) {
		t.Fatalf("the output %q arrived as %q", h.out, stdout)
	}
	if err != nil && len(err.Error()) > 4096 {
		t.Fatalf("an error of %d bytes: %.300q", len(err.Error()), err.Error())
	}
}
