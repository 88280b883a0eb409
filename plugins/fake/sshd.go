package fake

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/sshmachine"
)

// markVariable is an environment variable that marks every process of an instance.
const markVariable = "TASKSCALER_FAKE_INSTANCE"

// markOf returns the mark of the instance in the folder dir.
func markOf(dir string) sshmachine.Mark { return sshmachine.Mark{Name: markVariable, Value: dir} }

// listen generates a host key and starts to serve.
func (m *machine) listen() (*sshmachine.Server, readiness, error) {
	host, line, err := sshmachine.NewHostKey()
	if err != nil {
		return nil, readiness{}, err
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
	s := sshmachine.Serve(listener, sshmachine.Config{
		Login: config, Home: m.folder.path(workFolder), Mark: markOf(m.folder.dir), Fork: m.fork, Note: m.note,
	})
	return s, readiness{Address: listener.Addr().String(), HostKey: line}, nil
}

// fork starts a process in the machine's loop.
func (m *machine) fork(start func() error) error {
	started := make(chan error, 1)
	m.forks <- func() { started <- start() }
	return <-started
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
