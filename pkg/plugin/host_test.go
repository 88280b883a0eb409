package plugin_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// hostProcess is another process, which has launched the test plugin.
func hostProcess(t *testing.T, config, tmp string) (host *exec.Cmd, pluginPID int) {
	t.Helper()
	host = exec.Command(os.Args[0])
	host.Env = append(os.Environ(), envHost+"="+testPlugin, "PLUGIN_CONFIG="+config, "TMPDIR="+tmp)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Process.Kill(); _ = host.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Sscan(line, &pluginPID, &said); err != nil || said != "<nil>" || !exists(pluginPID) {
		t.Fatalf("the host says %q (%v)", line, err)
	}
	return host, pluginPID
}

// shortTemp returns a folder whose path is short enough for a socket.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tsh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A plugin whose host was killed ends, and removes its socket folder. Nobody asked it to shut down, so its Shutdown is not called: some
// plugins delete their machines there.
func TestPluginGoesWithItsKilledHost(t *testing.T) {
	t.Parallel()
	tmp, mark := shortTemp(t), filepath.Join(t.TempDir(), "mark")
	host, pid := hostProcess(t, fmt.Sprintf(`{"shutdown_mark": %q}`, mark), tmp)
	if left, err := filepath.Glob(tmp + "/*/*"); err != nil || len(left) == 0 {
		t.Fatalf("no socket folder in %s: %v", tmp, err)
	}
	signal(t, host.Process.Pid, syscall.SIGKILL)
	killed := time.Now()
	until(t, "the plugin to be gone", func() bool { return !exists(pid) })
	t.Logf("the plugin was gone %v after its host", time.Since(killed).Round(time.Millisecond))
	if left, _ := filepath.Glob(tmp + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the plugin's Shutdown was called")
	}
}

// A frozen plugin of a killed host ends too. A later host removes its socket folder.
func TestFrozenPluginGoesWithItsKilledHost(t *testing.T) {
	t.Parallel()
	tmp := shortTemp(t)
	host, pid := hostProcess(t, `{}`, tmp)
	freeze(t, pid)
	signal(t, host.Process.Pid, syscall.SIGKILL)
	_ = host.Wait() // the plugin is an orphan only after its parent was reaped
	until(t, "the plugin to be gone", func() bool { return !exists(pid) })
	left, _ := filepath.Glob(tmp + "/taskscaler-plugin-*")
	for _, dir := range left {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	hostProcess(t, `{}`, tmp)
	for _, dir := range left {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s of the dead host is still there", dir)
		}
	}
}
