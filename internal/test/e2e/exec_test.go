package e2e

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// quickstart copies the configuration of the example.
func quickstart(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "quickstart", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, string(text))
}

// onlyTheConfig checks that only the configuration and the records are left: no file, no process, no socket and nothing in the temporary
// folder. An empty folder of the manager's control socket is allowed.
func onlyTheConfig(t *testing.T, w *world) {
	t.Helper()
	w.eventually("no process is left", func() (bool, string) {
		left := w.processes()
		return len(left) == 0, strings.Join(left, "\n")
	})
	for _, dir := range []string{w.dir, filepath.Join(w.dir, "taskscaler"), w.tmp()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if dir != w.dir || !slices.Contains([]string{"config.toml", "records", "taskscaler", "tmp"}, e.Name()) {
				t.Errorf("%s is left", filepath.Join(dir, e.Name()))
			}
		}
	}
}

// private starts exec with a manager of its own.
func (w *world) private(args ...string) *process {
	w.t.Helper()
	return w.start(append([]string{"exec", "--config", w.config}, args...)...)
}

func TestPrivateExec(t *testing.T) {
	t.Parallel()
	w := quickstart(t)
	p := w.private("--", "sh", "-c", "echo out; echo err >&2; exit 7")
	p.expect(7, "out\n")
	for _, line := range strings.Split(strings.TrimSpace(p.stderr.String()), "\n") {
		if line != "err" && !strings.HasPrefix(line, "taskscaler: waiting ") {
			t.Errorf("stderr has %q", line)
		}
	}
	onlyTheConfig(t, w)
}

func TestPrivateExecInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	p := w.private("--", "sh", "-c", "echo started; sleep 600 & sleep 600; echo not reached")
	w.eventually("the command runs", func() (bool, string) { return p.stdout.String() != "", p.stderr.String() })
	p.signal(syscall.SIGINT)
	p.expect(130, "started\n")
	onlyTheConfig(t, w)
	w.empty()
}

func TestPrivateExecInterruptedWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{plugin: "[runners.autoscaler.plugin_config.boot]\ndistribution = \"constant\"\nvalue = \"10m\""}.String())
	p := w.private("--", "true")
	w.eventually("it waits", func() (bool, string) {
		return strings.Contains(p.stderr.String(), "waiting for an instance to boot"), p.stderr.String()
	})
	p.signal(syscall.SIGINT)
	p.expect(130, "")
	onlyTheConfig(t, w)
	w.empty()
}

// TestPrivateExecAfterOneThatWasKilled: the next private manager takes over the instances that were left, and leaves nothing.
func TestPrivateExecAfterOneThatWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	killed := w.private("--", "sleep", "600")
	w.eventually("the command runs", func() (bool, string) {
		return len(record.Commands(w.entries())) > 0, killed.stderr.String()
	})
	killed.signal(syscall.SIGKILL)
	killed.wait()
	w.private("--", "echo", "again").expect(0, "again\n")
	onlyTheConfig(t, w)
	w.empty()
}

// TestExecCopies: files go to the instance before the command, and come back after it, also from one that failed.
func TestExecCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	here, there := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(here, "program"), []byte("#!/bin/sh\necho \"$1\" >result; exit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.start("exec", "--upload", here+":"+there+"/work", "--download", there+"/work/result:"+here+"/", "--", "sh", "-c", "cd "+there+"/work && ./program yes").expect(9, "")
	if got, err := os.ReadFile(filepath.Join(here, "result")); string(got) != "yes\n" || err != nil {
		t.Errorf("downloaded %q, %v", got, err)
	}
	again := w.start("exec", "--upload", here+":"+there+"/work", "--", "true")
	if again.expect(125, ""); !strings.Contains(again.stderr.String(), "existing folder") {
		t.Errorf("over a folder: %s", &again.stderr)
	}
	none := w.start("exec", "--download", there+"/none:"+here+"/none", "--", "true")
	if none.expect(123, ""); !strings.Contains(none.stderr.String(), "the command succeeded, but: download") {
		t.Errorf("nothing to download: %s", &none.stderr)
	}
	m.drained()
}

// TestTunnel: a socket here reaches a server that the instance sees. An interrupt ends the tunnel and releases the slot.
func TestTunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(conn, conn)
		_ = conn.Close()
	}()
	local := filepath.Join(w.dir, "t.sock")
	p := w.start("tunnel", "k", local+":"+server.Addr().String())
	p.says("is open, through instance")
	conn, err := net.Dial("unix", local)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(local); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is not private: %v", err)
	}
	go func() {
		_, _ = io.WriteString(conn, "hello")
		_ = conn.(*net.UnixConn).CloseWrite()
	}()
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("through the tunnel came %q, %v", got, err)
	}
	p.signal(syscall.SIGINT)
	p.expect(130, "")
	if _, err := os.Stat(local); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	m.drained()
}

func TestExecArguments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	for name, c := range map[string]struct {
		argv   []string
		code   int
		stdout string
	}{
		"quotes":   {[]string{"printf", "[%s]", "a b", "it's", "$HOME", "*", "", "-n", "x\ny", `\`}, 0, "[a b][it's][$HOME][*][][-n][x\ny][\\]"},
		"success":  {[]string{"true"}, 0, ""},
		"status":   {[]string{"sh", "-c", "exit 42"}, 42, ""},
		"signal":   {[]string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		"missing":  {[]string{"/no/such/command"}, 127, ""},
		"ours":     {[]string{"sh", "-c", `echo "$TASKSCALER_KEY $TASKSCALER_SLOT"; test -n "$TASKSCALER_INSTANCE$TASKSCALER_USE"`}, 0, "ours 0\n"},
		"no dash":  {[]string{"sh", "-c", "exit 3"}, 3, ""},
		"like run": {[]string{"echo", "--key", "--help"}, 0, "--key --help\n"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"exec", "--key", name, "--"}, c.argv...)
			if name == "no dash" {
				args = append([]string{"exec", "--key", name}, c.argv...)
			}
			w.start(args...).expect(c.code, c.stdout)
		})
	}
	in := w.startWith(func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader("from stdin") }, "exec", "--", "cat")
	in.expect(0, "from stdin")
	m.drained()
}

func TestExecTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 1\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	w.start("exec", "--timeout", "1s", "--", "sleep", "600").refused(124, "--timeout")
	busy := w.exec("busy", "echo on; sleep 600")
	w.eventually("the slot is taken", func() (bool, string) { return busy.stdout.String() != "", busy.stderr.String() })
	w.timesOut([]string{"true"}, "max_instances")
	busy.signal(syscall.SIGINT)
	busy.expect(130, "on\n")
	for _, c := range record.Commands(w.entries()) {
		if c.End.IsZero() {
			t.Errorf("%q was not ended", c.Key)
		}
	}
	m.drained()
	w.empty()
}

func TestExecBrokenPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{}.String())
	m := w.manager()
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := w.startWith(func(cmd *exec.Cmd) { cmd.Stdout = wr }, "exec", "--key", "pipe", "--", "sh", "-c", "while echo y; do :; done")
	_ = wr.Close()
	if _, err := r.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if code := p.wait(); code != 141 {
		t.Errorf("exit code %d, not 141", code)
	}
	if got := places(w.mustAsk()); len(got) != 0 {
		t.Errorf("leases are left: %v", got)
	}
	m.drained()
}
