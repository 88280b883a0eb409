package fake

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	handshakeLimit = 30 * time.Second
	closeLimit     = 2 * time.Second // how long sessions may take to record the end of their commands
)

// server is the SSH server of an instance.
type server struct {
	machine  *machine
	listener net.Listener
	config   *ssh.ServerConfig

	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]struct{}
	commands map[*command]struct{}
	last     uint64 // number of the last command
	work     sync.WaitGroup
}

// listen generates a host key and starts to serve.
func (m *machine) listen() (*server, readiness, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, readiness{}, fmt.Errorf("generate a host key: %w", err)
	}
	host, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, readiness{}, fmt.Errorf("generate a host key: %w", err)
	}
	config, err := m.folder.spec.Access.serverConfig()
	if err != nil {
		return nil, readiness{}, err
	}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, readiness{}, err
	}
	s := &server{machine: m, listener: listener, config: config, conns: map[net.Conn]struct{}{}, commands: map[*command]struct{}{}}
	s.work.Go(s.accept)
	return s, readiness{Address: listener.Addr().String(), HostKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.PublicKey())))}, nil
}

// serverConfig accepts the username with one of the passwords or keys.
func (a access) serverConfig() (*ssh.ServerConfig, error) {
	var keys [][]byte
	for _, line := range a.Keys {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("read an authorized key: %w", err)
		}
		keys = append(keys, key.Marshal())
	}
	refused := errors.New("refused")
	return &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-taskscaler_fake",
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			ok := subtle.ConstantTimeCompare([]byte(c.User()), []byte(a.Username)) == 1
			for _, p := range a.Passwords {
				if p.matches(string(password)) && ok {
					return nil, nil
				}
			}
			return nil, refused
		},
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			for _, k := range keys {
				if bytes.Equal(k, key.Marshal()) && c.User() == a.Username {
					return nil, nil
				}
			}
			return nil, refused
		},
	}, nil
}

func (s *server) accept() {
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
func (s *server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	_ = conn.SetDeadline(time.Now().Add(handshakeLimit))
	client, channels, requests, err := ssh.NewServerConn(conn, s.config)
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

// close stops the server: it accepts no new connection, kills the process group of every command, and closes every connection. The machine's
// loop calls it, so it answers forks (and refuses them) until every session has ended.
func (s *server) close(forks <-chan func()) {
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
func (s *server) waitForCommands() {
	for deadline := time.Now().Add(closeLimit / 2); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.commands)
		s.mu.Unlock()
		if n == 0 {
			return
		}
	}
}
