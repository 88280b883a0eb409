package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestDefaultSocket(t *testing.T) {
	env := func(dir string) func(string) string {
		return func(key string) string {
			if key == "XDG_RUNTIME_DIR" {
				return dir
			}
			return ""
		}
	}
	if got := DefaultSocket(env("/run/user/7")); got != "/run/user/7/taskscaler/control.sock" {
		t.Errorf("with XDG_RUNTIME_DIR: %s", got)
	}
	for _, dir := range []string{"", "relative"} { // the specification says that a relative path is invalid
		got := DefaultSocket(env(dir))
		if !strings.HasPrefix(got, "/tmp/taskscaler-") || !strings.HasSuffix(got, "/control.sock") {
			t.Errorf("with XDG_RUNTIME_DIR=%q: %s", dir, got)
		}
	}
}

func listen(t *testing.T, path string) *Listener {
	t.Helper()
	l, err := Listen(path, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestListenModesAndEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b", "control.sock")
	l := listen(t, path)
	for name, want := range map[string]fs.FileMode{path: fs.ModeSocket | 0o600, filepath.Dir(path): fs.ModeDir | 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, not %v", name, info.Mode(), want)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

// While the socket has the mode of the umask, it is in a folder that no other user can enter, and it has another name. It gets its own name with its mode.
func TestSocketModesAtEveryMoment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := ListenWith(path, func(temporary string) {
		info, err := os.Stat(filepath.Dir(temporary))
		if err != nil || info.Mode() != fs.ModeDir|0o700 || filepath.Dir(temporary) == dir {
			t.Errorf("between bind and chmod, the socket is %s in a folder with %v, %v", temporary, info, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it has its name already: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s", "control.sock")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil { // as after SIGKILL: the file exists and no process listens
		t.Fatal(err)
	}
	l := listen(t, path)
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	_ = l.Close()
}

func TestListenRefusesALiveSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s", "control.sock")
	listen(t, path)
	_, err := Listen(path, true)
	var used *InUseError
	if !errors.As(err, &used) {
		t.Fatalf("second listen: %v", err)
	}
	if used.PID != os.Getpid() {
		t.Errorf("pid %d, not %d", used.PID, os.Getpid())
	}
	for _, want := range []string{path, "--socket", "pid"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first listener does not work any more: %v", err)
	} else {
		_ = conn.Close()
	}
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s", "control.sock")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, true); err == nil || !strings.Contains(err.Error(), "exists and is not a socket") {
		t.Errorf("listen on a file: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

func TestListenRefusesAnOpenDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "control.sock")
	if _, err := Listen(path, true); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("listen in an open directory: %v", err)
	}
	l, err := Listen(path, false) // for a path that the operator chose, the mode of the directory is not checked
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestListenRefusesASymlinkedDirectory(t *testing.T) {
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(base, "link", "control.sock"), true); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("listen behind a link: %v", err)
	}
}

// A private socket is below a folder that exists, such as XDG_RUNTIME_DIR. A wrong one is not made.
func TestListenMakesNoWrongRuntimeDir(t *testing.T) {
	base := t.TempDir()
	if _, err := Listen(filepath.Join(base, "typo", "taskscaler", "control.sock"), true); err == nil || !strings.Contains(err.Error(), "correct XDG_RUNTIME_DIR") {
		t.Errorf("below a folder that does not exist: %v", err)
	}
	if left, _ := os.ReadDir(base); len(left) != 0 {
		t.Errorf("made: %v", left)
	}
	l, err := Listen(filepath.Join(base, "run", "s", "control.sock"), false) // a path that was given is made
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestListenRefusesALongPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 120), "control.sock")
	if _, err := Listen(path, true); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("long path: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made nevertheless: %v", err)
	}
}

func TestCloseLeavesAnothersSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s", "control.sock")
	first := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second := listen(t, path)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the socket of the second listener is gone: %v", err)
	}
	_ = conn.Close()
	_ = second.Close()
}

func TestOneOfManyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s", "control.sock")
	const n = 16
	var wg sync.WaitGroup
	got := make([]*Listener, n)
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { got[i], errs[i] = Listen(path, true) })
	}
	wg.Wait()
	won := 0
	for i := range n {
		var used *InUseError
		switch {
		case errs[i] == nil:
			won++
			defer func() { _ = got[i].Close() }()
		case !errors.As(errs[i], &used):
			t.Errorf("%v", errs[i])
		}
	}
	if won != 1 {
		t.Errorf("%d of %d listen", won, n)
	}
}

func TestFindSocketChecksTheOwner(t *testing.T) {
	base := t.TempDir()
	getenv := func(string) string { return base }
	want := filepath.Join(base, "taskscaler", "control.sock")
	if got, err := FindSocket(getenv); err != nil || got != want {
		t.Errorf("before a socket exists: %q, %v", got, err)
	}
	dir := filepath.Dir(want)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := FindSocket(getenv); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("in a directory that is open to other users: %v", err)
	}
}
