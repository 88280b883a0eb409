package static

import (
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/sshdtest"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// curious is an SSH server that takes every password, and keeps it. A command succeeds.
type curious struct {
	addr, hostKey string

	mu   sync.Mutex
	told []string
}

func newCurious(t *testing.T) *curious {
	t.Helper()
	private, public, err := sshdtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &curious{addr: l.Addr().String(), hostKey: public}
	cfg := &ssh.ServerConfig{
		PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told = append(c.told, string(password))
			return nil, nil
		},
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			said, err := ask("", "", []string{"Password: "}, []bool{false})
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told = append(c.told, said...)
			return nil, err
		},
	}
	cfg.AddHostKey(key)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn, cfg) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return c
}

// serve ends each command with success.
func serve(conn net.Conn, cfg *ssh.ServerConfig) {
	defer func() { _ = conn.Close() }()
	server, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			_ = r.Reply(true, nil)
			if r.Type == "exec" {
				_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, 0))
				_ = channel.Close()
			}
		}
	}
}

// heard returns the passwords that were sent to it.
func (c *curious) heard() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.told, " ")
}

// TestSecurityPasswordOfTheReset: for the reset command, the password of all hosts goes only to a host whose key the list has. The password of one host
// also goes to whoever answers at its address, because its operator gave none of its keys. To a host with another key goes neither.
func TestSecurityPasswordOfTheReset(t *testing.T) {
	_, another, err := sshdtest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	const common, own = "of-all-hosts", "of-this-host"
	for name, c := range map[string]struct {
		own  bool
		key  string // "": none; "right": its own
		want string
	}{
		"of all hosts, key unknown": {false, "", ""}, "of all hosts, key known": {false, "right", common}, "of all hosts, another key": {false, another, ""},
		"of one host, key unknown": {true, "", own}, "of one host, key known": {true, "right", own}, "of one host, another key": {true, another, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := newCurious(t)
			h := Host{InternalAddr: server.addr, Username: "u"}
			if c.own {
				h.Password = secret.New(own)
			}
			switch c.key {
			case "":
			case "right":
				h.HostKeys = []string{server.hostKey}
			default:
				h.HostKeys = []string{c.key}
			}
			g := &InstanceGroup{Dir: filepath.Join(t.TempDir(), "state"), Instances: map[string]Host{"h": h}, ResetCommand: "true"}
			if _, err := g.Init(t.Context(), nil, provider.Settings{ConnectorConfig: provider.ConnectorConfig{Password: common}}); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := g.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			if _, err := g.Increase(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			until(t, "the reset has ended", func() bool {
				_, err := g.Decrease(t.Context(), []string{"h-1"})
				return err != nil || len(list(t, g)) == 0
			})
			if got := server.heard(); got != c.want {
				t.Errorf("the host was sent %q, want %q", got, c.want)
			}
		})
	}
}
