package brokengroup

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// leakProcess starts a process that outlives the plugin.
func leakProcess() error {
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// avenge starts a process that removes all machines when the host of this plugin dies, and ends when only the plugin does.
func avenge(file string) error { return mourn(`rm -f "$3"`, file) }

// mourn starts a process that runs a command when the host of this plugin dies, and ends when only the plugin does.
func mourn(command, file string) error {
	const script = `while kill -0 $1 2>/dev/null; do
  if ! kill -0 $2 2>/dev/null; then sleep 1; kill -0 $1 2>/dev/null && exit; fi
  sleep 0.02
done
`
	cmd := exec.Command("sh", "-c", script+command, "sh", strconv.Itoa(os.Getppid()), strconv.Itoa(os.Getpid()), file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}

// lock takes a lock for removals, which only this process releases.
func (g *Group) lock() error {
	path := g.File + ".lock"
	raw, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(raw)) != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("the group is locked by process %s", raw)
	}
	return os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600)
}

// unlock releases the lock when nothing is being removed any more.
func (g *Group) unlock(entries []entry) {
	path := g.File + ".lock"
	raw, err := os.ReadFile(path)
	deleting := slices.ContainsFunc(entries, func(e entry) bool { return e.state == provider.StateDeleting })
	if err == nil && !deleting && string(raw) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(path)
	}
}
