package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/providertest"
)

func TestConformanceThroughAProcess(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	configs := map[provider.InstanceGroup]string{}
	open := func(t *testing.T, config string) provider.InstanceGroup {
		p := launch(t, quick(config))
		mu.Lock()
		defer mu.Unlock()
		configs[p] = config
		return p
	}
	providertest.Run(t, providertest.Options{
		New: func(t *testing.T) provider.InstanceGroup {
			return open(t, fmt.Sprintf(`{"group": "g", "max_size": 3, "boot_ms": 20, "file": %q}`, filepath.Join(t.TempDir(), "table")))
		},
		Reopen: func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup {
			mu.Lock()
			config := configs[old]
			mu.Unlock()
			return open(t, config)
		},
		Sicken: func(ctx context.Context, g provider.InstanceGroup, id string) error {
			mu.Lock()
			config := configs[g]
			mu.Unlock()
			other := &providertest.Memory{}
			if err := plugin.Configure(other, []byte(config)); err != nil {
				return err
			}
			if _, err := other.Init(ctx, nil, provider.Settings{}); err != nil {
				return err
			}
			return other.Sicken(ctx, id)
		},
	})
}

func TestInitTellsVersionAndCapabilities(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{"group": "g"}`))
	if got := fmt.Sprint(provider.CapabilitiesOf(p)); got != "[heartbeat suspend_resume]" {
		t.Errorf("capabilities %s", got)
	}
	if info := p.Info(); info.ID != "memory/g" || info.Version != "1" || info.MaxSize != 100 {
		t.Errorf("info %+v", info)
	}
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); provider.KindOf(err) != provider.KindConfig {
		t.Errorf("a second Init: %v", err)
	}
}

// The provider's errors arrive with their kind, RetryAfter, and the error values for errors.Is.
func TestFailuresKeepTheirKind(t *testing.T) {
	t.Parallel()
	p := launch(t, quick(`{"max_size": 2}`))
	if _, err := p.Init(t.Context(), nil, provider.Settings{ConnectorConfig: provider.ConnectorConfig{Password: "hunter2"}}); err != nil {
		t.Fatal(err)
	}
	n, err := p.Increase(t.Context(), 5)
	if n != 2 || provider.KindOf(err) != provider.KindQuota {
		t.Errorf("Increase(5) with room for 2 = %d, %v", n, err)
	}
	if strings.Count(err.Error(), "quota") != 1 {
		t.Errorf("the kind is in the text other than once: %v", err)
	}
	_, err = p.ConnectInfo(t.Context(), "throttled")
	if f := provider.FailureOf(err); f.Kind != provider.KindThrottled || f.RetryAfter != 7*time.Second {
		t.Errorf("throttled came as %+v", f)
	}
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "slow down") {
		t.Errorf("an error's text is %q", err)
	}
	if _, err = p.ConnectInfo(t.Context(), "nobody"); provider.KindOf(err) != provider.KindNotFound {
		t.Errorf("unknown id: %v", err)
	}
}

// A partial result at the deadline reaches the host, with the failure.
func TestPartialSuccessAtTheDeadline(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{"slow": true}`))
	// The plugin has a tenth of the time for its answer. On a busy machine that may be too short: the host does not wait for it.
	until(t, "the machine that was made to be told", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		n, err := p.Increase(ctx, 3)
		if n > 1 || provider.KindOf(err) != provider.KindTransient {
			t.Fatalf("Increase = %d, %v; want the one machine that was made", n, err)
		}
		return n == 1
	})
	if !p.Status().Up {
		t.Error("a slow plugin was taken for a dead one")
	}
}

