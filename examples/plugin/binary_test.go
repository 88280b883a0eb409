package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

// build builds the plugin's binary.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleeting-plugin-shed")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// launch starts the binary as taskscaler does.
func launch(t *testing.T, path, dir string) *plugin.Process {
	t.Helper()
	config, err := json.Marshal(map[string]any{"name": "ci", "max_size": 3, "dir": dir, "timeout": 30})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plugin.Launch(t.Context(), plugin.LaunchOptions{
		Path: path, Dir: filepath.Dir(dir), Config: config, StateDir: filepath.Join(filepath.Dir(dir), "state"), StartTimeout: 2 * time.Minute,
	})
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	t.Cleanup(func() { _ = p.Close(t.Context()) })
	return p
}

// TestConformanceOfBinary checks the contract through the process.
func TestConformanceOfBinary(t *testing.T) {
	t.Parallel()
	path := build(t)
	dirs := map[provider.InstanceGroup]string{}
	open := func(t *testing.T, dir string) provider.InstanceGroup {
		g := launch(t, path, dir)
		dirs[g] = dir
		return g
	}
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup { return open(t, filepath.Join(t.TempDir(), "machines")) },
		Reopen: func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			return open(t, dirs[old])
		},
	})
}

// TestMachine: a machine can be reached with the connect info of the plugin, also of one that was started again, and runs commands.
func TestMachine(t *testing.T) {
	t.Parallel()
	path, dir := build(t), filepath.Join(t.TempDir(), "machines")
	g := launch(t, path, dir)
	if _, err := g.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	if n, err := g.Increase(t.Context(), 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	id := running(t, g)
	say(t, g, id)
	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	g = launch(t, path, dir)
	if _, err := g.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	say(t, g, id)
	if gone, err := g.Decrease(t.Context(), []string{id}); len(gone) != 1 || err != nil {
		t.Fatal(gone, err)
	}
}

// running waits until a machine runs.
func running(t *testing.T, g provider.InstanceGroup) (id string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); id == "" && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		err := g.Update(t.Context(), func(found string, state provider.State) {
			if state == provider.StateRunning {
				id = found
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if id == "" {
		t.Fatal("no machine runs after two minutes")
	}
	return id
}

// say runs a command on a machine.
func say(t *testing.T, g provider.InstanceGroup, id string) {
	t.Helper()
	info, err := g.ConnectInfo(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(info.Key)
	if err != nil {
		t.Fatal(err)
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(info.HostKeys[0]))
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", info.InternalAddr, &ssh.ClientConfig{
		User: info.Username, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(host), Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.Output("echo it works; exit 3")
	if string(out) != "it works\n" || err == nil || err.(*ssh.ExitError).ExitStatus() != 3 {
		t.Errorf("the machine said %q, %v", out, err)
	}
}
