package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// hang limits every wait of these tests. Only a hang reaches it: the tests wait for conditions and not for a time.
const hang = 2 * time.Minute

// world is a folder with a configuration, and all processes that use it.
type world struct {
	t       *testing.T
	dir     string
	config  string
	records string
}

// base is the configuration that most scenarios share. They add keys to [runners.autoscaler], plugin_config and the policy.
const base = `
concurrent = 100
log_level = "debug"
shutdown_timeout = %d
[[runners]]
name = "e2e"
executor = "instance"
[runners.autoscaler]
plugin = "fake"
update_interval = "500ms"
update_interval_when_expecting = "100ms"
shutdown_deletion_interval = "500ms"
%s
[runners.autoscaler.plugin_config]
record_dir = "records"
life_limit = "10m"
%s
[[runners.autoscaler.policy]]
%s
`

// settings holds what a scenario adds to base.
type settings struct {
	shutdownTimeout int    // seconds; 0: hang
	autoscaler      string // keys of [runners.autoscaler]; tables may follow
	plugin          string // keys of plugin_config; tables may follow
	policy          string
}

func (s settings) String() string {
	if s.shutdownTimeout == 0 {
		s.shutdownTimeout = int(hang / time.Second)
	}
	if s.policy == "" {
		s.policy = "idle_time = \"1h\"\npreemptive_mode = false"
	}
	if !strings.Contains(s.plugin, "boot") {
		s.plugin += "\n[runners.autoscaler.plugin_config.boot]\ndistribution = \"constant\"\nvalue = \"200ms\"\n"
	}
	return fmt.Sprintf(base, s.shutdownTimeout, s.autoscaler, s.plugin, s.policy)
}

// newWorld makes a folder with the configuration, and removes it and its processes after the test.
func newWorld(t *testing.T, config string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "ts-e2e-") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, config: filepath.Join(dir, "config.toml"), records: filepath.Join(dir, "records")}
	w.write("config.toml", config)
	if err := os.Mkdir(w.tmp(), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cleanUp)
	return w
}

// tmp returns the temporary folder of this world's processes. The tests check that nothing is left in it.
func (w *world) tmp() string { return filepath.Join(w.dir, "tmp") }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// cleanUp ends the processes that still run. Instances end when their folder is removed.
func (w *world) cleanUp() {
	if err := os.RemoveAll(filepath.Join(w.dir, ".taskscaler-fake")); err != nil {
		w.t.Error(err)
	}
	w.eventually("every process of the test is gone", func() (bool, string) {
		left := w.processes()
		return len(left) == 0, strings.Join(left, "\n")
	})
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Error(err)
	}
}

// processes lists the running processes of this world: its folder is their working directory, or is named in their command line or
// environment.
func (w *world) processes() []string {
	var found []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' || e.Name() == fmt.Sprint(os.Getpid()) {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		cmdline, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(proc, "stat"))
		if strings.HasPrefix(cwd, w.dir) || bytes.Contains(cmdline, []byte(w.dir)) {
			if _, after, _ := bytes.Cut(stat, []byte(") ")); bytes.HasPrefix(after, []byte("Z")) {
				continue // it has ended
			}
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// eventually waits for a condition. The text that the condition returns describes the current state.
func (w *world) eventually(what string, condition func() (bool, string)) {
	w.t.Helper()
	deadline := time.Now().Add(hang)
	for {
		ok, state := condition()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("this did not happen: %s: %s", what, state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// process is a running binary of taskscaler.
type process struct {
	w              *world
	name           string
	cmd            *exec.Cmd
	stdout, stderr lockedBuffer
	done           chan struct{}
	code           int
}

// start runs taskscaler with these arguments. Its environment has a runtime directory in this world's folder.
func (w *world) start(args ...string) *process {
	w.t.Helper()
	return w.startWith(func(*exec.Cmd) {}, args...)
}

func (w *world) startWith(adjust func(*exec.Cmd), args ...string) *process {
	w.t.Helper()
	p := &process{w: w, name: strings.Join(args, " "), done: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(bin, "taskscaler"), args...)
	p.cmd.Dir = w.dir
	p.cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+w.dir, "TMPDIR="+w.tmp())
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	adjust(p.cmd)
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.code = p.cmd.ProcessState.ExitCode()
		close(p.done)
	}()
	w.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if w.t.Failed() {
			w.t.Logf("stderr of %s (exit code %d):\n%s", p.name, p.code, tail(p.stderr.String()))
		}
	})
	return p
}

func tail(text string) string {
	const most = 6000
	if len(text) > most {
		return "…" + text[len(text)-most:]
	}
	return text
}

// wait waits for the end of the process and returns its exit code (-1: ended by a signal).
func (p *process) wait() int {
	p.w.t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(hang):
		p.w.t.Fatalf("%s did not end; stderr:\n%s", p.name, tail(p.stderr.String()))
		return 0
	}
}

