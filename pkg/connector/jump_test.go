package connector_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/connector/connectortest"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// jump returns s as a jump host.
func (s *server) jump() *connector.JumpHost {
	return &connector.JumpHost{Address: s.address(), Username: s.info.Username, Key: secret.New(string(s.info.Key)), HostKeys: s.info.HostKeys}
}

// startBastion starts an sshd that can be a jump host: it listens already.
func startBastion(t testing.TB, options ...string) *server {
	t.Helper()
	s := startSSHD(t, options...)
	awaitListener(t, s)
	return s
}

// awaitListener waits until the server listens.
func awaitListener(t testing.TB, s *server) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.address()); err == nil {
			_ = c.Close()
			return
		} else if time.Since(began) > hang {
			t.Fatal(err)
		}
	}
}

// dialled records the addresses that are dialled from this machine.
type dialled struct {
	mu   sync.Mutex
	list []string
}

func (d *dialled) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.list = append(d.list, addr)
	d.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func (d *dialled) addresses() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.list...)
}

// TestConformanceSshdJump: everything works through a jump host as it does without one.
func TestConformanceSshdJump(t *testing.T) {
	foreign, _ := newKey(t)
	connectortest.Run(t, connectortest.Target{
		Info: startSSHD(t, "Subsystem sftp internal-sftp").info, Options: quick(connector.DialOptions{Jump: startBastion(t).jump()}),
		Tunnels: true, Terminals: true, AcceptsEnv: "LC_TASKSCALER", ForeignKey: foreign,
	})
}

// TestSshdJump: this machine connects to the jump host and to nothing else, once for all connections of a lease. Both may have IPv6 addresses.
func TestSshdJump(t *testing.T) {
	bastion, s := startBastion(t), startBastion(t, "MaxSessions 1")
	var from dialled
	c := dial(t, s.info, connector.DialOptions{Jump: bastion.jump(), Dial: from.dial})
	ctx, cancel := context.WithCancel(t.Context())
	result := running(t, ctx, c)
	if err := c.Run(t.Context(), connector.RunOptions{Command: "true"}); err != nil { // on a further connection
		t.Error(err)
	}
	cancel()
	if err := await(t, result); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := from.addresses(); len(got) != 1 || got[0] != bastion.address() {
		t.Errorf("this machine dialled %q, and the jump host is %s", got, bastion.address())
	}
}

func TestSshdJumpIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	_ = l.Close()
	bastion, s := startSSHD(t, "ListenAddress ::1"), startSSHD(t, "ListenAddress ::1")
	bastion.info.InternalAddr, s.info.InternalAddr = "::1", "::1"
	awaitListener(t, bastion)
	jump := bastion.jump()
	var from dialled
	if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{Jump: jump, Dial: from.dial}), connector.RunOptions{Command: "true"}); err != nil {
		t.Error(err)
	}
	if got := from.addresses(); len(got) != 1 || got[0] != jump.Address {
		t.Errorf("this machine dialled %q", got)
	}
}

// checkWay checks an error of Dial or of a client that is the jump host's fault: it names the jump host and the remedy, says nothing about the instance, and
// contains no secret.
func checkWay(t *testing.T, err error, jump *connector.JumpHost, words ...string) {
	t.Helper()
	var way *connector.JumpError
	if !errors.As(err, &way) || connector.FindingOf(err) != connector.FindingNone {
		t.Fatalf("finding %d: %v", connector.FindingOf(err), err)
	}
	var hostKey *connector.HostKeyError
	var login *connector.AuthError
	var legacy *connector.LegacyError
	if errors.As(err, &hostKey) || errors.As(err, &login) || errors.As(err, &legacy) {
		t.Errorf("it looks like a failure of the instance: %v", err)
	}
	for _, w := range append(words, "jump host "+jump.Address) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
	if secret := keyText(jump.Key.Reveal()); secret != "" && strings.Contains(err.Error(), secret) {
		t.Errorf("it contains the key: %v", err)
	}
}

