package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// sshServer is the one machine behind all instances. It accepts every login and runs nothing.
type sshServer struct {
	net.Listener
	config *ssh.ServerConfig
	key    string // as one line of authorized_keys
	mu     sync.Mutex
	open   map[net.Conn]bool
	all    sync.WaitGroup
}

func listen() (*sshServer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sshServer{Listener: l, config: config, key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), open: map[net.Conn]bool{}}
	s.all.Go(s.accept)
	return s, nil
}

func (s *sshServer) accept() {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = true
		s.mu.Unlock()
		s.all.Go(func() {
			s.serve(conn)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.open, conn)
		})
	}
}

func (s *sshServer) serve(conn net.Conn) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.all.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		_ = c.Reject(ssh.Prohibited, "nothing runs here")
	}
}

func (s *sshServer) close() error {
	err := s.Close()
	s.mu.Lock()
	for conn := range s.open {
		err = errors.Join(err, conn.Close())
	}
	s.mu.Unlock()
	s.all.Wait()
	return err
}
