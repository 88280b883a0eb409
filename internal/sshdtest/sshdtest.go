// Package sshdtest starts the SSH server of OpenSSH on a loopback port, as this user, for tests and demonstrations.
package sshdtest

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// patience is how long a server may take to listen. Only one that hangs takes so long.
const patience = time.Minute

// ErrMissing means that sshd is not installed, or cannot be run here.
var ErrMissing = errors.New("sshd cannot be run here; install it with: apt-get install openssh-server")

// Server is a running server.
type Server struct {
	Address string // host:port
	User    string // the only user that can log in
	KeyFile string // the file with the private key that it accepts
	HostKey string // as in authorized_keys
	Home    string // the home folder of sessions

	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts a server whose files, and the home folder of whose sessions, are in dir.
func Start(dir string) (*Server, error) {
	bin, err := exec.LookPath("sshd")
	if err != nil {
		bin = "/usr/sbin/sshd" // it is not in every PATH
		if _, err := os.Stat(bin); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMissing, err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("%w: run by root, it needs the folder /run/sshd: %w", ErrMissing, err)
		}
	}
	who, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &Server{User: who.Username, Home: filepath.Join(dir, "home"), KeyFile: filepath.Join(dir, "key"), ended: make(chan struct{})}
	config, err := s.configure(dir)
	if err != nil {
		return nil, err
	}
	s.cmd = exec.Command(bin, "-D", "-e", "-f", config)
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	listens := make(chan struct{})
	var said strings.Builder // read after ended is closed
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(out)
		for told := false; lines.Scan(); {
			if !told {
				said.WriteString(lines.Text() + "\n")
			}
			if !told && strings.HasPrefix(lines.Text(), "Server listening on ") {
				told = true
				close(listens)
			}
		}
		_ = s.cmd.Wait()
	}()
	select {
	case <-listens:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("sshd does not start: %s", said.String())
	case <-time.After(patience):
		s.Stop()
		return nil, fmt.Errorf("sshd does not listen within %s: %s", patience, said.String())
	}
}

// configure writes the configuration and the keys, and returns the path of the configuration.
func (s *Server) configure(dir string) (config string, err error) {
	if err := os.MkdirAll(s.Home, 0o700); err != nil {
		return "", err
	}
	key, public, err := NewKey()
	if err != nil {
		return "", err
	}
	hostKey, hostPublic, err := NewKey()
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.Address, s.HostKey = l.Addr().String(), hostPublic
	if err := l.Close(); err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return "", err
	}
	config = filepath.Join(dir, "sshd_config")
	authorized, host := filepath.Join(dir, "authorized_keys"), filepath.Join(dir, "host_key")
	text := strings.Join([]string{
		"ListenAddress 127.0.0.1", "Port " + port, "PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "MaxStartups 1000",
		"SetEnv HOME=" + s.Home, "AuthorizedKeysFile " + authorized, "HostKey " + host, "Subsystem sftp internal-sftp",
	}, "\n") + "\n"
	for path, content := range map[string]string{config: text, authorized: public + "\n", host: hostKey, s.KeyFile: key} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return config, nil
}

// Stop ends the server. Sessions that it has go on.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// NewKey returns a private key in PEM form, and its public half as in authorized_keys.
func NewKey() (private, public string, err error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(k, "")
	if err != nil {
		return "", "", err
	}
	p, err := ssh.NewPublicKey(k.Public())
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))), nil
}