// keyText returns a line of a private key.
func keyText(key string) string {
	if lines := strings.Split(key, "\n"); len(lines) > 1 {
		return lines[1]
	}
	return ""
}

// TestSshdJumpHostIsToBlame: each failure of the jump host says so, and what to do. It never counts against the instance.
func TestSshdJumpHostIsToBlame(t *testing.T) {
	s, bastion := startBastion(t), startBastion(t)
	other, otherPublic := newKey(t)
	for name, c := range map[string]struct {
		options []string // of its sshd; nil: the usual one
		change  func(*connector.JumpHost)
		opts    connector.DialOptions
		words   []string
		retried bool
	}{
		"wrong key":        {change: func(j *connector.JumpHost) { j.Key = secret.New(string(other)) }, words: []string{"refused the key of user", s.info.Username, "proxy_jump_key_path", "authorized_keys"}},
		"changed host key": {change: func(j *connector.JumpHost) { j.HostKeys = []string{authorized(otherPublic)} }, words: []string{"presents the host key", "ssh-keyscan", "proxy_jump_host_key"}},
		"unknown host key": {change: func(j *connector.JumpHost) { j.HostKeys = nil }, words: []string{"its host key is not known", "ssh-keyscan -t ed25519 -p", "proxy_jump_host_key"}},
		"insecure does not hold for it": {change: func(j *connector.JumpHost) { j.HostKeys = nil }, opts: connector.DialOptions{Insecure: true},
			words: []string{"its host key is not known"}},
		"no user":        {change: func(j *connector.JumpHost) { j.Username = "" }, words: []string{"proxy_jump"}},
		"no key":         {change: func(j *connector.JumpHost) { j.Key = secret.Text{} }, words: []string{"proxy_jump_key_path"}},
		"unreadable key": {change: func(j *connector.JumpHost) { j.Key = secret.New("-----BEGIN\nnot a key") }, words: []string{"proxy_jump_key_path", "cannot be read"}},
		"no host key":    {change: func(j *connector.JumpHost) { j.HostKeys = []string{"nonsense"} }, words: []string{"proxy_jump_host_key"}},
		"nobody listens": {change: func(j *connector.JumpHost) { j.Address = fmt.Sprintf("127.0.0.1:%d", freePort(t)) }, words: []string{"cannot be reached", "proxy_jump"}, retried: true},
		"no forwarding":  {options: []string{"AllowTcpForwarding no"}, words: []string{"it forbids connections to " + s.address(), "AllowTcpForwarding"}},
		"other targets":  {options: []string{"PermitOpen 192.0.2.1:22"}, words: []string{"it forbids connections to " + s.address(), "PermitOpen"}},
		"old algorithms": {options: []string{"KexAlgorithms diffie-hellman-group14-sha1"}, words: []string{"only the key exchange diffie-hellman-group14-sha1"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := bastion
			if c.options != nil {
				host = startBastion(t, c.options...)
			}
			jump := host.jump()
			if c.change != nil {
				c.change(jump)
			}
			opts := c.opts
			opts.Jump = jump
			opts = quick(opts)
			ctx, enough := retries(t, 1, &opts)
			err := runOnce(ctx, s.info, opts, connector.RunOptions{Command: "true"})
			checkWay(t, err, jump, c.words...)
			if errors.Is(err, enough) != c.retried {
				t.Errorf("retried: %t: %v", !c.retried, err)
			}
			if checked := jump.Check(connector.DialOptions{}); c.options == nil && !c.retried && len(c.words) > 0 && strings.Contains(err.Error(), "connector_config") && checked != nil {
				checkWay(t, checked, jump)
			}
		})
	}
}

