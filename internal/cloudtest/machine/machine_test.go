package machine_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/connector/connectortest"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

const hang = 2 * time.Minute // only a hang reaches it

func TestMain(m *testing.M) { leakcheck.Main(m) }

// newKey returns a key pair: the private half as PEM, the public one as in authorized_keys.
func newKey(t *testing.T) (private []byte, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))
}

func open(t *testing.T, config machine.Config) *machine.Park {
	t.Helper()
	p, err := machine.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func boot(t *testing.T, p *machine.Park, id, ip string, keys ...string) *machine.Machine {
	t.Helper()
	m, err := p.Boot(id, machine.Spec{IP: ip, User: "ubuntu", AuthorizedKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func info(m *machine.Machine, private []byte) provider.ConnectInfo {
	return provider.ConnectInfo{ID: "i-1", InternalAddr: m.Address(), HostKeys: []string{m.HostKey()},
		ConnectorConfig: provider.ConnectorConfig{OS: "linux", Protocol: provider.ProtocolSSH, Username: "ubuntu", Key: private, Timeout: hang}}
}

// TestConnector: the machines serve all that our connector needs.
func TestConnector(t *testing.T) {
	private, public := newKey(t)
	foreign, _ := newKey(t)
	m := boot(t, open(t, machine.Config{}), "i-1", "127.1.2.3", public)
	connectortest.Run(t, connectortest.Target{Info: info(m, private), Tunnels: true, KillsGroups: true, AcceptsEnv: "TASKSCALER_ANY", ForeignKey: foreign})
}

// TestOpenSSH: an independent client can use a machine.
func TestOpenSSH(t *testing.T) {
	client, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("OpenSSH's ssh is not installed; install it with: apt-get install openssh-client")
	}
	private, public := newKey(t)
	m := boot(t, open(t, machine.Config{}), "i-1", "127.1.2.3", public)
	dir := t.TempDir()
	host, port, _ := net.SplitHostPort(m.Address())
	if err := os.WriteFile(filepath.Join(dir, "key"), private, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "known"), fmt.Appendf(nil, "[%s]:%s %s\n", host, port, m.HostKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), client, "-F", "none", "-i", filepath.Join(dir, "key"), "-o", "UserKnownHostsFile="+filepath.Join(dir, "known"),
		"-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "SetEnv=TASKSCALER_KEY=job-1", "-p", port, "ubuntu@"+host,
		`cat; echo "$TASKSCALER_KEY"; echo "$HOME" >&2; exit 7`)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("from stdin\n"), &stdout, &stderr
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != 7 || stdout.String() != "from stdin\njob-1\n" || !strings.HasSuffix(stderr.String(), "/i-1\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
	}
}

// login tries to log in once.
func login(m *machine.Machine, user string, private []byte) (*ssh.Client, error) {
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", m.Address(), &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
}

// clock is a time that a test turns.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// TestPushedKey: a key with an end lets in until then. A session that is open goes on.
func TestPushedKey(t *testing.T) {
	c := &clock{at: time.Now()}
	private, public := newKey(t)
	m := boot(t, open(t, machine.Config{Now: c.now}), "i-1", "127.1.2.3")
	if _, err := login(m, "ubuntu", private); err == nil {
		t.Error("a key that was not pushed is let in")
	}
	for _, user := range []string{"ubuntu", "root"} {
		if err := m.Authorize(user, public, c.now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := login(m, "root", private); err == nil {
		t.Error("a user whom the machine does not have is let in")
	}
	conn, err := login(m, "ubuntu", private)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.turn(59 * time.Second)
	again, err := login(m, "ubuntu", private)
	if err != nil {
		t.Fatalf("a second before the end: %v", err)
	}
	_ = again.Close()
	c.turn(time.Second)
	if _, err := login(m, "ubuntu", private); err == nil {
		t.Error("a login at the end of the key is let in")
	}
	s, err := conn.NewSession()
	if err != nil {
		t.Fatalf("the open connection: %v", err)
	}
	if out, err := s.Output("echo goes on"); err != nil || string(out) != "goes on\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := m.Authorize("ubuntu", "no key", time.Time{}); err == nil {
		t.Error("what is no key was accepted")
	}
}

// TestStop: nothing of a machine is left when it has stopped, and its record is complete.
func TestStop(t *testing.T) {
	records := t.TempDir()
	private, public := newKey(t)
	p := open(t, machine.Config{Records: records})
	m, other := boot(t, p, "i-1", "127.1.2.3", public), boot(t, p, "i-2", "127.1.2.4", public)
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	c, err := connector.Dial(ctx, info(m, private), connector.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seen := &firstLine{line: make(chan string, 1)}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx, connector.RunOptions{Command: `setsid sleep 1000 & touch file; echo "$$ $! $HOME"; sleep 1000`, Stdout: seen,
			Env: map[string]string{"TASKSCALER_KEY": "job-1", "TASKSCALER_SLOT": "2"}})
	}()
	var said string
	select {
	case said = <-seen.line:
	case <-ctx.Done():
		t.Fatal("the command does not start")
	}
	fields := strings.Fields(said)
	var all sync.WaitGroup
	for range 3 { // also at the same time
		all.Go(m.Stop)
	}
	all.Wait()
	if err := <-ended; err == nil {
		t.Error("the command of a machine that was stopped exited with 0")
	}
	for _, path := range []string{"/proc/" + fields[0], "/proc/" + fields[1] + "/exe", fields[2]} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if conn, err := net.Dial("tcp", m.Address()); err == nil {
		_ = conn.Close()
		t.Error("the machine still answers")
	}
	if conn, err := login(other, "ubuntu", private); err != nil {
		t.Errorf("another machine: %v", err)
	} else {
		_ = conn.Close()
	}
	checkRecord(t, records)
	boot(t, p, "i-1", "127.1.2.3", public) // the id and the address are free again
	if p.Machine("i-1") == m {
		t.Error("the machine that was stopped is found by its id")
	}
}

func checkRecord(t *testing.T, records string) {
	t.Helper()
	entries, err := record.ReadFile(filepath.Join(records, "i-1"+record.Suffix))
	if err != nil {
		t.Fatal(err)
	}
	var got []record.Event
	for _, e := range entries {
		got = append(got, e.Event)
	}
	if want := []record.Event{record.Created, record.Booted, record.CommandStart, record.Deleting, record.CommandEnd, record.Deleted}; !slices.Equal(got, want) {
		t.Fatalf("recorded %v, want %v", got, want)
	}
	run := record.Commands(entries)[0]
	if run.Key != "job-1" || run.Slot != "2" || run.Signal != "KILL" || entries[0].Number != 1 || len(record.Alive(entries)) != 0 {
		t.Errorf("%+v", run)
	}
}

// firstLine takes the first line that is written.
type firstLine struct {
	text string
	line chan string
}

func (f *firstLine) Write(b []byte) (int, error) {
	before := f.text
	f.text += string(b)
	if line, _, whole := strings.Cut(f.text, "\n"); whole && !strings.Contains(before, "\n") {
		f.line <- line
	}
	return len(b), nil
}

func TestBootRefuses(t *testing.T) {
	p, err := machine.Open(machine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, public := newKey(t)
	first := boot(t, p, "i-1", "127.1.2.3", public)
	for want, spec := range map[string]struct {
		id string
		machine.Spec
	}{
		"it runs already":        {"i-1", machine.Spec{IP: "127.1.2.4"}},
		"address already in use": {"i-2", machine.Spec{IP: "127.1.2.3"}},
		"no name of a folder":    {"../i-3", machine.Spec{IP: "127.1.2.4"}},
		"authorize a key":        {"i-4", machine.Spec{IP: "127.1.2.4", AuthorizedKeys: []string{"nonsense"}}},
	} {
		if _, err := p.Boot(spec.id, spec.Spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := machine.Open(machine.Config{Port: p.Port()}); err == nil {
		t.Error("a port that is used was taken")
	}
	boot(t, p, "i-2", "127.1.2.4", public) // a boot that failed leaves nothing in the way
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Boot("i-5", machine.Spec{IP: "127.1.2.5"}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a park that is closed: %v", err)
	}
	if conn, err := net.Dial("tcp", first.Address()); err == nil {
		_ = conn.Close()
		t.Error("a machine of a closed park answers")
	}
}
