package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/taskscaler/taskscaler/examples/runner"
)

// stage is a fleet whose instances have a real Docker engine behind a real SSH server, and the executor on it.
type stage struct {
	t      *testing.T
	engine *dockerd
	sshd   *sshd
	fleet  string // the instances are this name with -1, -2, -3
	runner *runner.Runner
	out    lockedBuffer
	errs   lockedBuffer
	notes  lockedBuffer
}

// lockedBuffer is a buffer that may be read while it is written. It calls first when it gets its first bytes.
type lockedBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	first func()
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first != nil {
		b.first()
		b.first = nil
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newStage(t *testing.T, engine *dockerd, executor Executor, sshOptions ...string) *stage {
	t.Helper()
	s := &stage{t: t, engine: engine, sshd: startSSHD(t, sshOptions...)}
	manager, name := startManager(t, s.sshd)
	s.fleet = name
	executor.Socket = engine.socket()
	if executor.PullPolicy == "" {
		executor.PullPolicy = never
	}
	s.runner = &runner.Runner{Manager: manager, Executor: &executor, Stdout: &s.out, Stderr: &s.errs, Note: func(sentence string) {
		t.Log(sentence)
		_, _ = s.notes.Write([]byte(sentence + "\n"))
	}}
	return s
}

func job(script ...string) *runner.Job {
	return &runner.Job{ID: "j", Script: script, Image: busyboxImage, Timeout: time.Minute}
}

// clean fails the test if a container of the fleet is left.
func (s *stage) clean() {
	s.t.Helper()
	for _, instance := range []string{"-1", "-2", "-3"} {
		if left := s.engine.containers(s.t, s.fleet+instance); len(left) > 0 {
			s.t.Errorf("containers that are left: %v", left)
		}
	}
}

func TestJobInContainer(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, sharedDockerd(t), Executor{Volumes: []string{cache + ":/cache"}})
	j := job("echo $A", "echo oops >&2", "cat", "echo kept >/cache/file")
	j.Env = map[string]string{"A": "a'b $HOME"}
	if err := s.runner.Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if s.out.String() != "a'b $HOME\n" || s.errs.String() != "oops\n" {
		t.Errorf("stdout %q, stderr %q", &s.out, &s.errs)
	}
	if kept, err := os.ReadFile(filepath.Join(cache, "file")); err != nil || string(kept) != "kept\n" {
		t.Errorf("%q, %v", kept, err)
	}
	s.clean()
}

// TestVolumesAfterAJob: what a job writes into the anonymous volumes of its image goes with its container. A volume with a name stays for the next job.
func TestVolumesAfterAJob(t *testing.T) {
	t.Parallel()
	engine := sharedDockerd(t)
	s := newStage(t, engine, Executor{Volumes: []string{"kept:/kept"}})
	var anonymous []string
	s.out.first = func() {
		for _, name := range engine.containers(t, s.fleet+"-1") {
			c, err := engine.client.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
			if err != nil {
				t.Error(err)
			}
			for _, m := range c.Container.Mounts {
				if m.Destination == "/data" {
					anonymous = append(anonymous, m.Name)
				}
			}
		}
	}
	j := job("echo more >/data/file", "echo running")
	j.Image = volumeImage
	if err := s.runner.Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = engine.client.VolumeRemove(context.Background(), "kept", client.VolumeRemoveOptions{}) }()
	if len(anonymous) != 1 {
		t.Fatalf("the container had the anonymous volumes %q, want one", anonymous)
	}
	if _, err := engine.client.VolumeInspect(t.Context(), anonymous[0], client.VolumeInspectOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("after the job its anonymous volume is left: %v", err)
	}
	if _, err := engine.client.VolumeInspect(t.Context(), "kept", client.VolumeInspectOptions{}); err != nil {
		t.Errorf("after the job the volume with a name: %v", err)
	}
}

// TestStreams sends more than any buffer holds through both streams.
func TestStreams(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	if err := s.runner.Run(t.Context(), job(`i=0; while [ $i -lt 20000 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done`)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.out.String(), "out "); n != 20000 || !strings.HasSuffix(s.out.String(), "\nout 19999\n") {
		t.Errorf("%d lines of stdout", n)
	}
	if n := strings.Count(s.errs.String(), "err "); n != 20000 || !strings.HasSuffix(s.errs.String(), "\nerr 19999\n") {
		t.Errorf("%d lines of stderr", n)
	}
}