// TestSshdJumpInstanceIsToBlame: behind a jump host that works, an instance that fails is told as without one.
func TestSshdJumpInstanceIsToBlame(t *testing.T) {
	s, bastion := startBastion(t), startBastion(t)
	other, otherPublic := newKey(t)
	var hostKey *connector.HostKeyError
	var login *connector.AuthError
	for name, c := range map[string]struct {
		change func(*provider.ConnectInfo)
		as     any
		want   connector.Finding
		words  string
	}{
		"changed host key": {func(i *provider.ConnectInfo) { i.HostKeys = []string{authorized(otherPublic)} }, &hostKey, connector.FindingChangedHostKey, "host key of " + s.address()},
		"wrong key":        {func(i *provider.ConnectInfo) { i.Key = other }, &login, connector.FindingUnusable, "login as"},
		"nobody listens": {func(i *provider.ConnectInfo) { i.ProtocolPort = freePort(t) }, nil, connector.FindingUnusable,
			"the jump host " + bastion.address() + " cannot connect to"},
		"no such name": {func(i *provider.ConnectInfo) { i.InternalAddr = "no-such-host.invalid" }, nil, connector.FindingDoubtful, "no-such-host.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			info := s.info
			c.change(&info)
			opts := quick(connector.DialOptions{Jump: bastion.jump()})
			ctx, _ := retries(t, 1, &opts)
			_, err := connector.Dial(ctx, info, opts)
			var way *connector.JumpError
			if errors.As(err, &way) || connector.FindingOf(err) != c.want || !strings.Contains(err.Error(), c.words) {
				t.Errorf("finding %d: %v", connector.FindingOf(err), err)
			}
			if c.as != nil && !errors.As(err, c.as) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// forwarder is a jump host in this process. It answers keepalives, and opens a connection as open does.
func forwarder(t *testing.T, open func(to string) (net.Conn, *ssh.OpenChannelError)) *connector.JumpHost {
	t.Helper()
	key, public := newKey(t)
	host, hostPublic := newKey(t)
	signer, err := ssh.ParsePrivateKey(host)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(k.Marshal(), public.Marshal()) {
			return nil, errRefused
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	forward := func(ch ssh.NewChannel) {
		var to struct {
			Host     string
			Port     uint32
			From     string
			FromPort uint32
		}
		if err := ssh.Unmarshal(ch.ExtraData(), &to); err != nil {
			return
		}
		far, refused := open(fmt.Sprintf("%s:%d", to.Host, to.Port))
		switch {
		case refused != nil:
			_ = ch.Reject(refused.Reason, refused.Message)
			return
		case far == nil: // no answer
			return
		}
		near, requests, err := ch.Accept()
		if err != nil {
			_ = far.Close()
			return
		}
		work.Go(func() { ssh.DiscardRequests(requests) })
		stop := context.AfterFunc(ctx, func() { _ = far.Close() })
		defer stop()
		work.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_, channels, requests, err := ssh.NewServerConn(conn, config)
				if err != nil {
					return
				}
				work.Go(func() { ssh.DiscardRequests(requests) })
				for ch := range channels {
					work.Go(func() { forward(ch) })
				}
			})
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); work.Wait() })
	return &connector.JumpHost{Address: l.Addr().String(), Username: "ops", Key: secret.New(string(key)), HostKeys: []string{authorized(hostPublic)}}
}

