package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// process is a running process of the soak.
type process struct {
	pid      int
	line     string
	isPlugin bool
}

// processes lists the running processes whose working directory, command line or binary lies in the soak's folder.
func (s *site) processes() (found []process) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		proc := filepath.Join("/proc", e.Name())
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd")) // fails for processes of other users, which are not ours
		line, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		exe, _ := os.Readlink(filepath.Join(proc, "exe"))
		if len(line) == 0 || !within(cwd, s.Dir) && !within(exe, s.Dir) && !bytes.Contains(line, []byte(s.Dir+"/")) { // no line: it has ended
			continue
		}
		found = append(found, process{pid, e.Name() + " " + strings.ReplaceAll(string(line), "\x00", " "), isPlugin(pid)})
	}
	return found
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// isPlugin reports whether the process is a plugin of the soak. Instances run the same binary, but are not plugins.
func isPlugin(pid int) bool {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return bytes.Contains(line, []byte("fleeting-plugin-fake")) && !bytes.Contains(line, []byte("\x00instance\x00"))
}

// isMachine reports whether the process belongs to this instance.
func (s *site) isMachine(pid int, id string) bool {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return bytes.HasSuffix(line, []byte("/"+id+"\x00")) && bytes.Contains(line, []byte(s.Dir+"/"))
}

// pluginOf returns the process id of the plugin of a manager, or 0 if it has none at the moment.
func pluginOf(manager int) int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", manager)) // the pattern is well-formed
	for _, task := range tasks {
		children, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(field); err == nil && isPlugin(pid) {
				return pid
			}
		}
	}
	return 0
}

// left looks for what the shutdown should have removed. Processes get some time, because the process of an instance may still run when the
// provider no longer lists it.
func (s *site) left(ctx context.Context) (*check.Left, error) {
	l := &check.Left{}
	for deadline := time.Now().Add(patience); ; {
		l.Processes, l.Folders = nil, nil
		for _, p := range s.processes() {
			l.Processes = append(l.Processes, p.line)
		}
		l.Folders, _ = filepath.Glob(filepath.Join(s.Dir, machineFolder, "*", "*-*")) // the pattern is well-formed
		if l.Count() == 0 || time.Now().After(deadline) || !pause(ctx, 50*time.Millisecond) {
			break
		}
	}
	states, err := filepath.Glob(filepath.Join(s.Dir, stateFolder, "*", "state.db"))
	if err != nil || len(states) != 1 {
		return nil, fmt.Errorf("there must be exactly one state: %q, %w", states, err)
	}
	return l, inState(ctx, filepath.Dir(states[0]), l)
}

// inState returns what the state still contains.
func inState(ctx context.Context, dir string, l *check.Left) error {
	store, err := statestore.OpenBolt(dir, statestore.BoltOptions{})
	if err != nil {
		return fmt.Errorf("opening the state: %w", err)
	}
	defer store.Close()
	saved, err := store.Load(ctx)
	if err != nil {
		return fmt.Errorf("reading the state: %w", err)
	}
	for _, i := range saved.State.Instances {
		if i.State != record.Gone && i.State != record.Lost {
			l.Instances = append(l.Instances, fmt.Sprintf("%s is %s (%s)", i.ID, i.State, i.Cause))
		}
		for _, lease := range i.Leases {
			l.Leases = append(l.Leases, fmt.Sprintf("%s on slot %d of %s", lease.Key, lease.Slot, i.ID))
		}
	}
	for _, n := range saved.State.Intents {
		if n.Open+n.Doubt > 0 {
			l.Intents = append(l.Intents, fmt.Sprintf("create %d: %d of %d expected, %d in doubt", n.Op, n.Open, n.Asked, n.Doubt))
		}
	}
	return nil
}