// TestOutputAfterExit: a container that has ended may have output that is not read yet.
func TestOutputAfterExit(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	s.out.first = func() { // the reader is so slow
		name := s.engine.containers(t, s.fleet+"-1")[0]
		for running := true; running; {
			c, err := s.engine.client.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
			running = err == nil && c.Container.State.Running
		}
	}
	if err := s.runner.Run(t.Context(), job(`i=0; while [ $i -lt 2000 ]; do echo "out $i"; i=$((i+1)); done`)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(s.out.String(), "out "); n != 2000 {
		t.Errorf("%d lines of 2000", n)
	}
}

// TestJobFails: each of these is the job's own fault, so no other instance is tried.
func TestJobFails(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{AllowedImages: []string{"test/*:1"}})
	for name, c := range map[string]struct {
		job  func(j *runner.Job)
		code int
		says string
	}{
		"exit code":       {func(j *runner.Job) { j.Script = []string{"exit 9"} }, 9, "exit code 9"},
		"killed":          {func(j *runner.Job) { j.Script = []string{"sh -c 'kill -9 $$'"} }, 137, "exit code 137"},
		"time-out":        {func(j *runner.Job) { j.Script, j.Timeout = []string{"sleep 600 & sleep 600"}, 2*time.Second }, 0, "time-out of 2s"},
		"forbidden image": {func(j *runner.Job) { j.Image = "evil/busybox:1" }, 0, `"evil/busybox:1" is not allowed: use an image that matches test/*:1`},
		"absent image":    {func(j *runner.Job) { j.Image = "test/absent:1" }, 0, "test/absent:1 is not on the instance, and -pull-policy is never"},
		"no shell":        {func(j *runner.Job) { j.Image = noShellImage }, 0, "it needs a POSIX shell"},
	} {
		j := job("true")
		c.job(j)
		err := s.runner.Run(t.Context(), j)
		var build *runner.BuildError
		if !errors.As(err, &build) || build.ExitCode != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%T), want exit code %d and %q", name, err, err, c.code, c.says)
		}
		s.clean()
	}
	if strings.Contains(s.notes.String(), "another instance") {
		t.Errorf("a job was tried again:\n%s", &s.notes)
	}
}

// TestCancelLeavesNoContainer cancels a job in its script, and others at all times of their preparation.
func TestCancelLeavesNoContainer(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	cancelled := func(delay time.Duration) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if delay < 0 {
			s.out.first = cancel
		} else {
			defer time.AfterFunc(delay, cancel).Stop()
		}
		err := s.runner.Run(ctx, job("echo on", "sleep 600 & sleep 600"))
		var stopped *runner.CancelledError
		if !errors.As(err, &stopped) || !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v (%T)", err, err)
		}
		s.clean()
	}
	cancelled(-1)
	if s.out.String() != "on\n" {
		t.Errorf("stdout = %q", &s.out)
	}
	for delay := time.Duration(0); delay < 400*time.Millisecond; delay += 25 * time.Millisecond {
		cancelled(delay)
	}
}

