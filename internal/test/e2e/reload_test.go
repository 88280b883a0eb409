package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// TestReloadMakesTheChecksOfAStart: a reload of what a start refuses changes nothing and says so; warnings of the file are in the status and the log.
func TestReloadMakesTheChecksOfAStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: instances(1)}.String())
	m := w.manager()
	for refused, want := range map[string]string{
		settings{autoscaler: instances(2) + "[runners.autoscaler.vm_isolation]\nenabled = true\n"}.String():           "nested machines are not supported",
		strings.Replace(settings{autoscaler: instances(2)}.String(), `plugin = "fake"`, `plugin = "group/fake:1"`, 1): "names a registry",
	} {
		w.write("config.toml", refused)
		m.signal(syscall.SIGHUP)
		w.reloaded("nothing was reloaded", "config.toml:", want)
		if f := w.mustAsk(); f.Group.MaxInstances != 1 {
			t.Errorf("max_instances is %d after a file that a start refuses", f.Group.MaxInstances)
		}
	}
	w.write("config.toml", settings{autoscaler: instances(2) + "shutdown_deletion_retries = 0\n"}.String())
	m.signal(syscall.SIGHUP)
	w.eventually("the reload is in the status with its warning", func() (bool, string) {
		s, err := w.status()
		if err != nil || s.Reload == nil {
			return false, "no reload"
		}
		text := strings.Join(s.Reload.Warnings, "\n")
		return len(s.Reload.Problems) == 0 && strings.Contains(text, "shutdown_deletion_retries: is 0, which means the default: 3"), text
	})
	if f := w.mustAsk(); f.Group.MaxInstances != 2 {
		t.Errorf("max_instances is %d after a good reload", f.Group.MaxInstances)
	}
	if !strings.Contains(m.stderr.String(), "the configuration has a warning") {
		t.Errorf("the log has no warning:\n%s", tail(m.stderr.String()))
	}
}