// A call for several instances that fails for some reaches the host with the ids that it worked for, and with the failure.
func TestPartialSuccessForIDs(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{"one_by_one": true}`))
	if n, err := p.Increase(t.Context(), 3); n != 3 || err != nil {
		t.Fatalf("Increase(3) = %d, %v", n, err)
	}
	var ids []string
	until(t, "three machines to run", func() bool {
		ids = nil
		err := p.Update(t.Context(), func(id string, state provider.State) {
			if state == provider.StateRunning {
				ids = append(ids, id)
			}
		})
		return err == nil && len(ids) == 3
	})
	for _, c := range []struct {
		name string
		do   func(context.Context, []string) ([]string, error)
	}{{"Suspend", p.Suspend}, {"Resume", p.Resume}, {"Decrease", p.Decrease}} {
		done, err := c.do(t.Context(), ids)
		if !slices.Equal(done, ids[:1]) || provider.KindOf(err) != provider.KindThrottled || !strings.Contains(err.Error(), "one at a time") {
			t.Errorf("%s(%q) = %q, %v; want the first one and the failure", c.name, ids, done, err)
		}
	}
}

func TestCallsWithoutAnAnswerEndWithTheirContext(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{"endless": true}`))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
	err := p.Update(ctx, func(string, provider.State) {})
	if !errors.Is(err, enough) || provider.KindOf(err) != provider.KindTransient {
		t.Fatalf("Update = %v", err)
	}
	if _, err := p.ConnectInfo(t.Context(), "throttled"); provider.KindOf(err) != provider.KindThrottled {
		t.Errorf("the next call: %v", err)
	}
}

// A plugin that answers health checks, and leaves the calls of one method without an answer again and again, is killed and started again.
func TestPluginThatDoesNotAnswerIsKilled(t *testing.T) {
	t.Parallel()
	var log buffer
	opts := plugin.WithShortCall(quick(`{"endless": true}`), 100*time.Millisecond)
	opts.Logger = jsonLogger(&log)
	p := start(t, opts)
	pid := p.Status().PID
	for n := range 2 {
		if n > 0 && p.Status().PID != pid {
			t.Fatal("one unanswered call was enough to kill it")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := p.Update(ctx, func(string, provider.State) {})
		cancel()
		if !errors.Is(err, provider.ErrAway) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Update = %v", err)
		}
	}
	untilBack(t, p, 1)
	if !strings.Contains(log.String(), "does not answer its calls and is killed") || !strings.Contains(log.String(), `"call":"Update"`) {
		t.Errorf("the log does not say why:\n%s", &log)
	}
}

// TestAnswersEndTheSilence: calls without an answer count only in a row. A plugin that misses one now and then stays.
func TestAnswersEndTheSilence(t *testing.T) {
	t.Parallel()
	once := filepath.Join(t.TempDir(), "once")
	p := start(t, plugin.WithShortCall(quick(fmt.Sprintf(`{"endless_once": %q}`, once)), 100*time.Millisecond))
	for n := range 4 {
		if err := os.WriteFile(once, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := p.Update(ctx, func(string, provider.State) {})
		cancel()
		if !errors.Is(err, provider.ErrAway) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call %d without an answer: %v", n, err)
		}
		_ = os.Remove(once) // if the plugin was too slow to do so
		if err := p.Update(t.Context(), func(string, provider.State) {}); err != nil {
			t.Fatalf("after %d calls without an answer, each followed by one with an answer: %v", n+1, err)
		}
	}
	if s := p.Status(); s.Restarts != 0 {
		t.Errorf("the plugin was killed: %+v", s)
	}
}

func TestKilledPluginComesBack(t *testing.T) {
	t.Parallel()
	var log buffer
	opts := quick(fmt.Sprintf(`{"group": "g", "file": %q}`, filepath.Join(t.TempDir(), "table")))
	opts.Logger = jsonLogger(&log)
	p := start(t, opts)
	if n, err := p.Increase(t.Context(), 2); n != 2 || err != nil {
		t.Fatalf("Increase = %d, %v", n, err)
	}
	for round := range 3 {
		pid := p.Status().PID
		signal(t, pid, syscall.SIGKILL)
		untilBack(t, p, round+1)
		if s := p.Status(); !s.Up || s.PID == pid || s.Restarts != round+1 {
			t.Fatalf("status %+v", s)
		}
		if ids := list(t, p); len(ids) != 2 {
			t.Fatalf("after the relaunch the plugin lists %v", ids)
		}
	}
	if gone, back := strings.Count(log.String(), "the plugin process is gone"), strings.Count(log.String(), "the plugin is back"); gone != 3 || back != 3 {
		t.Errorf("%d deaths and %d relaunches were logged, want 3 of each:\n%s", gone, back, &log)
	}
}

