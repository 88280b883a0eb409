package sshmachine

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

const (
	handshakeLimit = 30 * time.Second
	closeLimit     = 2 * time.Second // how long sessions may take to record the end of their commands
)

// Config says what a server serves.
type Config struct {
	Login *ssh.ServerConfig // who may log in, and the host key
	Home  string            // the folder where commands run, and their HOME
	Mark  Mark              // in the environment of every command
	// Fork calls start, which starts a process and returns soon, and returns its error. It calls it always on the same thread: on Linux a command is
	// killed when the thread that started it ends. So no command outlives its machine, however that ends.
	Fork func(start func() error) error
	// Note is told what happened: the start and the end of each command, in this order. It may be called by several goroutines.
	Note func(record.Entry)
}

// Mark is an environment variable that marks every process of a machine. Clients cannot change it.
type Mark struct{ Name, Value string }

// String returns the mark as it is in an environment.
func (m Mark) String() string { return m.Name + "=" + m.Value }

// NewHostKey generates a host key. line is its public half, as in authorized_keys.
func NewHostKey() (key ssh.Signer, line string, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err == nil {
		key, err = ssh.NewSignerFromKey(private)
	}
	if err != nil {
		return nil, "", fmt.Errorf("generate a host key: %w", err)
	}
	return key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))), nil
}

// Server is the SSH server of a machine.
type Server struct {
	config   Config
	listener net.Listener

	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]struct{}
	commands map[*command]struct{}
	last     uint64 // number of the last command
	work     sync.WaitGroup
}

// Serve starts to serve on the listener, which it closes at its end. It returns at once.
func Serve(listener net.Listener, config Config) *Server {
	s := &Server{config: config, listener: listener, conns: map[net.Conn]struct{}{}, commands: map[*command]struct{}{}}
	s.work.Go(s.accept)
	return s
}

// Commands returns how many commands were started.
func (s *Server) Commands() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // no file descriptor is left: do not spin
			continue
		}
		s.mu.Lock()
		if s.closed {
			_ = conn.Close()
		} else {
			s.conns[conn] = struct{}{}
			s.work.Go(func() { s.serve(conn) })
		}
		s.mu.Unlock()
	}
}

// serve handles one connection to its end.
func (s *Server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	client, channels, requests, err := ssh.NewServerConn(conn, s.config.Login)
	if err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	var open sync.WaitGroup
	open.Go(func() { answerGlobal(requests) })
	for c := range channels {
		switch c.ChannelType() {
		case "session":
			open.Go(func() { s.session(client, c) })
		case "direct-tcpip", "direct-streamlocal@openssh.com":
			open.Go(func() { forward(c) })
		default:
			_ = c.Reject(ssh.UnknownChannelType, "this server has sessions and forwards connections")
		}
	}
	open.Wait()
}

// answerGlobal answers keepalives, and refuses all other global requests.
func answerGlobal(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(r.Type == keepalive, nil)
		}
	}
}

const keepalive = "keepalive@openssh.com"

// Close stops the server: it accepts no new connection, kills the process group of every command, and closes every connection. It waits until
// every session has ended, at most 2 s. Meanwhile it calls what comes from forks: a caller whose goroutine serves Config.Fork gives its queue, others give nil.
func (s *Server) Close(forks <-chan func()) {
	s.mu.Lock()
	s.closed = true
	_ = s.listener.Close()
	for c := range s.commands {
		c.kill()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.waitForCommands()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.work.Wait()
		close(done)
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	for {
		select {
		case start := <-forks:
			start()
		case <-done:
			return
		case <-limit.C:
			return
		}
	}
}

// waitForCommands waits until the ends of killed commands are recorded and sent, before the connections are closed.
func (s *Server) waitForCommands() {
	for deadline := time.Now().Add(closeLimit / 2); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.commands)
		s.mu.Unlock()
		if n == 0 {
			return
		}
	}
}