// says waits until the process has printed this text to standard error.
func (p *process) says(text string) {
	p.w.t.Helper()
	p.w.eventually(p.name+" says "+text, func() (bool, string) { return strings.Contains(p.stderr.String(), text), p.stderr.String() })
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	p.w.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.w.t.Fatalf("signal %v to %s: %v", s, p.name, err)
	}
}

// expect checks the exit code and the standard output of a process that has ended.
func (p *process) expect(code int, stdout string) {
	p.w.t.Helper()
	if got := p.wait(); got != code {
		p.w.t.Errorf("%s: exit code %d, not %d; stderr:\n%s", p.name, got, code, tail(p.stderr.String()))
	}
	if got := p.stdout.String(); got != stdout {
		p.w.t.Errorf("%s: stdout %q, not %q", p.name, got, stdout)
	}
}

// refused checks that the process fails, with a message that contains all these words.
func (p *process) refused(code int, words ...string) {
	p.w.t.Helper()
	p.expect(code, "")
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			p.w.t.Errorf("%s: the message does not say %q:\n%s", p.name, word, tail(p.stderr.String()))
		}
	}
}

// timesOut runs exec with --timeout and checks that the message says why it waited. On a busy machine the time may pass before exec has asked
// for a lease. Then it is repeated with more time.
func (w *world) timesOut(argv []string, words ...string) {
	w.t.Helper()
	for patience := time.Second; ; patience *= 2 {
		p := w.start(append([]string{"exec", "--timeout", patience.String(), "--"}, argv...)...)
		p.expect(124, "")
		if patience > hang || strings.Contains(p.stderr.String(), words[0]) {
			p.refused(124, append(words, "--timeout")...)
			return
		}
	}
}

// manager starts the manager and waits until it serves.
func (w *world) manager() *process {
	w.t.Helper()
	p := w.start("run", "--config", w.config)
	w.serving(p)
	return p
}

// serving waits until the manager has the provider's first list.
func (w *world) serving(p *process) {
	w.t.Helper()
	w.eventually("the manager serves", func() (bool, string) {
		if !p.running() {
			w.t.Fatalf("the manager ended with exit code %d:\n%s", p.code, tail(p.stderr.String()))
		}
		f, err := w.ask()
		return err == nil && f.Started, fmt.Sprint(err)
	})
}

// exec starts a job through the running manager.
func (w *world) exec(key, script string) *process {
	w.t.Helper()
	return w.start("exec", "--key", key, "--", "sh", "-c", script)
}

// ask returns the output of `taskscaler status --json`.
func (w *world) ask() (*taskscaler.Status, error) {
	status, err := w.status()
	if err != nil {
		return nil, err
	}
	if len(status.Runners) != 1 || status.Runners[0].Fleet == nil {
		return nil, fmt.Errorf("status has %d runners: %+v", len(status.Runners), status)
	}
	return status.Runners[0].Fleet, nil
}

// status asks the running manager for its whole status.
func (w *world) status() (*control.Status, error) {
	cmd := exec.Command(filepath.Join(bin, "taskscaler"), "status", "--json")
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+w.dir)
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var status control.Status
	if err := json.Unmarshal(out, &status); err != nil {
		return nil, err
	}
	return &status, nil
}

