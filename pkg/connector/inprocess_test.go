package connector_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// machine is a small SSH server in this process. It runs one command in each session and knows env and exec requests only.
type machine struct {
	listener net.Listener
	config   *ssh.ServerConfig
	run      func(*call) int // returns the exit status
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

// call is a command that a client wants to run.
type call struct {
	ssh.Channel
	ctx     context.Context // ends with the connection
	user    string
	command string
	env     []string
}

// startMachine serves on a free port until close. The host key is added to config.
func startMachine(config *ssh.ServerConfig, hostKey []byte, run func(*call) int) (*machine, error) {
	signer, err := ssh.ParsePrivateKey(hostKey)
	if err != nil {
		return nil, err
	}
	config.AddHostKey(signer)
	m := &machine{config: config, run: run}
	if m.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.work.Go(m.accept)
	return m, nil
}

func (m *machine) port() int { return m.listener.Addr().(*net.TCPAddr).Port }

// close cuts all connections, kills their commands and waits until nothing is left.
func (m *machine) close() {
	m.cancel()
	_ = m.listener.Close()
	m.work.Wait()
}

func (m *machine) accept() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.work.Go(func() { m.serve(conn) })
	}
}

func (m *machine) serve(conn net.Conn) {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	client, channels, requests, err := ssh.NewServerConn(conn, m.config)
	if err != nil {
		return
	}
	m.work.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		if c.ChannelType() != "session" {
			_ = c.Reject(ssh.UnknownChannelType, "this server has sessions only")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		m.work.Go(func() { m.session(&call{Channel: channel, ctx: ctx, user: client.User()}, requests) })
	}
}

func (m *machine) session(c *call, requests <-chan *ssh.Request) {
	defer c.Close()
	started := false
	for r := range requests {
		ok := false
		switch r.Type {
		case "env":
			var p struct{ Name, Value string }
			if ok = !started && ssh.Unmarshal(r.Payload, &p) == nil; ok {
				c.env = append(c.env, p.Name+"="+p.Value)
			}
		case "exec":
			var p struct{ Command string }
			if ok = !started && ssh.Unmarshal(r.Payload, &p) == nil; ok {
				started, c.command = true, p.Command
			}
		}
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
		if ok && r.Type == "exec" {
			m.work.Go(func() {
				status := struct{ Status uint32 }{uint32(m.run(c))}
				_, _ = c.SendRequest("exit-status", false, ssh.Marshal(&status))
				_ = c.Close()
			})
		}
	}
}

// runLocally runs a command as many small servers do: without a process group, without signals, and ends it only when its connection closes.
func runLocally(c *call) int {
	cmd := exec.CommandContext(c.ctx, "sh", "-c", c.command)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = c, c.Stderr()
	cmd.WaitDelay = 100 * time.Millisecond
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_, _ = fmt.Fprintln(c.Stderr(), err)
		return 126
	}
	go func() {
		_, _ = io.Copy(in, c)
		_ = in.Close()
	}()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 137
}

// inProcess is a machine of the test, which runs commands locally, and how to reach it.
type inProcess struct {
	*machine
	info provider.ConnectInfo
}

const testPassword = "s3cret-w0rd"

var errRefused = errors.New("refused")

// startInProcess starts one that takes a key and testPassword.
func startInProcess(t testing.TB) *inProcess {
	t.Helper()
	key, public := newKey(t)
	host, hostPublic := newKey(t)
	m := serveMore(t, host, &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if bytes.Equal(k.Marshal(), public.Marshal()) {
				return nil, nil
			}
			return nil, errRefused
		},
		PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if string(password) == testPassword {
				return nil, nil
			}
			return nil, errRefused
		},
	})
	return &inProcess{m, newInfo(t, m.port(), key, hostPublic)}
}

// serveMore starts a server in process with the logins of config. It runs commands locally until the test ends.
func serveMore(t testing.TB, hostKey []byte, config *ssh.ServerConfig) *machine {
	t.Helper()
	m, err := startMachine(config, hostKey, runLocally)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

// exampleMachine lets in everyone with the password. It answers every command with one line and the status 3.
func exampleMachine(password string) (address string, stop func(), err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", nil, err
	}
	config := &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
		if string(p) != password {
			return nil, errRefused
		}
		return nil, nil
	}}
	m, err := startMachine(config, pem.EncodeToMemory(block), func(c *call) int {
		_, _ = io.WriteString(c, "hello from "+c.user+"'s machine\n")
		return 3
	})
	if err != nil {
		return "", nil, err
	}
	return m.listener.Addr().String(), m.close, nil
}
