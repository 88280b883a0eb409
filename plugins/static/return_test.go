package static

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// hostsFile writes a file with these hosts.
func hostsFile(t testing.TB, file string, hosts map[string]Host) {
	t.Helper()
	var text strings.Builder
	for name, h := range hosts {
		text.WriteString("[" + name + "]\ninternal_addr = '" + h.InternalAddr + "'\n")
		if h.KeyPath != "" {
			text.WriteString("username = '" + h.Username + "'\nkey_path = '" + h.KeyPath + "'\nhost_keys = ['" + h.HostKeys[0] + "']\n")
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func exist(path string) bool { _, err := os.Stat(path); return err == nil }

func shutdown(t testing.TB, g *InstanceGroup) {
	t.Helper()
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestHostThatLeftAndReturns: a host leaves the list in use, a new process of the plugin does not know it, and its use ends. When it returns, again to
// another process, its reset succeeds before it is used.
func TestHostThatLeftAndReturns(t *testing.T) {
	h, other := sshd(t), Host{InternalAddr: greeter(t)}
	dir := t.TempDir()
	file, state, gate, mark := filepath.Join(dir, "hosts.toml"), filepath.Join(dir, "state"), filepath.Join(dir, "gate"), filepath.Join(dir, "mark")
	next := func() *InstanceGroup {
		return open(t, &InstanceGroup{Dir: state, InstancesFile: file, ResetCommand: "while ! test -e " + gate + "; do sleep 0.1; done; touch " + mark})
	}
	hostsFile(t, file, map[string]Host{"h": h})
	g := next()
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	shutdown(t, g)
	hostsFile(t, file, map[string]Host{"other": other})
	g = next()
	if got, err := g.Decrease(t.Context(), []string{"h-1"}); !slices.Equal(got, []string{"h-1"}) || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	until(t, "the use ends", func() bool { return len(list(t, g)) == 0 })
	shutdown(t, g)

	hostsFile(t, file, map[string]Host{"h": h, "other": other})
	g = next()
	if got, err := g.Increase(t.Context(), 2); got != 1 || provider.KindOf(err) != provider.KindCapacity || !strings.Contains(err.Error(), "1 of them are being reset") {
		t.Fatalf("%d, %v", got, err)
	}
	if got := list(t, g); len(got) != 1 || got["other-1"] != provider.StateRunning {
		t.Errorf("listed: %v", got)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the host is used again", func() bool { n, _ := g.Increase(t.Context(), 1); return n == 1 })
	if got := list(t, g); !exist(mark) || got["h-2"] != provider.StateRunning {
		t.Errorf("it is used without a reset: %v", got)
	}
	// Its next use is an ordinary one.
	if _, err := g.Decrease(t.Context(), []string{"h-2"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the host is free", func() bool { return len(list(t, g)) == 1 })
	if got, err := g.Increase(t.Context(), 1); got != 1 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}

// TestHostThatLeftAndFails: the use of a host that has left the list ends although its reset fails: the host may be gone for ever.
func TestHostThatLeftAndFails(t *testing.T) {
	h, other := sshd(t), Host{InternalAddr: greeter(t)}
	file := filepath.Join(t.TempDir(), "hosts.toml")
	hostsFile(t, file, map[string]Host{"h": h})
	g := open(t, &InstanceGroup{InstancesFile: file, ResetCommand: "echo the disk is full; exit 3"})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	hostsFile(t, file, map[string]Host{"other": other})
	list(t, g) // the list is read again
	if _, err := g.Decrease(t.Context(), []string{"h-1"}); err != nil {
		t.Fatal(err)
	}
	until(t, "the use ends", func() bool { return len(list(t, g)) == 0 })
	hostsFile(t, file, map[string]Host{"h": h})
	until(t, "the reset fails", func() bool {
		n, err := g.Increase(t.Context(), 1)
		if n != 0 {
			t.Fatal("it is used without a reset")
		}
		return err != nil && strings.Contains(err.Error(), "1 of them are being reset (h-1: reset_command: ") && strings.Contains(err.Error(), "the disk is full")
	})
}

// TestStateOfOthers: a state of an earlier version is used as far as it goes, and one that cannot be true is refused.
func TestStateOfOthers(t *testing.T) {
	start := func(text string) (*InstanceGroup, error) {
		g := &InstanceGroup{Dir: t.TempDir(), NoCheck: true, Instances: map[string]Host{"a": {InternalAddr: "a"}, "b": {InternalAddr: "b"}}}
		if err := os.WriteFile(filepath.Join(g.Dir, stateFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := g.Init(t.Context(), nil, provider.Settings{})
		t.Cleanup(func() { _ = g.Shutdown(context.Background()) })
		return g, err
	}
	for _, text := range []string{
		`{"uses":{"a":{"number":7,"since":"2026-01-02T03:04:05Z"}},"past":{"a":{"uses":7},"b":{"uses":2,"ended":"2026-01-02T03:04:05Z"}}}`, // before hosts could be dirty
		`{"uses":{"a":{"number":7}},"past":{"a":{"uses":1},"b":{"uses":2}},"of_a_later_version":true}`,
		`{"uses":{"a":{"number":7}},"past":{"a":null,"b":{"uses":2}}}`,
	} {
		g, err := start(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := g.Decrease(t.Context(), []string{"a-7"}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := g.Increase(t.Context(), 2); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := list(t, g); len(got) != 2 || got["a-8"] != provider.StateRunning || got["b-3"] != provider.StateRunning {
			t.Errorf("%s: listed: %v", text, got)
		}
	}
	for _, text := range []string{`{"past":{"a":{"uses":-1}}}`, `{"past":{"a":{"dirty":"yes"}}}`, `{"uses":{"a":{"number":-2}}}`, "\x00\x00", ""} {
		if _, err := start(text); provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "remove it if") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTwoManagers: a second manager cannot work with the same folder. It can as soon as the first one has ended.
func TestTwoManagers(t *testing.T) {
	t.Parallel()
	sleep := exec.Command("sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	first := open(t, &InstanceGroup{Instances: hosts(t, 1), Manager: sleep.Process.Pid})
	reload := open(t, &InstanceGroup{Dir: first.Dir, Instances: first.Instances, Manager: sleep.Process.Pid}) // as a reload does
	second := &InstanceGroup{Dir: first.Dir, Instances: first.Instances}
	_, err := second.Init(t.Context(), nil, provider.Settings{})
	if provider.KindOf(err) != provider.KindConfig || !strings.Contains(err.Error(), "another manager, process "+strconv.Itoa(sleep.Process.Pid)) ||
		!strings.Contains(err.Error(), "give this group another dir") {
		t.Fatalf("%v", err)
	}
	shutdown(t, first)
	shutdown(t, reload)
	if _, err := second.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	shutdown(t, second)
}

// TestShorterNameOfAManager: the name of an earlier manager was longer. Nothing of it stays in the file, else the reload of the next one is refused.
func TestShorterNameOfAManager(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, managerFile), []byte("process 4194304 (started at tick 99999999999999999999)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := open(t, &InstanceGroup{Dir: dir, Instances: hosts(t, 1)})
	open(t, &InstanceGroup{Dir: dir, Instances: first.Instances})
}

// TestHostThatLeftInUse: a host leaves the list in use, and the process of the plugin that knew it ends. Its jobs go on: nothing says that the instance
// is gone or unhealthy.
func TestHostThatLeftInUse(t *testing.T) {
	dir := t.TempDir()
	file, state := filepath.Join(dir, "hosts.toml"), filepath.Join(dir, "state")
	hostsFile(t, file, map[string]Host{"h": {InternalAddr: greeter(t)}})
	g := open(t, &InstanceGroup{Dir: state, InstancesFile: file})
	if _, err := g.Increase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	shutdown(t, g)
	hostsFile(t, file, map[string]Host{"other": {InternalAddr: greeter(t)}})
	g = open(t, &InstanceGroup{Dir: state, InstancesFile: file})
	if got := list(t, g); got["h-1"] != provider.StateRunning {
		t.Errorf("listed: %v", got)
	}
	if _, err := g.ConnectInfo(t.Context(), "h-1"); provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), "host h, in use as h-1, is no longer in the list") {
		t.Errorf("connect info: %v", err)
	}
	if err := g.Heartbeat(t.Context(), "h-1"); err != nil {
		t.Errorf("heartbeat: %v", err)
	}
	if err := g.Heartbeat(t.Context(), "h-2"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("heartbeat of another use: %v", err)
	}
}
