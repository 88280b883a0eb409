package connector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// streamConn is a net.Conn with deadlines over an SSH channel, which has none. Two net.Pipes add the deadlines, and two goroutines copy
// the bytes.
type streamConn struct {
	in, out       net.Conn // our ends: read from in, write to out
	inFar, outFar net.Conn
	closeAll      func() error
	written       chan struct{} // closed when all output is sent
	local, remote net.Addr

	once sync.Once
	err  error // the result of closeAll

	mu      sync.Mutex
	readErr error // what Read returns instead of io.EOF
}

var _ net.Conn = (*streamConn)(nil)

// streamAddr is the address of a connection that has no network address.
type streamAddr string

func (streamAddr) Network() string  { return "ssh" }
func (a streamAddr) String() string { return string(a) }

func closeWriter(c io.Writer) func() error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite
	}
	return func() error { return nil }
}

// newStreamConn starts the goroutines. finish is called once, after the end of the input, even if the input was not read. closeAll is
// called once, by Close.
func newStreamConn(from io.Reader, to io.Writer, closeWrite, finish, closeAll func() error, local, remote net.Addr) *streamConn {
	s := &streamConn{closeAll: closeAll, written: make(chan struct{}), local: local, remote: remote}
	s.in, s.inFar = net.Pipe()
	s.out, s.outFar = net.Pipe()
	go func() {
		if _, err := io.Copy(s.inFar, from); err != nil { // closed on our side: go on reading, so that the far side does not block
			_, _ = io.Copy(io.Discard, from)
		}
		err := finish()
		s.mu.Lock()
		s.readErr = err
		s.mu.Unlock()
		_ = s.inFar.Close()
	}()
	go func() {
		defer close(s.written)
		_, _ = io.Copy(to, s.outFar)
		_ = closeWrite()
		_ = s.outFar.Close() // later Writes fail
	}()
	return s
}

// Read implements net.Conn.
func (s *streamConn) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.readErr != nil {
			return n, s.readErr
		}
	}
	return n, err
}

// Write implements net.Conn.
func (s *streamConn) Write(p []byte) (int, error) { return s.out.Write(p) }

// CloseWrite closes the far side's input. Reading still works.
func (s *streamConn) CloseWrite() error { return s.out.Close() }

// maxFlush is how long Close waits until written bytes are sent.
const maxFlush = time.Second

// Close implements net.Conn. Bytes that were written before are sent, if the far side takes them within maxFlush.
func (s *streamConn) Close() error {
	s.once.Do(func() {
		_ = s.out.Close()
		_ = s.in.Close()
		timer := time.NewTimer(maxFlush)
		defer timer.Stop()
		select {
		case <-s.written:
		case <-timer.C:
		}
		if err := s.closeAll(); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // EOF: the far side has closed it already
			s.err = err
		}
	})
	return s.err
}

// LocalAddr implements net.Conn.
func (s *streamConn) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements net.Conn.
func (s *streamConn) RemoteAddr() net.Addr { return s.remote }

// SetDeadline implements net.Conn.
func (s *streamConn) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (s *streamConn) SetReadDeadline(t time.Time) error { return s.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (s *streamConn) SetWriteDeadline(t time.Time) error { return s.out.SetWriteDeadline(t) }

// DialRun implements Client.
func (c *sshClient) DialRun(ctx context.Context, command string) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	result := make(chan outcome, 1)
	go func() {
		var o outcome
		o.err = c.spread(ctx, func(on *sshClient) (err error) {
			o.conn, err = on.startConn(command)
			return err
		})
		result <- o
	}()
	select {
	case o := <-result:
		return o.conn, o.err
	case <-ctx.Done():
		go func() { // the server may still answer: close what it opens
			if o := <-result; o.conn != nil {
				_ = o.conn.Close()
			}
		}()
		return nil, fmt.Errorf("start command on %s: %w", c.dialer.address, context.Cause(ctx))
	}
}

func (c *sshClient) startConn(command string) (net.Conn, error) {
	if err := checkLength(command); err != nil {
		return nil, err
	}
	r := &run{client: c}
	session, err := c.conn.NewSession()
	if err != nil {
		return nil, r.startError(err)
	}
	r.sent = true
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	said := &tail{}
	session.Stderr = said
	if err := session.Start(command); err != nil {
		_ = session.Close()
		return nil, r.startError(err)
	}
	over := make(chan struct{})
	finish := func() error {
		defer close(over)
		err := r.exitError(session.Wait())
		var exit *ExitError
		if errors.As(err, &exit) {
			exit.stderr = said.String()
		}
		return err
	}
	return newStreamConn(stdout, stdin, stdin.Close, finish, func() error {
		go endUnlessOver(session, over, c.dialer.limits.grace)
		return nil
	}, streamAddr("local"), streamAddr(c.dialer.address)), nil
}

// endUnlessOver waits for the end of a command whose stdin was closed. After grace it sends TERM.
func endUnlessOver(session *ssh.Session, over <-chan struct{}, grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		_ = session.Signal(ssh.SIGTERM)
	}
	_ = session.Close()
}
