package fake

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// buildPlugin builds the real plugin binary.
func buildPlugin(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleeting-plugin-fake")
	if out, err := exec.Command("go", "build", "-o", path, "./cmd/fleeting-plugin-fake").CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	return path
}

func launch(t *testing.T, path, dir string) *plugin.Process {
	t.Helper()
	config, err := json.Marshal(&InstanceGroup{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte("{"), []byte(`{"max_size":3,`), 1)
	p, err := plugin.Launch(t.Context(), plugin.LaunchOptions{Path: path, Config: config, RelaunchMin: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPluginProcess runs the conformance suite with the real binary, and then kills the plugin while it works.
func TestPluginProcess(t *testing.T) {
	t.Parallel()
	path := buildPlugin(t)
	dirs := map[provider.InstanceGroup]string{}
	open := func(t *testing.T, dir string) provider.InstanceGroup {
		p := launch(t, path, dir)
		t.Cleanup(func() { _ = p.Close(context.Background()) })
		dirs[p] = dir
		return p
	}
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			dir := filepath.Join(t.TempDir(), "made", "group")
			t.Cleanup(func() { emptyAgain(t, dir) })
			return open(t, dir)
		},
		Reopen: func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup { return open(t, dirs[old]) },
		Sicken: func(_ context.Context, g provider.InstanceGroup, id string) error {
			return os.WriteFile(filepath.Join(dirs[g], id, unhealthyFile), nil, 0o600)
		},
	})
	t.Run("killed plugin", func(t *testing.T) { killedPlugin(t, path) })
}

func killedPlugin(t *testing.T, path string) {
	dir := filepath.Join(t.TempDir(), "made", "group")
	t.Cleanup(func() { emptyAgain(t, dir) })
	p := launch(t, path, dir)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Increase(t.Context(), 2); n != 2 || err != nil {
		t.Fatalf("Increase = %d, %v", n, err)
	}
	g := &InstanceGroup{Dir: dir}
	if _, err := g.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	ids := running(t, g, 2)
	s := session(t, dial(t, connectInfo(t, g, ids[0])))
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("read line; echo $line"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.Status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the plugin to be back", func() bool { st := p.Status(); return st.Up && st.Restarts > 0 })
	var listed []string
	if err := p.Update(t.Context(), func(id string, _ provider.State) { listed = append(listed, id) }); err != nil || len(listed) != 2 {
		t.Errorf("the restarted plugin lists %v, %v, want %v", listed, err, ids)
	}
	if _, err := stdin.Write([]byte("unharmed\n")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("unharmed\n"))
	if _, err := out.Read(got); err != nil || string(got) != "unharmed\n" {
		t.Errorf("the output of the command that ran in this time is %q, %v", got, err)
	}
}

func TestInstanceCommandIsNotForPeople(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{Subcommand}, {Subcommand, t.TempDir()}, {Subcommand, "a", "b"}} {
		out, err := exec.Command(exe, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "this command is only for the plugin itself") {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}

func newKey(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// TestOpenSSHClient logs in with the operator's key, with the OpenSSH client.
func TestOpenSSHClient(t *testing.T) {
	client, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("ssh is not installed; the other tests use the client of x/crypto")
	}
	key := newKey(t)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGroupIn(t, filepath.Join(t.TempDir(), "made", "group"), `{"give_host_keys":true}`,
		withConnector(provider.ConnectorConfig{Username: "runner", Key: key}))
	increase(t, g, 1)
	info := connectInfo(t, g, running(t, g, 1)[0])
	if info.Username != "runner" || info.Password != "" || len(info.HostKeys) != 1 {
		t.Fatalf("connect info %v with %d host keys, want the operator's name and key only, and one host key", info, len(info.HostKeys))
	}
	host, port, err := net.SplitHostPort(info.ExternalAddr)
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte("["+host+"]:"+port+" "+info.HostKeys[0]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(client, "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+known,
		"-o", "IdentitiesOnly=yes", "-o", "SendEnv=TASKSCALER_KEY", "-i", keyFile, "-p", port, "runner@"+host,
		"cat; echo $TASKSCALER_KEY >&2; exit 5")
	cmd.Env = append(os.Environ(), "TASKSCALER_KEY=job-9")
	cmd.Stdin = strings.NewReader("input")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 5 || stdout.String() != "input" || stderr.String() != "job-9\n" {
		t.Errorf("ssh: exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}

func TestCredentials(t *testing.T) {
	const operators = "the operator's own password"
	g := newGroupIn(t, filepath.Join(t.TempDir(), "made", "group"), `{}`, withConnector(provider.ConnectorConfig{Password: operators, OS: "plan9"}))
	increase(t, g, 1)
	id := running(t, g, 1)[0]
	info := connectInfo(t, g, id)
	if info.Password != operators || info.OS != "plan9" || info.Username != "fake" || len(info.HostKeys) != 0 || info.ProtocolPort == 0 {
		t.Errorf("connect info %v: the operator's values must be used, the other values filled in, and no host key given", info)
	}
	f, err := g.lookUp(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	own, err := f.readLogin()
	if err != nil {
		t.Fatal(err)
	}
	dial(t, info)
	info.Password, info.Key = "", []byte(own.Key.Reveal())
	dial(t, info)
	for _, bad := range []struct{ user, password string }{{"fake", "wrong"}, {"fake", ""}, {"root", operators}} {
		config := &ssh.ClientConfig{User: bad.user, Auth: []ssh.AuthMethod{ssh.Password(bad.password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
		if c, err := ssh.Dial("tcp", info.ExternalAddr, config); err == nil {
			_ = c.Close()
			t.Errorf("%q could log in with %q", bad.user, bad.password)
		}
	}
	stranger, err := ssh.ParsePrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ClientConfig{User: "fake", Auth: []ssh.AuthMethod{ssh.PublicKeys(stranger)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	if c, err := ssh.Dial("tcp", info.ExternalAddr, config); err == nil {
		_ = c.Close()
		t.Error("an unknown key could log in")
	}
	secretsStayInside(t, g, operators, strings.Fields(own.Key.Reveal())[5])
}

// TestLoginOfAnEarlierRelease: an instance that was made with a password keeps it.
func TestLoginOfAnEarlierRelease(t *testing.T) {
	var old login
	if err := json.Unmarshal([]byte(`{"username":"fake","password":"once"}`), &old); err != nil {
		t.Fatal(err)
	}
	var c provider.ConnectorConfig
	if old.use(&c); c.Username != "fake" || c.Password != "once" || len(c.Key) != 0 {
		t.Errorf("the login is %v", c)
	}
	c = provider.ConnectorConfig{Username: "me", Key: []byte("k")}
	if old.use(&c); c.Username != "me" || c.Password != "" {
		t.Errorf("the operator's login became %v", c)
	}
}

// secretsStayInside looks for secrets in command lines and environments, which all users can read, and in files that must not contain secrets.
func secretsStayInside(t *testing.T, g *InstanceGroup, secrets ...string) {
	t.Helper()
	var public []string
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ", g.Dir + "/*/spec.json",
		g.Dir + "/*/record.jsonl", g.Dir + "/*/log", g.Dir + "/group.json"} {
		files, _ := filepath.Glob(pattern)
		public = append(public, files...)
	}
	for _, path := range public {
		raw, _ := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(raw, []byte(s)) {
				t.Errorf("%s contains a secret", path)
			}
		}
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	g, id, _ := oneInstance(t, `{}`)
	if err := g.Heartbeat(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := g.Heartbeat(t.Context(), "nobody"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("unknown: %v", err)
	}
	_, pid := g.machines[id].alive()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the heartbeat of a frozen instance to fail without saying that it is unhealthy", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return provider.KindOf(g.Heartbeat(ctx, id)) == provider.KindTransient
	})
	// A frozen process cannot end itself. It is killed some time after its deletion.
	if _, err := g.Decrease(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the frozen instance to be killed", func() bool { return len(list(t, g)) == 0 })
}
