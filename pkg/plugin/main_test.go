package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/leakcheck"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

const envHost = "TASKSCALER_TEST_AS_HOST" // the path of a plugin; makes this test binary a host process

// envStarved makes this test binary a host that has few descriptors; see actStarved.
const envStarved = "TASKSCALER_TEST_AS_STARVED_HOST"

// hang bounds everything that a test of this package waits for, and every time limit of the product that must not pass in that test.
// Only a hang reaches it: it is far longer than a busy machine needs.
const hang = 2 * time.Minute

// testPlugin is the built test plugin; TestMain sets it.
var testPlugin string

func TestMain(m *testing.M) {
	if path := os.Getenv(envHost); path != "" {
		actAsHost(path)
		return
	}
	if path := os.Getenv(envStarved); path != "" {
		actStarved(path)
		return
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plugin-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Socket folders are created here, apart from those of other programs.
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	testPlugin = filepath.Join(dir, "fleeting-plugin-test")
	if out, err := exec.Command("go", "build", "-o", testPlugin, "./internal/testplugin").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the test plugin: %v\n%s", err, out)
		return 1
	}
	os.Setenv("TMPDIR", filepath.Join(dir, "tmp"))
	code := m.Run()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // the fuzzer kills its workers, so they leave their folders; dir goes with all of them
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); code == 0 && !fuzzing && (err != nil || len(left) > 0) {
		fmt.Fprintln(os.Stderr, "left behind in the temporary folder:", left, err)
		code = 1
	}
	if err := leakcheck.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// actAsHost starts a plugin, prints its process id and waits until it is killed.
func actAsHost(path string) {
	p, err := plugin.Launch(context.Background(), plugin.LaunchOptions{
		Path: path, Config: json.RawMessage(os.Getenv("PLUGIN_CONFIG")), StartTimeout: hang,
	})
	if err == nil {
		_, err = p.Init(context.Background(), nil, provider.Settings{})
	}
	fmt.Println(p.Status().PID, err)
	select {}
}

// buffer is a bytes.Buffer that is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// quick returns options for the test plugin: it is started again soon, and a slow plugin does not count as dead.
func quick(config string) plugin.LaunchOptions {
	return plugin.WithExitGrace(plugin.LaunchOptions{
		Path: testPlugin, Config: json.RawMessage(config), RelaunchMin: 10 * time.Millisecond, RelaunchMax: 200 * time.Millisecond,
		StartTimeout: hang, ShutdownTimeout: hang, PingInterval: time.Hour, PingTimeout: hang,
	}, hang)
}

// impatient returns options for a plugin that the test freezes: it is killed when it does not answer for a second.
func impatient(config string) plugin.LaunchOptions {
	opts := quick(config)
	opts.PingTimeout = 500 * time.Millisecond
	return opts
}

// launch starts a plugin. It is closed at the end of the test.
func launch(t testing.TB, opts plugin.LaunchOptions) *plugin.Process {
	t.Helper()
	p, err := plugin.Launch(t.Context(), opts)
	if err != nil {
		t.Fatalf("Launch: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return p
}

// start launches and initialises a plugin.
func start(t testing.TB, opts plugin.LaunchOptions) *plugin.Process {
	t.Helper()
	p := launch(t, opts)
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatalf("Init: %v", err)
	}
	return p
}

// until polls for what a process does; what says what the test waits for.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hang); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", hang, what)
		}
	}
}

// untilBack waits until the process was started again n times and runs.
func untilBack(t testing.TB, p *plugin.Process, n int) {
	t.Helper()
	until(t, "the plugin to be back", func() bool { s := p.Status(); return s.Up && s.Restarts == n })
}

// exists reports whether a process with this id exists and is not a zombie.
func exists(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) {
		if _, noProc := os.Stat("/proc/self"); noProc == nil {
			return false
		}
		return syscall.Kill(pid, 0) == nil // darwin
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func signal(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to send %v to", sig)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("sending %v to %d: %v", sig, pid, err)
	}
}

// freeze stops a process and waits until it has stopped.
func freeze(t testing.TB, pid int) {
	t.Helper()
	signal(t, pid, syscall.SIGSTOP)
	until(t, "the process to stand still", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(stat), ") ")
		return os.IsNotExist(err) || strings.HasPrefix(rest, "T") // darwin has no /proc: trust the signal
	})
}

func list(t testing.TB, g provider.InstanceGroup) []string {
	t.Helper()
	var ids []string
	if err := g.Update(t.Context(), func(id string, _ provider.State) { ids = append(ids, id) }); err != nil {
		t.Fatalf("Update: %v", err)
	}
	return ids
}

func jsonLogger(w *buffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
}
