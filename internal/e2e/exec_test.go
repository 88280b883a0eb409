package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// quickstart copies the example's configuration, as a reader of the README would.
func quickstart(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "quickstart", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, string(text))
}

// onlyTheConfig checks that a private manager has left nothing: no file in its folder, no process, no socket folder of its plugin.
func onlyTheConfig(t *testing.T, w *world, socketsBefore []string) {
	t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "config.toml" && e.Name() != "records" {
			t.Errorf("%s is left", e.Name())
		}
	}
	w.eventually("no process is left", func() (bool, string) {
		left := w.processes()
		return len(left) == 0, strings.Join(left, "\n")
	})
	before := map[string]bool{}
	for _, path := range socketsBefore {
		before[path] = true
	}
	for _, path := range temporaries(t, w) {
		if !before[path] {
			t.Errorf("%s is left", path)
		}
	}
}

// temporaries are the entries of the temporary folder that this world's processes use.
func temporaries(t *testing.T, w *world) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.dir, "..", w.tmp(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (w *world) tmp() string { return filepath.Base(w.dir) + ".tmp" }

// private starts exec with a manager of its own, and a temporary folder of its own so that leftovers there can be seen.
func (w *world) private(args ...string) *process {
	w.t.Helper()
	tmp := filepath.Join(w.dir, "..", w.tmp())
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	return w.startWith(func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "TMPDIR="+tmp) }, append([]string{"exec", "--config", w.config}, args...)...)
}

func TestPrivateExec(t *testing.T) {
	w := quickstart(t)
	p := w.private("--", "sh", "-c", "echo out; echo err >&2; exit 7")
	p.expect(7, "out\n")
	for _, line := range strings.Split(strings.TrimSpace(p.stderr.String()), "\n") {
		if line != "err" && !strings.HasPrefix(line, "taskscaler: waiting ") {
			t.Errorf("stderr has %q", line)
		}
	}
	onlyTheConfig(t, w, nil)
}

func TestPrivateExecInterrupted(t *testing.T) {
	w := newWorld(t, settings{}.String())
	p := w.private("--", "sh", "-c", "echo started; sleep 600 & sleep 600; echo not reached")
	w.eventually("the command runs", func() (bool, string) { return p.stdout.String() != "", p.stderr.String() })
	p.signal(syscall.SIGINT)
	p.expect(130, "started\n")
	onlyTheConfig(t, w, nil)
	w.empty()
}

func TestPrivateExecInterruptedWhileItWaits(t *testing.T) {
	w := newWorld(t, settings{plugin: "[runners.autoscaler.plugin_config.boot]\ndistribution = \"constant\"\nvalue = \"10m\""}.String())
	p := w.private("--", "true")
	w.eventually("it waits", func() (bool, string) {
		return strings.Contains(p.stderr.String(), "waiting for a machine to boot"), p.stderr.String()
	})
	p.signal(syscall.SIGINT)
	p.expect(130, "")
	onlyTheConfig(t, w, nil)
	w.empty()
}

// TestPrivateExecAfterOneThatWasKilled: the next one takes up what was left, and leaves nothing.
func TestPrivateExecAfterOneThatWasKilled(t *testing.T) {
	w := newWorld(t, settings{}.String())
	killed := w.private("--", "sleep", "600")
	w.eventually("the command runs", func() (bool, string) {
		return len(record.Commands(w.entries())) > 0, killed.stderr.String()
	})
	killed.signal(syscall.SIGKILL)
	killed.wait()
	w.private("--", "echo", "again").expect(0, "again\n")
	onlyTheConfig(t, w, nil)
	w.empty()
}

func TestExecArguments(t *testing.T) {
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
		"ours":     {[]string{"sh", "-c", `echo "$TASKSCALER_KEY $TASKSCALER_SLOT"; test -n "$TASKSCALER_INSTANCE" && test "$TASKSCALER_USE" -ge 1`}, 0, "ours 0\n"},
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
	w := newWorld(t, settings{autoscaler: "max_instances = 1\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	w.start("exec", "--timeout", "1s", "--", "sleep", "600").refused(124, "--timeout")
	busy := w.exec("busy", "echo on; sleep 600")
	w.eventually("the slot is taken", func() (bool, string) { return busy.stdout.String() != "", busy.stderr.String() })
	w.start("exec", "--timeout", "1s", "--", "true").refused(124, "max_instances", "--timeout")
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