func TestKilledMidCall(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	opts := quick(fmt.Sprintf(`{"endless": true, "endless_mark": %q}`, mark))
	opts.RelaunchMin = time.Hour
	p := start(t, opts)
	done := make(chan error, 1)
	go func() { done <- p.Update(context.Background(), func(string, provider.State) {}) }()
	until(t, "the call to reach the plugin", func() bool { _, err := os.Stat(mark); return err == nil })
	signal(t, p.Status().PID, syscall.SIGKILL)
	if err := <-done; provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the call ended with %v", err)
	}
	until(t, "the death to be noticed", func() bool { return !p.Status().Up })
	// It stays away: every call returns an error at once.
	if _, err := p.Increase(context.Background(), 1); provider.KindOf(err) != provider.KindTransient || !errors.Is(err, provider.ErrAway) {
		t.Errorf("a call to a plugin that is away: %v", err)
	}
	if err := p.Heartbeat(context.Background(), "x"); !errors.Is(err, provider.ErrAway) { // else it counts towards failure_threshold
		t.Errorf("a heartbeat of a plugin that is away: %v", err)
	}
}

func TestPluginThatExitsMidCall(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{}`))
	if _, err := p.ConnectInfo(t.Context(), "exit"); provider.KindOf(err) != provider.KindTransient || !strings.Contains(err.Error(), "exit status 5") {
		t.Errorf("ConnectInfo = %v", err)
	}
	untilBack(t, p, 1)
}

func TestFrozenMidCall(t *testing.T) {
	t.Parallel()
	p := start(t, impatient(`{}`))
	frozen := p.Status().PID
	freeze(t, frozen)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Increase(ctx, 1); provider.KindOf(err) != provider.KindTransient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call to a frozen plugin: %v", err)
	}
	untilBack(t, p, 1)
	until(t, "the frozen process to be gone", func() bool { return !exists(frozen) })
	if n, err := p.Increase(t.Context(), 1); n != 1 || err != nil {
		t.Errorf("the new one: %d, %v", n, err)
	}
}

// A call without a deadline ends too, because of the health checks.
func TestFrozenWithoutADeadline(t *testing.T) {
	t.Parallel()
	opts := impatient(`{"endless": true}`)
	opts.PingInterval = 50 * time.Millisecond
	p := start(t, opts)
	frozen := p.Status().PID
	done := make(chan error, 1)
	go func() { done <- p.Update(context.Background(), func(string, provider.State) {}) }()
	// On a busy machine the plugin may have missed two questions before it is frozen, and be gone: the call ends the same way.
	_ = syscall.Kill(frozen, syscall.SIGSTOP)
	if err := <-done; provider.KindOf(err) != provider.KindTransient {
		t.Errorf("the call ended with %v", err)
	}
	until(t, "the frozen process to be gone", func() bool { return !exists(frozen) })
}

func TestCloseOfAFrozenPlugin(t *testing.T) {
	t.Parallel()
	p, err := plugin.Launch(t.Context(), impatient(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	pid := p.Status().PID
	freeze(t, pid)
	if err := p.Close(t.Context()); err == nil {
		t.Error("Close does not say that Shutdown was not heard")
	}
	if exists(pid) {
		t.Error("the frozen process is still there")
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := p.Increase(t.Context(), 1); provider.KindOf(err) != provider.KindTransient {
		t.Errorf("a call after Close: %v", err)
	}
}

func TestCloseCallsShutdownAndEndsTheGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark, sleeper := filepath.Join(dir, "mark"), filepath.Join(dir, "sleeper")
	p, err := plugin.Launch(t.Context(), quick(fmt.Sprintf(`{"shutdown_mark": %q, "spawn_sleeper": %q}`, mark, sleeper)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Init(t.Context(), nil, provider.Settings{}); err != nil {
		t.Fatal(err)
	}
	pid, child := p.Status().PID, readPID(t, sleeper)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the plugin's Shutdown was not called: %v", err)
	}
	until(t, "plugin and child to be gone", func() bool { return !exists(pid) && !exists(child) })
}

func readPID(t *testing.T, file string) int {
	t.Helper()
	var pid int
	raw, err := os.ReadFile(file)
	if err == nil {
		_, err = fmt.Sscan(string(raw), &pid)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// The death of a plugin is noticed although its child keeps its standard error open.
func TestDeathIsSeenThroughAHeldPipe(t *testing.T) {
	t.Parallel()
	sleeper := filepath.Join(t.TempDir(), "sleeper")
	p := start(t, quick(fmt.Sprintf(`{"spawn_sleeper": %q}`, sleeper)))
	child := readPID(t, sleeper)
	signal(t, p.Status().PID, syscall.SIGKILL)
	untilBack(t, p, 1)
	until(t, "the dead plugin's child to be gone", func() bool { return !exists(child) })
}

// A service manager sends its signal to all processes of a service. The plugin runs until its host ends it.
func TestSignalsAreLeftToTheHost(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{}`))
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
		signal(t, p.Status().PID, s)
	}
	for range 20 {
		list(t, p)
	}
	if s := p.Status(); !s.Up || s.Restarts != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestAnotherGroupIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "group")
	write(t, file, "one")
	p := start(t, quick(fmt.Sprintf(`{"group_from": %q}`, file)))
	write(t, file, "two")
	signal(t, p.Status().PID, syscall.SIGKILL)
	until(t, "the refusal", func() bool {
		_, err := p.Increase(t.Context(), 1)
		return provider.KindOf(err) == provider.KindConfig && strings.Contains(err.Error(), "memory/two")
	})
	write(t, file, "one")
	untilBack(t, p, 1)
	if p.Info().ID != "memory/one" {
		t.Errorf("info %+v", p.Info())
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestCloseWhileAway(t *testing.T) {
	t.Parallel()
	opts := quick(`{}`)
	opts.RelaunchMin = time.Hour
	p := start(t, opts)
	signal(t, p.Status().PID, syscall.SIGKILL)
	until(t, "the death to be noticed", func() bool { return !p.Status().Up })
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// What Describe learned is what Info says from then on, and not what the first Init said: every list compares the limit with it.
func TestDescribeIsKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "size")
	write := func(size string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("5")
	p := start(t, quick(fmt.Sprintf(`{"group": "g", "size_from": %q}`, file)))
	write("7")
	info, err := p.Describe(t.Context())
	if err != nil || info.MaxSize != 7 || p.Info().MaxSize != 7 {
		t.Errorf("Describe says %d, %v, and Info says %d", info.MaxSize, err, p.Info().MaxSize)
	}
	write("9")
	signal(t, p.Status().PID, syscall.SIGKILL)
	until(t, "the new process and its limit", func() bool { return p.Status().Restarts > 0 && p.Status().Up && p.Info().MaxSize == 9 })
}

// Describe asks a second process, and leaves the one in use alone. What it says is then what Info says.
func TestDescribe(t *testing.T) {
	t.Parallel()
	p := start(t, quick(`{"group": "g"}`))
	before := p.Status()
	info, err := p.Describe(t.Context())
	if err != nil || info.ID != "memory/g" || info.MaxSize != 100 || fmt.Sprint(info) != fmt.Sprint(p.Info()) {
		t.Errorf("%+v, %v; Info says %+v", info, err, p.Info())
	}
	if after := p.Status(); after != before {
		t.Errorf("status %+v became %+v", before, after)
	}
	if err := p.Update(t.Context(), func(string, provider.State) {}); err != nil {
		t.Errorf("the process in use: %v", err)
	}
	if _, err := launch(t, quick(`{"group": "g"}`)).Describe(t.Context()); !errors.Is(err, provider.ErrAway) {
		t.Errorf("before Init: %v", err)
	}
}
