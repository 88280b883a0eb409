package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/examples/runner"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// TestMain builds the fake plugin into a folder in which every fleet looks for it.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		bin, err := os.MkdirTemp("", "instance-executor-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(bin) }()
		build := exec.Command("go", "build", "-o", bin+"/", ".", "../../plugins/fake/cmd/fleeting-plugin-fake")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the plugin and the example: %v\n%s", err, out)
			return 1
		}
		_ = os.Setenv("TASKSCALER_PLUGIN_PATH", bin)
		return m.Run()
	}())
}

// result is how a job ended.
type result struct {
	code           int
	stdout, stderr string
}

// run runs the command with a job as its standard input.
func run(ctx context.Context, job string, args ...string) result {
	var stdout, stderr bytes.Buffer
	c := command()
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(job), &stdout, &stderr
	code := c.Run(ctx, append(args, "-"))
	return result{code, stdout.String(), stderr.String()}
}

func (r result) expect(t *testing.T, code int, stdout string, says ...string) {
	t.Helper()
	if r.code != code || r.stdout != stdout {
		t.Errorf("exit code %d, stdout %q; want %d, %q\n%s", r.code, r.stdout, code, stdout, r.stderr)
	}
	for _, text := range says {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("stderr does not say %q:\n%s", text, r.stderr)
		}
	}
}

func TestJobs(t *testing.T) {
	t.Run("success", func(t *testing.T) {
		t.Parallel()
		r := run(t.Context(), `{"script": ["echo $A", "echo oops >&2", "basename $PWD", "ls -A", "touch x; mkdir d; chmod 0 d"], "env": {"A": "a'b c"}}`)
		r.expect(t, 0, "a'b c\nslot-0\n", "\noops\n", "the job succeeded")
	})
	t.Run("exit code", func(t *testing.T) {
		t.Parallel()
		run(t.Context(), `{"script": ["echo on", "exit 42", "echo off"]}`).expect(t, 42, "on\n", "exit code 42")
	})
	t.Run("killed by itself", func(t *testing.T) {
		t.Parallel()
		run(t.Context(), `{"script": ["kill -9 $$"]}`).expect(t, 137, "", "exit code 137")
	})
	t.Run("another shell", func(t *testing.T) {
		t.Parallel()
		run(t.Context(), `{"script": ["a=(x y)", "echo ${a[1]}"]}`, "-shell", "bash").expect(t, 0, "y\n")
	})
	t.Run("no such shell", func(t *testing.T) {
		t.Parallel()
		r := run(t.Context(), `{"script": ["true"]}`, "-shell", "zzsh")
		r.expect(t, runner.ExitSystem, "", "the shell zzsh is not installed", "the job was not started")
		if n := strings.Count(r.stderr, "has slot 0"); n != 3 {
			t.Errorf("it was tried on %d instances, want 3:\n%s", n, r.stderr)
		}
	})
	t.Run("time-out", func(t *testing.T) {
		t.Parallel()
		r := run(t.Context(), `{"script": ["echo $$", "sleep 600 & echo $!", "wait"], "timeout": "1s"}`)
		r.expect(t, runner.ExitTimeout, r.stdout, `time-out of 1s`)
		gone(t, r.stdout, 2)
	})
	t.Run("wrong input", func(t *testing.T) {
		t.Parallel()
		run(t.Context(), `{"scirpt": ["true"]}`).expect(t, runner.ExitUsage, "", `unknown key "scirpt"`)
		run(t.Context(), `{"script": ["true"]}`, "-shell", "sh; id").expect(t, runner.ExitUsage, "", `-shell "sh; id"`)
		run(t.Context(), `{"script": ["true"]}`, "-config", "/no/such/file").expect(t, runner.ExitUsage, "", "/no/such/file")
		run(t.Context(), `{"script": ["true"], "image": "x"}`).expect(t, runner.ExitRefused, "", `key "image"`)
		run(t.Context(), `{"script": ["true"], "id": "a\nb"}`).expect(t, runner.ExitUsage, "", `key "id"`)
	})
}

