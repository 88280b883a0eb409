package control_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

const nobody = 65534

// asNobody starts this test binary as another user, and returns its output.
func asNobody(t *testing.T, dir, env string) *bufio.Scanner {
	t.Helper()
	exe := filepath.Join(dir, "child")
	if _, err := os.Stat(exe); err != nil { // go test builds into a private directory
		if err := exec.Command("cp", os.Args[0], exe).Run(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(cmd.Process.Kill(), cmd.Wait()) })
	return bufio.NewScanner(out)
}

func reads(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	if !lines.Scan() || lines.Text() != want {
		t.Fatalf("the other user's process says %q, not %q", lines.Text(), want)
	}
}

// TestSecurityOtherUsers: a process of another user that listens at the socket gets nothing, and one that connects gets no answer, even if the
// modes of the files let it. Root may use the manager of another user, at a place where only that user can put a socket.
func TestSecurityOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a process of another user is needed: run this test as root")
	}
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, mode := range map[string]os.FileMode{"": 0o755, "open": 0o777, "own": 0o700} {
		sub := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(sub, 0o700), os.Chmod(sub, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir+"/own", nobody, nobody); err != nil {
		t.Fatal(err)
	}

	squatter := asNobody(t, dir, "CONTROL_TEST_SQUAT="+dir+"/open/s")
	reads(t, squatter, "listening: <nil>")
	for _, ask := range []func(c *control.Client) error{
		func(c *control.Client) error { _, err := c.Status(within(t), ""); return err },
		func(c *control.Client) error { _, err := c.Lease(within(t), acquire("job", "h")); return err },
	} {
		err := ask(control.NewClient(dir + "/open/s"))
		var stranger *control.StrangerError
		if !errors.As(err, &stranger) || stranger.UID != nobody || stranger.PID == 0 || !strings.Contains(err.Error(), "was sent nothing") {
			t.Errorf("got %v", err)
		}
		reads(t, squatter, "received: false")
	}

	manager := asNobody(t, dir, "CONTROL_TEST_SQUAT="+dir+"/own/s")
	reads(t, manager, "listening: <nil>")
	var stranger *control.StrangerError
	if _, err := control.NewClient(dir+"/own/s").Status(within(t), ""); errors.As(err, &stranger) {
		t.Errorf("root and the manager of another user: %v", err)
	}
	reads(t, manager, "received: true")

	path, log := limited(t, controltest.New(1), 0)
	for p := filepath.Dir(path); p != filepath.Dir(p) && p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	reads(t, asNobody(t, dir, "CONTROL_TEST_ASK="+path), "answered: false")
	if !strings.Contains(log(), "refused connections of another user") || !strings.Contains(log(), "user=65534") {
		t.Errorf("the log has:\n%s", log())
	}
}

// TestSecuritySocketIsNeverOpen: another user cannot connect between the bind of the socket and the change of its mode, nor later, whatever the umask is
// and although the user can enter the folder of the socket.
func TestSecuritySocketIsNeverOpen(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a process of another user is needed: run this test as root")
	}
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0))
	path, tried := filepath.Join(dir, "s"), false
	connects := func(to string) { reads(t, asNobody(t, dir, "CONTROL_TEST_CONNECT="+to), "connected: false") }
	l, err := control.ListenWith(path, func(temporary string) {
		tried = true
		info, err := os.Stat(temporary)
		if err != nil || info.Mode().Perm()&0o002 == 0 {
			t.Errorf("the socket is closed by its own mode already, so nothing is tried: %v, %v", info, err)
		}
		connects(temporary)
		connects(path)
	})
	if err != nil || !tried {
		t.Fatal(err, tried)
	}
	defer l.Close()
	connects(path)
}
