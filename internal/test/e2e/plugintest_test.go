package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPluginTestIntoAClosedPipe: `taskscaler plugin test --live | head -1` ends the run, which removes what it made: no instance and no folder is left.
func TestPluginTestIntoAClosedPipe(t *testing.T) {
	dir := t.TempDir()
	cloud, temp := filepath.Join(dir, "cloud"), filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 4\n"+
		"[runners.autoscaler.plugin_config]\nname = \"closed-pipe\"\ndir = %q\n[[runners.autoscaler.policy]]\nidle_count = 0\n", filepath.Join(bin, "fleeting-plugin-fake"), cloud)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "taskscaler"), "plugin", "test", "--config", config, "--live")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), " boots") { // from here on there is a machine
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v\n%s", err, &errs)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the folder of temporary files: %v, %v", left, err)
	}
	entries, err := os.ReadDir(cloud) // the group removes its folder when it is empty
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, e := range entries {
		if e.IsDir() { // one for each instance
			t.Errorf("left in the cloud: %s", e.Name())
		}
	}
}

// TestPluginTestIsStoppedTwice: the machines of a run never go. The first signal ends the checks, and the second one ends the wait for the removal.
func TestPluginTestIsStoppedTwice(t *testing.T) {
	dir := t.TempDir()
	plugin, config := filepath.Join(dir, "fleeting-plugin-broken"), filepath.Join(dir, "config.toml")
	if out, err := exec.Command("go", "build", "-o", plugin, "github.com/taskscaler/taskscaler/internal/brokengroup/cmd/fleeting-plugin-broken").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := fmt.Sprintf("[[runners]]\nname = \"r\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = %q\nmax_instances = 4\n"+
		"[runners.autoscaler.plugin_config]\nfile = %q\nmax_size = 4\nbreak = \"decrease-nothing\"\n[[runners.autoscaler.policy]]\nidle_count = 0\n", plugin, filepath.Join(dir, "table"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "taskscaler"), "plugin", "test", "--config", config, "--live", "--no-connect")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), " boots") { // from here on there is a machine
	}
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, out)
		ended <- cmd.Wait()
	}()
	again := time.NewTicker(300 * time.Millisecond) // what comes sooner counts as one signal
	defer again.Stop()
	for deadline := time.After(time.Minute); ; {
		select {
		case err := <-ended:
			if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), "stopped before the machines of the run were removed") {
				t.Errorf("%v\n%s", err, &errs)
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		case <-deadline:
			_ = cmd.Process.Kill()
			t.Fatalf("it does not end: %v", <-ended)
		}
	}
}