// gone checks that the processes whose ids a job printed have ended.
func gone(t *testing.T, printed string, n int) {
	t.Helper()
	pids := strings.Fields(printed)
	if len(pids) != n {
		t.Fatalf("the job printed %q, want %d process ids", printed, n)
	}
	for _, pid := range pids {
		if state, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil && !bytes.Contains(state, []byte(") Z ")) {
			t.Errorf("process %s still runs: %s", pid, state)
		}
	}
}

// TestSignal runs the real program, and ends it as systemd does.
func TestSignal(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := exec.Command(filepath.Join(os.Getenv("TASKSCALER_PLUGIN_PATH"), "instance-executor"), "-")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stdin = strings.NewReader(`{"script": ["echo $$", "sleep 600 & echo $!", "wait"]}`)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, _ := lines.ReadString('\n')
	second, err := lines.ReadString('\n')
	if err != nil {
		t.Errorf("the job did not start: %v", err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, lines)
	_ = cmd.Wait()
	r := result{cmd.ProcessState.ExitCode(), "", stderr.String()}
	r.expect(t, runner.ExitCancelled, "", "the job was cancelled: terminated")
	gone(t, first+second, 2)
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("files that are left: %v, %v", left, err)
	}
}

// fleet starts a manager as the command does, and a runner on it.
func fleet(t *testing.T, executor runner.Executor, replace ...string) (*runner.Runner, *output) {
	t.Helper()
	config, err := os.ReadFile("../runner/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet.toml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(string(config))), 0o600); err != nil {
		t.Fatal(err)
	}
	manager, err := runner.StartFleet(t.Context(), path, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := manager.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	out := &output{}
	return &runner.Runner{Manager: manager, Executor: executor, Stdout: out, Stderr: io.Discard, Note: func(s string) { out.note(t, s) }}, out
}

// output keeps what a job printed, and calls a function at its first line.
type output struct {
	mu    sync.Mutex
	text  string
	notes []string
	first func(line string)
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text += string(p)
	if line, _, ok := strings.Cut(o.text, "\n"); ok && o.first != nil {
		o.first(line)
		o.first = nil
	}
	return len(p), nil
}

func (o *output) note(t *testing.T, s string) {
	o.notes = append(o.notes, s)
	t.Log(s)
}

func signalTo(t *testing.T, sig syscall.Signal) func(line string) {
	return func(line string) {
		pid, err := strconv.Atoi(line)
		if err == nil {
			err = syscall.Kill(pid, sig)
		}
		if err != nil {
			t.Errorf("signal the instance: %v", err)
		}
	}
}

// printInstance prints the id of the process that is the instance: the parent of the login shell of the script's shell.
const printInstance = `awk '{print $4}' /proc/$PPID/stat`

func runOptions(command string, out io.Writer) connector.RunOptions {
	return connector.RunOptions{Command: command, Stdout: out}
}

// TestInstanceIsLost ends an instance under its job, in three ways. Each is a system failure, and the job is not repeated.
func TestInstanceIsLost(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"it vanishes": syscall.SIGKILL, "it shuts down": syscall.SIGTERM, "it freezes": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, out := fleet(t, Executor{Shell: "sh"}, `keepalive = "5s"`, `keepalive = "500ms"`)
			r.Tidy = 4 * time.Second
			out.first = signalTo(t, sig)
			err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{printInstance, "sleep 600"}, Timeout: time.Minute})
			var system *runner.SystemError
			if !errors.As(err, &system) || !system.Started {
				t.Fatalf("err = %v (%T), want a system failure of a job that was started", err, err)
			}
			t.Log(err)
			if strings.Count(strings.Join(out.notes, "\n"), "has slot") != 1 {
				t.Errorf("notes: %q", out.notes)
			}
			ok := r.Run(t.Context(), &runner.Job{ID: "next", Script: []string{"true"}, Timeout: time.Minute})
			if ok != nil {
				t.Errorf("the next job: %v", ok)
			}
		})
	}
}