// TestJumpHostsAnswers: what a jump host says about a connection that it cannot open decides who is to blame.
func TestJumpHostsAnswers(t *testing.T) {
	s := startInProcess(t)
	for name, c := range map[string]struct {
		answer *ssh.OpenChannelError
		want   connector.Finding
		way    bool
		final  bool              // waiting does not change it
		second connector.Finding // of a second contact
	}{
		"the instance refuses":          {&ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Connection refused"}, connector.FindingUnusable, false, false, connector.FindingUnusable},
		"no route to the instance":      {&ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "No route to host"}, connector.FindingUnusable, false, false, connector.FindingUnusable},
		"the instance is silent":        {&ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Connection timed out"}, connector.FindingDoubtful, false, false, connector.FindingUnusable},
		"the jump host has no network":  {&ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Network is unreachable"}, connector.FindingNone, true, false, connector.FindingNone},
		"the jump host has no files":    {&ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: "Too many open files"}, connector.FindingNone, true, false, connector.FindingNone},
		"the jump host has no room":     {&ssh.OpenChannelError{Reason: ssh.ResourceShortage, Message: "open failed"}, connector.FindingNone, true, false, connector.FindingNone},
		"the jump host does no such":    {&ssh.OpenChannelError{Reason: ssh.UnknownChannelType, Message: "open failed"}, connector.FindingNone, true, true, connector.FindingNone},
		"no answer, the jump host does": {nil, connector.FindingDoubtful, false, false, connector.FindingUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jump := forwarder(t, func(string) (net.Conn, *ssh.OpenChannelError) { return nil, c.answer })
			opts := connector.Quick(connector.DialOptions{Jump: jump}, 300*time.Millisecond, hang, time.Second, hang)
			ctx, _ := retries(t, 1, &opts)
			_, err := connector.Dial(ctx, s.info, opts)
			var way *connector.JumpError
			if found := connector.FindingOf(err); found != c.want || errors.As(err, &way) != c.way {
				t.Errorf("finding %d: %v", found, err)
			}
			if way != nil && way.Temporary() == c.final {
				t.Errorf("temporary: %v, %v", way.Temporary(), err)
			}
			found, err := connector.ExamineWithin(t.Context(), 3*time.Second, errFirst, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
				return connector.Dial(ctx, s.info, connector.Quick(connector.DialOptions{Dial: network, Jump: jump}, 300*time.Millisecond, hang, time.Second, hang))
			})
			if found != c.second {
				t.Errorf("second contact: finding %d: %v", found, err)
			}
		})
	}
}

// TestJumpHostThatIsSilent: a jump host that accepts and does not answer is to blame, also when the time is over.
func TestJumpHostThatIsSilent(t *testing.T) {
	s := startInProcess(t)
	port, _ := silent(t, 1<<30, "")
	jump := forwarder(t, nil)
	jump.Address = fmt.Sprintf("127.0.0.1:%d", port)
	info := s.info
	info.Timeout = 500 * time.Millisecond
	opts := connector.Quick(connector.DialOptions{Jump: jump}, 100*time.Millisecond, hang, time.Second, hang)
	_, err := connector.Dial(t.Context(), info, opts)
	checkWay(t, err, jump, "no SSH handshake within 100ms")
	found, err := connector.ExamineWithin(t.Context(), 500*time.Millisecond, errFirst, func(ctx context.Context, network connector.DialFunc) (connector.Client, error) {
		return connector.Dial(ctx, s.info, connector.Quick(connector.DialOptions{Dial: network, Jump: jump}, hang, hang, time.Second, hang))
	})
	if found != connector.FindingNone {
		t.Errorf("second contact: finding %d: %v", found, err)
	}
}

// TestWinRMThroughAJumpHost: WinRM goes through the jump host too, and a jump host that fails is to blame.
func TestWinRMThroughAJumpHost(t *testing.T) {
	s := startWinRM(t)
	var from dialled
	jump := forwarder(t, func(to string) (net.Conn, *ssh.OpenChannelError) {
		far, err := net.Dial("tcp", to)
		if err != nil {
			return nil, &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: err.Error()}
		}
		return far, nil
	})
	var out strings.Builder
	if err := runOnce(t.Context(), s.info, quick(connector.DialOptions{Jump: jump, Dial: from.dial}), connector.RunOptions{Command: "echo hello", Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if got := from.addresses(); len(got) != 1 || got[0] != jump.Address || strings.TrimSpace(out.String()) != "hello" {
		t.Errorf("%q came back, and this machine dialled %q", &out, got)
	}
	other, _ := newKey(t)
	jump.Key = secret.New(string(other))
	_, err := connector.Dial(t.Context(), s.info, quick(connector.DialOptions{Jump: jump}))
	checkWay(t, err, jump, `refused the key of user "ops"`)
}
