package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// sshd is OpenSSH's server on a loopback port, in a PID namespace of its own: when it is killed, all its sessions are, as if the machine vanished.
type sshd struct {
	cmd  *exec.Cmd
	info provider.ConnectInfo
}

// startSSHD starts the server until the test ends, or skips the test. options are lines of sshd_config.
func startSSHD(t *testing.T, options ...string) *sshd {
	t.Helper()
	bin, ok := program("sshd")
	if !ok {
		t.Skip("sshd is not installed; to run this test: apt-get install openssh-server")
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Skipf("sshd run by root needs the folder /run/sshd: %v", err)
	}
	dir := t.TempDir()
	hostKey, hostPublic := newKey(t)
	key, public := newKey(t)
	port := freePort(t)
	config := append([]string{
		"ListenAddress 127.0.0.1", "Port " + strconv.Itoa(port), "PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "MaxStartups 100",
		"HostKey " + write(t, filepath.Join(dir, "host"), hostKey),
		"AuthorizedKeysFile " + write(t, filepath.Join(dir, "keys"), ssh.MarshalAuthorizedKey(public)),
	}, options...)
	file := write(t, filepath.Join(dir, "config"), []byte(strings.Join(config, "\n")+"\n"))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	// The home folder of its sessions is an empty one, so that this user's shell reads no start files.
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &sshd{cmd: exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child",
		"sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, home, me.HomeDir, bin, "-D", "-e", "-f", file)}
	s.cmd.Stderr = log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of sshd:\n%s", text)
		}
	})
	s.info = provider.ConnectInfo{InternalAddr: "127.0.0.1", HostKeys: []string{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostPublic)))}}
	s.info.ProtocolPort, s.info.Username, s.info.Key, s.info.Timeout = port, me.Username, key, 30*time.Second
	return s
}

// kill ends the server and all its sessions at once.
func (s *sshd) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// cut ends all sessions of the server, and leaves the server.
func (s *sshd) cut(t *testing.T) {
	t.Helper()
	server := children(t, s.cmd.Process.Pid)
	for _, pid := range server {
		for _, session := range children(t, pid) {
			_ = syscall.Kill(session, syscall.SIGKILL)
		}
	}
}

func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Error(err)
	}
	for _, word := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			t.Error(err)
		}
		pids = append(pids, child)
	}
	return pids
}

func newKey(t *testing.T) ([]byte, ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), public
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pool is a provider whose instances are all reached through one SSH server.
type pool struct {
	name string
	info provider.ConnectInfo

	mu      sync.Mutex
	created int
	listed  map[string]bool
}

var _ provider.InstanceGroup = (*pool)(nil)

func (p *pool) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return provider.ProviderInfo{ID: p.name}, nil
}

func (p *pool) Update(_ context.Context, update func(id string, state provider.State)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.listed {
		update(id, provider.StateRunning)
	}
	return nil
}

func (p *pool) Increase(_ context.Context, delta int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range delta {
		p.created++
		p.listed[fmt.Sprintf("%s-%d", p.name, p.created)] = true
	}
	return delta, nil
}

func (p *pool) Decrease(_ context.Context, ids []string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		delete(p.listed, id)
	}
	return ids, nil
}

func (p *pool) ConnectInfo(_ context.Context, id string) (provider.ConnectInfo, error) {
	info := p.info
	info.ID, info.Key = id, bytes.Clone(info.Key)
	return info, nil
}

func (p *pool) Shutdown(context.Context) error { return nil }

// startManager starts a manager of such instances. Their names begin with a name of their own, because all tests share one engine.
func startManager(t *testing.T, s *sshd) (manager *taskscaler.Taskscaler, name string) {
	t.Helper()
	name = "vm-" + strings.ToLower(rand.Text()[:8])
	manager, err := taskscaler.New(t.Context(), &pool{name: name, info: s.info, listed: map[string]bool{}}, taskscaler.Config{
		Name: name, MaxInstances: 3, UpdateInterval: time.Second, UpdateIntervalWhenExpecting: 50 * time.Millisecond,
		DeleteOnShutdown: true, ShutdownDeletionInterval: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := manager.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return manager, name
}
