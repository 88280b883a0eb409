package daemon

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
)

// TestFailedStartLeavesNoSocket: a start that fails at once removes its socket, although the server may not have begun to serve.
func TestFailedStartLeavesNoSocket(t *testing.T) {
	dir := t.TempDir()
	file := parse(t, dir, "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"nosuch\"\n")
	path := filepath.Join(dir, "control.sock")
	for range 200 {
		l, err := control.Listen(path, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := Serve(t.Context(), t.Context(), Options{File: file, Logger: slog.New(slog.DiscardHandler)}, l); err == nil {
			t.Fatal("it started without a plugin")
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("the socket is left: %v", err)
		}
	}
}
