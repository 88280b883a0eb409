//go:build unix

package plugin_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// ownPlugin is a copy of the test plugin in a folder of its own, and its sum.
func ownPlugin(t *testing.T) (path, sum string) {
	t.Helper()
	raw, err := os.ReadFile(testPlugin)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "fleeting-plugin-test")
	replace(t, path, raw)
	return path, fmt.Sprintf("%x", sha256.Sum256(raw))
}

// replace puts another file in the place of path, as an installer does.
func replace(t *testing.T, path string, content []byte) {
	t.Helper()
	next := path + ".next"
	syscall.ForkLock.RLock() // a process that starts now would keep the file busy
	err := os.WriteFile(next, content, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// Between the check of the sum and the exec, somebody replaces the executable, or writes into it. The moment is the one at which the plugin's
// private folder appears.
func TestSecuritySwapAfterTheCheck(t *testing.T) {
	for _, way := range []string{"rename", "write"} {
		t.Run(way, func(t *testing.T) {
			for range 5 {
				swapDuringLaunch(t, way)
			}
		})
	}
}

func swapDuringLaunch(t *testing.T, way string) {
	tmp := shortTemp(t)
	t.Setenv("TMPDIR", tmp)
	path, sum := ownPlugin(t)
	mark := filepath.Join(t.TempDir(), "mark")
	evil := []byte("#!/bin/sh\n: > " + mark + "\n")
	stop, swapped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swapped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if dirs, _ := filepath.Glob(tmp + "/taskscaler-plugin-*"); len(dirs) == 0 {
				continue
			}
			if way == "rename" {
				_ = os.WriteFile(path+".evil", evil, 0o755)
				_ = os.Rename(path+".evil", path)
				return
			}
			if f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
				_, _ = f.Write(evil)
				_ = f.Close()
			}
			return
		}
	}()
	opts := quick(`{}`)
	opts.Path, opts.SHA256 = path, sum
	p, err := plugin.Launch(t.Context(), opts)
	close(stop)
	<-swapped
	var refusal *plugin.LaunchError
	if err != nil && (!errors.As(err, &refusal) || refusal.Reason != plugin.ReasonChecksum) {
		t.Errorf("it was refused for another reason than its sum: %v", err)
	}
	if err == nil {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("the program that took the plugin's place was run")
	}
}

// A process that is started again is checked again.
func TestSecurityRelaunchChecksAgain(t *testing.T) {
	t.Parallel()
	path, sum := ownPlugin(t)
	opts := quick(`{}`)
	opts.Path, opts.SHA256 = path, sum
	p := start(t, opts)
	pid := p.Status().PID
	if runtime.GOOS == "linux" {
		for file, want := range map[string]string{"cmdline": path + "\x00", "comm": "fleeting-plugin"} {
			if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)); err != nil || !strings.HasPrefix(string(name), want) {
				t.Errorf("the %s of the process is %q (%v), want %q", file, name, err, want)
			}
		}
	}
	mark := filepath.Join(t.TempDir(), "mark")
	replace(t, path, []byte("#!/bin/sh\n: > "+mark+"\n"))
	signal(t, pid, syscall.SIGKILL)
	until(t, "a refusal", func() bool { return strings.Contains(p.Status().Reason, "plugin_sha256") })
	if _, err := os.Stat(mark); err == nil {
		t.Error("another program was run")
	}
}

// refused fails unless the launch is refused because others can replace the plugin, and returns the text.
func refused(t *testing.T, path string) string {
	t.Helper()
	opts := quick(`{}`)
	opts.Path = path
	p, err := plugin.Launch(t.Context(), opts)
	if err == nil {
		_ = p.Close(t.Context())
	}
	var refusal *plugin.LaunchError
	if !errors.As(err, &refusal) || refusal.Reason != plugin.ReasonInsecure {
		t.Fatalf("Launch(%s) = %v", path, err)
	}
	return err.Error()
}

// A plugin that others can replace is not started, whatever makes that possible. The option starts it all the same.
func TestSecurityWritableByOthers(t *testing.T) {
	t.Parallel()
	path, sum := ownPlugin(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, open := range []string{path, filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
		for mode, remedy := range map[fs.FileMode]string{0o757: "chmod go-w ", 0o777: "chmod go-w "} {
			if err := os.Chmod(open, mode); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{path, link} {
				said := refused(t, name)
				for _, want := range []string{open, fmt.Sprintf("%#o", mode), remedy + open, "plugin_insecure_path = true"} {
					if !strings.Contains(said, want) {
						t.Errorf("%q is missing in: %s", want, said)
					}
				}
			}
		}
		for _, pinned := range []string{"", sum} {
			opts := quick(`{}`)
			opts.Path, opts.SHA256, opts.InsecurePath = path, pinned, true
			list(t, start(t, opts))
		}
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := plugin.CheckPath(path); err != nil {
		t.Error(err)
	}
}

func TestSecurityOwnedByAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: a plugin that belongs to another user")
	}
	path, _ := ownPlugin(t)
	for _, owned := range []string{path, filepath.Dir(path)} {
		if err := os.Chown(owned, 4000017, 4000017); err != nil {
			t.Fatal(err)
		}
		if said := refused(t, path); !strings.Contains(said, "4000017") || !strings.Contains(said, "chown 0 "+owned) {
			t.Error(said)
		}
		if err := os.Chown(owned, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// What is not a regular file is refused, and a named pipe does not block the manager.
func TestPluginThatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := plugin.Launch(t.Context(), plugin.LaunchOptions{Path: pipe, SHA256: strings.Repeat("0", 64)})
	var refusal *plugin.LaunchError
	if !errors.As(err, &refusal) || refusal.Reason != plugin.ReasonNotExecutable || !strings.Contains(err.Error(), "regular file") {
		t.Fatalf("Launch = %v", err)
	}
}