// TestLeftContainers: a job removes what an executor that was killed left on its slot, and nothing else.
func TestLeftContainers(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	leave := func(slot string) string {
		made, err := s.engine.client.ContainerCreate(t.Context(), client.ContainerCreateOptions{Config: &container.Config{
			Image: busyboxImage, Entrypoint: []string{"sleep", "600"}, Labels: map[string]string{instanceLabel: s.fleet + "-1", slotLabel: slot},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.engine.client.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	mine, other := leave("0"), leave("1")
	defer func() {
		_, _ = s.engine.client.ContainerRemove(context.Background(), other, client.ContainerRemoveOptions{Force: true})
	}()
	if err := s.runner.Run(t.Context(), job("true")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.client.ContainerInspect(t.Context(), mine, client.ContainerInspectOptions{}); err == nil {
		t.Error("the container of this slot is left")
	}
	if c, err := s.engine.client.ContainerInspect(t.Context(), other, client.ContainerInspectOptions{}); err != nil || !c.Container.State.Running {
		t.Errorf("the container of another slot: %+v, %v", c, err)
	}
}

// TestSecretsAreNotInspected: nothing of the script or its variables is in what the engine tells about the container.
func TestSecretsAreNotInspected(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	var seen []byte
	s.out.first = func() {
		for _, name := range s.engine.containers(t, s.fleet+"-1") {
			c, err := s.engine.client.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, c.Raw...)
		}
	}
	j := job("echo on")
	j.Env = map[string]string{"TOKEN": "hidden-value"}
	if err := s.runner.Run(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(seen, []byte(s.fleet)) || bytes.Contains(seen, []byte("hidden-value")) {
		t.Errorf("the engine shows the variable, or nothing:\n%s", seen)
	}
}

// TestWithoutForwarding: an SSH server that forwards no sockets leaves the docker command.
func TestWithoutForwarding(t *testing.T) {
	t.Parallel()
	if _, ok := program("docker"); !ok {
		t.Skip("the docker command is not installed; to run this test: apt-get install docker.io")
	}
	s := newStage(t, sharedDockerd(t), Executor{}, "AllowStreamLocalForwarding no")
	if err := s.runner.Run(t.Context(), job("echo hello", "exit 3")); !strings.Contains(err.Error(), "exit code 3") || s.out.String() != "hello\n" {
		t.Errorf("stdout %q, %v", &s.out, err)
	}
	s.clean()
}

// TestNoEngine: an instance without an engine is not the job's fault, and others are tried.
func TestNoEngine(t *testing.T) {
	t.Parallel()
	engine := sharedDockerd(t)
	s := newStage(t, engine, Executor{})
	s.runner.Executor = &Executor{PullPolicy: never, Socket: "/nowhere/docker.sock"}
	err := s.runner.Run(t.Context(), job("true"))
	var system *runner.SystemError
	var unreached *EngineError
	if !errors.As(err, &system) || system.Started || !errors.As(err, &unreached) {
		t.Fatalf("err = %v (%T)", err, err)
	}
	for _, text := range []string{"/nowhere/docker.sock", "dial-stdio", "group docker", "-socket"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
	if n := strings.Count(s.notes.String(), "has slot"); n != 3 {
		t.Errorf("%d instances were tried, want 3", n)
	}
}

// lost runs a job whose instance or engine goes away after its first output.
func (s *stage) lost(t *testing.T, lose func()) {
	t.Helper()
	s.out.first = lose
	s.runner.Tidy = 10 * time.Second
	err := s.runner.Run(t.Context(), job("echo on", "sleep 600"))
	t.Log(err)
	var system *runner.SystemError
	if !errors.As(err, &system) || !system.Started {
		t.Fatalf("err = %v (%T), want a system failure of a job that was started", err, err)
	}
	if n := strings.Count(s.notes.String(), "has slot"); n != 1 {
		t.Errorf("the job was tried %d times", n)
	}
}

// TestInstanceVanishes: nobody can remove the container of an instance that is gone.
func TestInstanceVanishes(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	s.lost(t, s.sshd.kill)
	left := s.engine.containers(t, s.fleet+"-1")
	if len(left) != 1 {
		t.Errorf("%v is left on the instance that vanished", left)
	}
	for _, name := range left {
		_, _ = s.engine.client.ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true})
	}
}

// TestConnectionBreaks: the instance is still there, so the container is removed over a new connection.
func TestConnectionBreaks(t *testing.T) {
	t.Parallel()
	s := newStage(t, sharedDockerd(t), Executor{})
	s.lost(t, func() { s.sshd.cut(t) })
	s.clean()
	if err := s.runner.Run(t.Context(), job("true")); err != nil {
		t.Errorf("the next job: %v", err)
	}
	if strings.Contains(s.notes.String(), s.fleet+"-2") {
		t.Errorf("the instance was given up, and it works:\n%s", &s.notes)
	}
}

// TestEngineEnds: containers end with their engine, which is not the fault of their jobs.
func TestEngineEnds(t *testing.T) {
	for name, end := range map[string]func(*dockerd){"it is killed": (*dockerd).kill, "it is shut down": (*dockerd).terminate} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine, err := startDockerd()
			skipWithout(t, err)
			t.Cleanup(func() {
				if err := engine.stop(); err != nil {
					t.Error(err)
				}
			})
			s := newStage(t, engine, Executor{})
			s.lost(t, func() { go end(engine) })
		})
	}
}
