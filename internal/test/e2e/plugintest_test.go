package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
