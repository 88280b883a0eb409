package jobexec

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoListener: whatever is at the local end of a tunnel, the message says what to do about it.
func TestNoListener(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // the paths of sockets are short
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: "old", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	live, err := net.Listen("unix", "live")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Close() }()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = port.Close() }()
	for local, want := range map[string]string{
		"./file": "no socket: give another path, or remove the file", "./folder": "no socket: give another path", "./old": "left of a program that has ended: remove it",
		"./live": "another program listens there", "./none/s": "the folder none does not exist", port.Addr().String(): "another program listens there: end it, or give another port",
		"192.0.2.1:8080": "this machine does not have the address", filepath.Join(dir, strings.Repeat("x", 200)): "give a shorter one",
	} {
		f, err := ParseForward(local + ":80")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen(f.LocalNetwork, f.Local)
		if err == nil {
			_ = l.Close()
			t.Errorf("%s: it can listen", local)
			continue
		}
		if got := f.NoListener(err).Error(); !strings.HasPrefix(got, err.Error()) || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %q", local, got, want)
		}
	}
}
