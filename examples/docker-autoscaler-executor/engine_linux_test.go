package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// dockerd is a Docker engine of its own, with its own data, sockets and namespaces. It is the first process of a PID namespace and in a mount
// namespace, so when the process that made them ends, the kernel ends the engine, its containers and its mounts with it.
type dockerd struct {
	dir    string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has ended
	log    *os.File
	client *client.Client
}

func (d *dockerd) socket() string { return filepath.Join(d.dir, "docker.sock") }

// Images of the engine.
const (
	busyboxImage = "test/busybox:1"
	noShellImage = "test/noshell:1" // has no program at all
	volumeImage  = "test/volume:1"  // has an anonymous volume, /data
)

// errNoEngine means that an engine cannot run here; the tests that need one are skipped.
var errNoEngine = errors.New("a Docker engine cannot run here")

func noEngine(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNoEngine, fmt.Sprintf(format, args...))
}

// program finds a binary also where only root has its PATH.
func program(name string) (string, bool) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/local/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, true
		}
	}
	return "", false
}

// startDockerd starts an engine, and imports the images. Containers have no network: an engine with a bridge changes the firewall of this machine.
func startDockerd() (_ *dockerd, err error) {
	if os.Geteuid() != 0 {
		return nil, noEngine("it needs root")
	}
	bin, ok := program("dockerd")
	if !ok {
		return nil, noEngine("dockerd is not installed; to run this test: apt-get install docker.io busybox-static")
	}
	busybox, err := staticBusybox()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dockerd-") // a short path: the name of a socket has at most 108 bytes
	if err != nil {
		return nil, err
	}
	d := &dockerd{dir: dir}
	defer func() {
		if err != nil {
			_ = d.stop()
		}
	}()
	if d.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	d.cmd = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", bin, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--host", "unix://"+d.socket(), "--pidfile", filepath.Join(dir, "pid"), "--storage-driver", "vfs",
		"--bridge", "none", "--iptables=false", "--ip6tables=false")
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // also if the test itself is killed
	if err := d.cmd.Start(); err != nil {
		return nil, noEngine("start it: %v", err)
	}
	d.ended = make(chan struct{})
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	if err := d.await(); err != nil {
		return nil, err
	}
	if err := d.load(busyboxImage, busybox); err != nil {
		return nil, err
	}
	if err := d.load(noShellImage, nil); err != nil {
		return nil, err
	}
	if err := d.load(volumeImage, busybox, "VOLUME /data"); err != nil {
		return nil, err
	}
	return d, nil
}

// await waits until the engine answers.
func (d *dockerd) await() (err error) {
	if d.client, err = client.New(client.WithHost("unix://" + d.socket())); err != nil {
		return err
	}
	for limit := time.Now().Add(30 * time.Second); ; {
		if _, err = d.client.Ping(context.Background(), client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			return nil
		}
		select {
		case <-d.ended:
			return noEngine("dockerd ended: %s", d.said())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return noEngine("dockerd does not answer: %v: %s", err, d.said())
		}
	}
}

// said returns the last line of the log.
func (d *dockerd) said() string {
	text, _ := os.ReadFile(d.log.Name())
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// stop ends the engine in good order, else with force, and removes everything of it.
func (d *dockerd) stop() error {
	if d.client != nil {
		_ = d.client.Close()
	}
	if d.ended != nil {
		d.terminate()
	}
	if d.log != nil {
		_ = d.log.Close()
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), " "+d.dir+"/") {
		return fmt.Errorf("mounts below %s are left", d.dir)
	}
	return os.RemoveAll(d.dir)
}

// stopTime is how long the engine may take to end its containers and itself.
const stopTime = 20 * time.Second

// terminate asks the engine, which is the child of the process that we started, to end.
func (d *dockerd) terminate() {
	parent := d.cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	for _, child := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	select {
	case <-d.ended:
	case <-time.After(stopTime):
	}
	d.kill()
}

// kill ends the engine at once, with its containers.
func (d *dockerd) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// layer returns the files of an image as a tar. busybox may be nil.
func layer(busybox []byte) ([]byte, error) {
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	_ = w.WriteHeader(&tar.Header{Name: "tmp/", Mode: 0o777, Typeflag: tar.TypeDir})
	if busybox != nil {
		_ = w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(busybox)), Typeflag: tar.TypeReg})
		_, _ = w.Write(busybox)
		for _, applet := range []string{"sh", "sleep", "cat", "ls", "echo", "id"} {
			_ = w.WriteHeader(&tar.Header{Name: "bin/" + applet, Linkname: "busybox", Typeflag: tar.TypeSymlink})
		}
	}
	err := w.Close()
	return files.Bytes(), err
}

// load imports an image. changes are lines of a Dockerfile.
func (d *dockerd) load(name string, busybox []byte, changes ...string) error {
	files, err := layer(busybox)
	if err != nil {
		return err
	}
	from := client.ImageImportSource{Source: bytes.NewReader(files), SourceName: "-"}
	answer, err := d.client.ImageImport(context.Background(), from, name, client.ImageImportOptions{Changes: changes})
	if err != nil {
		return fmt.Errorf("import %s: %w", name, err)
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

func staticBusybox() ([]byte, error) {
	path, ok := program("busybox")
	if !ok {
		return nil, noEngine("there is no busybox for its images; to run this test: apt-get install busybox-static")
	}
	return os.ReadFile(path)
}

// shared is the engine of most tests. TestMain stops it.
var shared = struct {
	sync.Mutex
	engine *dockerd
	err    error
}{}

// sharedDockerd returns the engine of all tests, or skips the test.
func sharedDockerd(t *testing.T) *dockerd {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.engine == nil && shared.err == nil {
		shared.engine, shared.err = startDockerd()
	}
	skipWithout(t, shared.err)
	return shared.engine
}

func skipWithout(t *testing.T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errNoEngine):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.engine != nil {
		if err := shared.engine.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the engine:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// containers returns the names of the containers of an instance, in whatever state.
func (d *dockerd) containers(t *testing.T, instance string) (names []string) {
	t.Helper()
	filters := make(client.Filters).Add("label", instanceLabel+"="+instance)
	list, err := d.client.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Items {
		for _, name := range c.Names {
			names = append(names, strings.TrimPrefix(name, "/"))
		}
	}
	return names
}
