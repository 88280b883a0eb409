package connector_test

import (
	"bytes"
	"context"
	"crypto"
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
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// server is a real SSH server and how to reach it.
type server struct {
	info provider.ConnectInfo
	cmd  *exec.Cmd // the server itself
	dir  string
	log  string // file
}

// address returns what is dialled.
func (s *server) address() string {
	return net.JoinHostPort(s.info.InternalAddr, strconv.Itoa(s.info.ProtocolPort))
}

// newKey returns a new ed25519 key as PEM and its public half.
func newKey(t testing.TB) ([]byte, ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return marshalKey(t, private)
}

func marshalKey(t testing.TB, private crypto.Signer) ([]byte, ssh.PublicKey) {
	t.Helper()
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

func authorized(key ssh.PublicKey) string {
	return string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key)))
}

// program finds a server's binary, or skips the test.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/local/sbin") {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	t.Skipf("%s is not installed; to run this test: apt-get install %s", name, pkg)
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func currentUser(t testing.TB) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func newInfo(t testing.TB, port int, key []byte, hostKeys ...ssh.PublicKey) provider.ConnectInfo {
	info := provider.ConnectInfo{ID: "i-1", InternalAddr: "127.0.0.1"}
	info.ProtocolPort, info.Username, info.Key, info.Timeout = port, currentUser(t), key, hang
	for _, k := range hostKeys {
		info.HostKeys = append(info.HostKeys, authorized(k))
	}
	return info
}

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a server in the foreground until the test ends and shows its log if the test failed.
func (s *server) start(t testing.TB, name string, args ...string) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(name, args...)
	s.cmd.Stderr, s.cmd.Stdout = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = log.Close()
		if b, err := os.ReadFile(s.log); t.Failed() && err == nil {
			t.Logf("log of %s:\n%s", filepath.Base(name), b)
		}
	})
}

func newServer(t testing.TB) *server {
	dir := t.TempDir()
	return &server{dir: dir, log: filepath.Join(dir, "log")}
}

// startSSHD starts OpenSSH's sshd with an ed25519, an ecdsa and an rsa host key; only the first is known to info.
func startSSHD(t testing.TB, options ...string) *server {
	t.Helper()
	bin := program(t, "sshd", "openssh-server")
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshd run by root needs the folder /run/sshd: %v", err)
		}
	}
	s := newServer(t)
	key, public := newKey(t)
	hostKey, hostPublic := newKey(t)
	port := freePort(t)
	config := []string{
		"ListenAddress 127.0.0.1", fmt.Sprint("Port ", port), "PidFile none", "StrictModes no", "UsePAM no", "AcceptEnv LC_TASKSCALER",
		"PermitRootLogin yes", "LogLevel VERBOSE", "MaxStartups 1000",
		"AuthorizedKeysFile " + write(t, filepath.Join(s.dir, "authorized_keys"), []byte(authorized(public)+"\n")),
		"HostKey " + write(t, filepath.Join(s.dir, "ed25519"), hostKey),
	}
	for _, k := range []crypto.Signer{ecdsaKey(t), rsaKey(t)} {
		private, public := marshalKey(t, k)
		config = append(config, "HostKey "+write(t, filepath.Join(s.dir, public.Type()), private))
	}
	config = append(config, options...)
	file := write(t, filepath.Join(s.dir, "sshd_config"), []byte(strings.Join(config, "\n")+"\n"))
	command := []string{bin, "-D", "-e", "-f", file}
	if prefix, err := tryOtherHome(t, s); err == nil { // so that this user's shell reads no start files
		command = append(prefix, command...)
	}
	s.start(t, command[0], command[1:]...)
	s.info = newInfo(t, port, key, hostPublic)
	return s
}

// otherHome returns the beginning of a command line in which s.dir is the current user's home folder. dropbear and tinysshd read authorized
// keys only from there, and tinysshd refuses a home folder below a world-writable folder such as /tmp.
func otherHome(t testing.TB, s *server) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this server reads only ~/.ssh: the test needs root to give it another home folder in a mount namespace")
	}
	prefix, err := tryOtherHome(t, s)
	if err != nil {
		t.Skipf("this server reads only ~/.ssh, and a mount namespace cannot be created here: %v", err)
	}
	return prefix
}

func tryOtherHome(t testing.TB, s *server) ([]string, error) {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	prefix := []string{"unshare", "-m", "sh", "-c", `mount --bind "$0" "$1" && shift && exec "$@"`, s.dir, u.HomeDir}
	if out, err := exec.Command(prefix[0], append(prefix[1:], "true")...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return prefix, nil
}

func (s *server) authorize(t testing.TB) []byte {
	t.Helper()
	key, public := newKey(t)
	if err := os.Mkdir(filepath.Join(s.dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, ".ssh", "authorized_keys"), []byte(authorized(public)+"\n"))
	return key
}

func startDropbear(t testing.TB) *server {
	t.Helper()
	bin, keygen := program(t, "dropbear", "dropbear-bin"), program(t, "dropbearkey", "dropbear-bin")
	s := newServer(t)
	key := s.authorize(t)
	prefix := otherHome(t, s)
	hostKey := filepath.Join(s.dir, "hostkey")
	out, err := exec.Command(keygen, "-t", "ed25519", "-f", hostKey).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(out), "ssh-ed25519 ")
	line, _, _ = strings.Cut(line, "\n")
	port := freePort(t)
	args := append(prefix[1:], bin, "-F", "-E", "-r", hostKey, "-p", fmt.Sprint("127.0.0.1:", port), "-P", filepath.Join(s.dir, "pid"))
	s.start(t, prefix[0], args...)
	s.info = newInfo(t, port, key)
	s.info.HostKeys = []string{"ssh-ed25519 " + line}
	return s
}

// startTinysshd starts one process for each connection, as socat or systemd does.
func startTinysshd(t testing.TB) *server {
	t.Helper()
	bin, keygen, socat := program(t, "tinysshd", "tinysshd"), program(t, "tinysshd-makekey", "tinysshd"), program(t, "socat", "socat")
	s := newServer(t)
	key := s.authorize(t)
	prefix := otherHome(t, s)
	keys := filepath.Join(s.dir, "keys")
	if out, err := exec.Command(keygen, keys).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(keys, "ed25519.pk"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(ed25519.PublicKey(raw))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	args := append(prefix[1:], socat, fmt.Sprintf("TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork", port), fmt.Sprintf("EXEC:%s -v %s", bin, keys))
	s.start(t, prefix[0], args...)
	s.info = newInfo(t, port, key, host)
	return s
}

// servingPID asks the server for the process that serves this connection.
func servingPID(t *testing.T, c connector.Client) int {
	t.Helper()
	pid, err := askServingPID(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func askServingPID(ctx context.Context, c connector.Client) (int, error) {
	var out bytes.Buffer
	if err := c.Run(ctx, connector.RunOptions{Command: "echo $PPID", Stdout: &out}); err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out.String()))
}

// readPublic returns the public half of the private key in a file.
func readPublic(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return authorized(signer.PublicKey())
}
