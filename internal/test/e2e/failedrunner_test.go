package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// withRunners is a file with the runner e2e and, for each other name and plugin, a runner with a group of its own.
func withRunners(names, plugins []string) string {
	text := settings{autoscaler: deleting}.String()
	for i, name := range names {
		more := settings{autoscaler: deleting, plugin: fmt.Sprintf("name = %q", name)}.String()
		more = strings.NewReplacer(`name = "e2e"`, fmt.Sprintf("name = %q", name), `plugin = "fake"`, fmt.Sprintf("plugin = %q", plugins[i])).Replace(more)
		text += more[strings.Index(more, "[[runners]]"):]
	}
	return text
}

// TestOneRunnerCannotStart: runners whose plugins cannot be started, because they name a registry or end in their Init, do not stop another one. The
// status says why, and so do answers to jobs for them; a corrected file starts them, and SIGTERM ends the manager while they are tried.
func TestOneRunnerCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	dies := filepath.Join(w.dir, "plugins", "fleeting-plugin-dies")
	w.write("config.toml", withRunners([]string{"image", "dying"}, []string{"registry.example.com/group/fake:1", "fake"}))
	w.build("fleeting-plugin-dies")
	w.write("config.toml", withRunners([]string{"image", "dying"}, []string{"registry.example.com/group/fake:1", dies}))
	m := w.start("run", "--config", w.config)
	w.eventually("the other two are shown as failed", func() (bool, string) {
		s, err := w.status()
		return err == nil && len(s.Runners) == 3 && s.Runners[0].Fleet != nil && strings.Contains(s.Runners[1].Failed, "names a registry") && s.Runners[1].NextTry != nil &&
			strings.Contains(s.Runners[2].Failed, "out of luck") && s.Runners[2].Tries > 0, fmt.Sprintf("%v, %+v", err, s)
	})
	w.contains(w.prints("status"), "not started: ", "names a registry", "and again at ")
	p := w.start("exec", "--runner", "e2e", "--", "echo", "fine")
	p.expect(0, "fine\n")
	w.start("exec", "--runner", "image", "--", "true").refused(125, `runner "image" is not started`, "names a registry")
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".taskscaler", "*")); len(left) != 1 {
		t.Errorf("state directories of runners that have not started: %q", left)
	}

	w.write("config.toml", withRunners([]string{"image", "dying"}, []string{"fake", dies}))
	m.signal(syscall.SIGHUP)
	w.eventually("one is still tried", func() (bool, string) {
		s, err := w.status()
		return err == nil && s.Runners[1].Fleet != nil && s.Runners[1].Failed == "" && s.Runners[2].Tries > 1, fmt.Sprintf("%v, %+v", err, s)
	})
	w.start("exec", "--runner", "image", "--", "echo", "at last").expect(0, "at last\n")
	m.drained()
	w.empty()
	if left, _ := os.ReadDir(w.tmp()); len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v", left)
	}
}