// reloaded waits until the status shows the words in the problems of the latest reload.
func (w *world) reloaded(words ...string) {
	w.t.Helper()
	w.eventually("the reload is in the status", func() (bool, string) {
		s, err := w.status()
		if err != nil || s.Reload == nil {
			return false, fmt.Sprintf("%v, %+v", err, s)
		}
		text := strings.Join(s.Reload.Problems, "\n")
		for _, word := range words {
			if !strings.Contains(text, word) {
				return false, text
			}
		}
		return true, text
	})
}

// mustAsk does the same as ask, and fails the test on an error.
func (w *world) mustAsk() *taskscaler.Status {
	w.t.Helper()
	f, err := w.ask()
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// fleet waits for a status that meets the condition, and returns it.
func (w *world) fleet(what string, condition func(*taskscaler.Status) bool) *taskscaler.Status {
	w.t.Helper()
	var f *taskscaler.Status
	w.eventually(what, func() (bool, string) {
		var err error
		if f, err = w.ask(); err != nil {
			return false, err.Error()
		}
		text, _ := json.Marshal(f)
		return condition(f), string(text)
	})
	return f
}

// waitsFor reports whether a caller waits for this cause.
func waitsFor(f *taskscaler.Status, cause string) bool {
	return f.Waiting.Cause == cause || slices.ContainsFunc(f.Waiters, func(ws taskscaler.WaitStatus) bool { return ws.Cause == cause })
}

// refusedAtFirst starts a job and waits until it waits for this cause. The provider refuses creates only in its first seconds. If a busy
// machine asked later, it starts again with another provider group and another manager, which it returns.
func (w *world) refusedAtFirst(m *process, cause string) (job, last *process) {
	w.t.Helper()
	for began := time.Now(); ; {
		job = w.exec("job", "echo fine")
		refused := false
		w.eventually("the job waits for "+cause+" or has ended", func() (bool, string) {
			f, err := w.ask()
			refused = err == nil && waitsFor(f, cause)
			return refused || !job.running(), fmt.Sprint(err)
		})
		if refused {
			return job, m
		}
		job.expect(0, "fine\n")
		if time.Since(began) > hang {
			w.t.Fatalf("no create was refused: nobody waited for %s", cause)
		}
		m.signal(syscall.SIGKILL)
		m.wait()
		w.must(os.RemoveAll(filepath.Join(w.dir, ".taskscaler-fake")))
		w.must(os.RemoveAll(filepath.Join(w.dir, ".taskscaler")))
		m = w.manager()
	}
}

// place is the instance and the slot of a lease.
type place struct {
	instance string
	slot     int
}

// places returns the places of the leases by key.
func places(f *taskscaler.Status) map[string]place {
	out := map[string]place{}
	for _, i := range f.Instances {
		for _, l := range i.Leases {
			out[l.Key] = place{i.ID, l.Slot}
		}
	}
	return out
}

// entries returns the records of the instances.
func (w *world) entries() []record.Entry {
	w.t.Helper()
	entries, err := record.ReadDir(w.records)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return entries
}

// created returns the number of instances in the records.
func (w *world) created() int {
	n := 0
	for _, e := range w.entries() {
		if e.Event == record.Created {
			n++
		}
	}
	return n
}

// sound checks that no slot was used twice at the same time.
func (w *world) sound() {
	w.t.Helper()
	for _, fault := range record.Check(w.entries()) {
		w.t.Error(fault)
	}
}

// empty checks that no instance is left, in the records and in the folders.
func (w *world) empty() {
	w.t.Helper()
	if alive := record.Alive(w.entries()); len(alive) > 0 {
		w.t.Errorf("instances are left: %q", alive)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".taskscaler-fake", "*", "*")); len(left) > 0 {
		w.t.Errorf("folders of instances are left: %q", left)
	}
}

// drained stops the manager with SIGTERM and checks its exit code.
func (p *process) drained() {
	p.w.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.w.t.Errorf("the manager's exit code is %d:\n%s", code, tail(p.stderr.String()))
	}
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