// TestTimeoutOfFrozenInstance: a job that cannot be ended, because its instance does not answer, is not to blame for its time-out.
func TestTimeoutOfFrozenInstance(t *testing.T) {
	t.Parallel()
	r, out := fleet(t, Executor{Shell: "sh"})
	r.Tidy = 2 * time.Second
	out.first = signalTo(t, syscall.SIGSTOP)
	err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{printInstance, "sleep 600"}, Timeout: 2 * time.Second})
	var system *runner.SystemError
	if !errors.As(err, &system) || !system.Started {
		t.Fatalf("err = %v (%T), want a system failure", err, err)
	}
}

// killer ends the first instance before the job is prepared there, or after that.
type killer struct {
	Executor
	after bool
	once  sync.Once
	kill  func(line string)
}

func (k *killer) Prepare(ctx context.Context, on *runner.Instance, job *runner.Job) error {
	if k.after {
		if err := k.Executor.Prepare(ctx, on, job); err != nil {
			return err
		}
		k.once.Do(func() { k.lose(ctx, on) })
		return nil
	}
	k.once.Do(func() { k.lose(ctx, on) })
	return k.Executor.Prepare(ctx, on, job)
}

// lose ends the instance, and waits until this side knows it.
func (k *killer) lose(ctx context.Context, on *runner.Instance) {
	var out bytes.Buffer
	_ = on.Client.Run(ctx, runOptions("echo $PPID", &out))
	k.kill(strings.TrimSpace(out.String()))
	for on.Client.Run(ctx, runOptions("true", io.Discard)) == nil {
		time.Sleep(time.Millisecond)
	}
}

// TestJobMovesToAnotherInstance: only a job that certainly did not begin is tried again.
func TestJobMovesToAnotherInstance(t *testing.T) {
	for name, after := range map[string]bool{"in its preparation": false, "before its script": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, out := fleet(t, &killer{Executor: Executor{Shell: "sh"}, after: after, kill: signalTo(t, syscall.SIGKILL)})
			if err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{"echo done"}, Timeout: time.Minute}); err != nil {
				t.Fatal(err)
			}
			if out.text != "done\n" || strings.Count(strings.Join(out.notes, "\n"), "has slot") != 2 {
				t.Errorf("it printed %q; notes: %q", out.text, out.notes)
			}
		})
	}
}

// TestNoCapacity: a runner leaves the job to others.
func TestNoCapacity(t *testing.T) {
	t.Parallel()
	r, _ := fleet(t, Executor{Shell: "sh"}, "max_instances = 3", "max_instances = 1")
	if _, err := r.Manager.Acquire(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{"true"}, Timeout: time.Minute})
	var system *runner.SystemError
	if !errors.As(err, &system) || system.Started || !errors.Is(err, taskscaler.ErrNoCapacity) {
		t.Errorf("err = %v (%T), want a system failure for want of capacity", err, err)
	}

	// With patience, it waits for capacity.
	r.Patience = time.Minute
	r.Note = func(sentence string) {
		if strings.Contains(sentence, "waits") {
			if err := r.Manager.Release(context.Background(), "other"); err != nil {
				t.Error(err)
			}
		}
	}
	if err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{"true"}, Timeout: time.Minute}); err != nil {
		t.Errorf("err = %v", err)
	}
}

// TestLeftovers: a job finds an empty folder, whatever an executor that was killed left there.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	r, out := fleet(t, &litterer{Executor: Executor{Shell: "sh"}})
	if err := r.Run(t.Context(), &runner.Job{ID: "j", Script: []string{"ls -A", "echo end"}, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if out.text != "end\n" {
		t.Errorf("it printed %q", out.text)
	}
}

type litterer struct{ Executor }

func (l *litterer) Prepare(ctx context.Context, on *runner.Instance, job *runner.Job) error {
	litter := "mkdir -p builds/slot-0/a/b && echo x >builds/slot-0/a/b/c && chmod 500 builds/slot-0/a/b"
	if err := on.Client.Run(ctx, runOptions(litter, io.Discard)); err != nil {
		return err
	}
	return l.Executor.Prepare(ctx, on, job)
}
