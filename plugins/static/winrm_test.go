package static

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// winrmHost starts the WinRM server of pkg/connector, which runs commands with sh. It returns the server as a host, and its process.
func winrmHost(t testing.TB) (Host, *exec.Cmd) {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's, because the packages that the server needs are Debian's
	library, _ := filepath.Glob("/usr/lib/*/gssntlmssp/gssntlmssp.so")
	if err := exec.Command(python, "-c", "import gssapi").Run(); err != nil || len(library) == 0 {
		t.Skip("the WinRM server cannot run; to run this test: apt-get install python3-gssapi gss-ntlmssp")
	}
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("CORP:ci:hunter2-hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "../../pkg/connector/testdata/winrm/server.py")
	cmd.Env = append(os.Environ(), "NTLM_USER_FILE="+users, "PYTHONUTF8=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return Host{
		InternalAddr: "127.0.0.1:" + strings.TrimSpace(port), Protocol: string(provider.ProtocolWinRM), OS: "windows",
		Username: `CORP\ci`, Password: secret.New("hunter2-hunter2"),
	}, cmd
}

// TestWinRM: a host that is reached over WinRM is taken, checked and reset.
func TestWinRM(t *testing.T) {
	h, server := winrmHost(t)
	gate, mark := filepath.Join(t.TempDir(), "gate"), filepath.Join(t.TempDir(), "mark")
	g := open(t, &InstanceGroup{
		Instances:    map[string]Host{"win": h},
		ResetCommand: "test -e " + gate + " && touch " + mark + " || { echo the disk is full >&2; exit 3; }",
	})
	if got, err := g.Increase(t.Context(), 1); got != 1 || err != nil {
		t.Fatalf("%d, %v", got, err)
	}
	info, err := g.ConnectInfo(t.Context(), "win-1")
	if err != nil || info.Protocol != provider.ProtocolWinRM || info.OS != "windows" || info.Username != `CORP\ci` {
		t.Errorf("%v, %v", info, err)
	}
	if err := g.Heartbeat(t.Context(), "win-1"); err != nil {
		t.Errorf("the host answers: %v", err)
	}
	if _, err := g.Decrease(t.Context(), []string{"win-1"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the reset fails", func() bool {
		_, err := g.Decrease(t.Context(), []string{"win-1"})
		return err != nil && strings.Contains(err.Error(), "host win is not free: reset_command: ") && strings.Contains(err.Error(), "the disk is full")
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shutdown(t, g) // the next process tries at once
	g = open(t, &InstanceGroup{Dir: g.Dir, Instances: g.Instances, ResetCommand: g.ResetCommand})
	until(t, "the host is free", func() bool { return len(list(t, g)) == 0 })
	if !exist(mark) {
		t.Error("the reset command did not run")
	}
	if got, err := g.Increase(t.Context(), 1); got != 1 || err != nil {
		t.Fatalf("%d, %v", got, err)
	}
	_ = server.Process.Kill()
	_, _ = server.Process.Wait()
	if err := g.Heartbeat(t.Context(), "win-2"); provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), "host win: ") {
		t.Errorf("the host is dead: %v", err)
	}
}

// TestWinRMWrongPassword: the reset says which key is wrong, and not its value.
func TestWinRMWrongPassword(t *testing.T) {
	h, _ := winrmHost(t)
	h.Password = secret.New("another-password")
	g := open(t, &InstanceGroup{Instances: map[string]Host{"win": h}, ResetCommand: "true", ResetTimeout: duration{provider.Duration(2 * time.Second)}})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var failed error
	until(t, "the login fails", func() bool {
		_, failed = g.Decrease(t.Context(), []string{"win-1"})
		return failed != nil
	})
	if !strings.Contains(failed.Error(), "connect for the reset command") || strings.Contains(failed.Error(), "another-password") {
		t.Errorf("%v", failed)
	}
}
