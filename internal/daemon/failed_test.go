package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// A runner that cannot be started is tried again after 10 s, and later after at most 5 min.
func TestPausesOfRetries(t *testing.T) {
	r := newRunner(config.Runner{Name: "x"}, slog.New(slog.DiscardHandler))
	for n, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute} {
		began := time.Now()
		if pause := r.fail(errors.New("no plugin")); pause != want {
			t.Errorf("pause %d is %s, not %s", n+1, pause, want)
		}
		f := r.failure()
		if f.tries != n+1 || f.next.Sub(began) < want || f.next.Sub(began) > want+time.Minute {
			t.Errorf("after try %d: %+v", n+1, f)
		}
	}
	for range 100 {
		if pause := r.fail(errors.New("no plugin")); pause != lastRetry {
			t.Fatalf("a later pause is %s", pause)
		}
	}
}

// Whoever asks for a runner that has not started is told why, with a code by which clients ask again. A drain of all is for those that have started.
func TestAnswersOfAFailedRunner(t *testing.T) {
	file := parse(t, t.TempDir(), "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"nosuch\"\n"+
		"[[runners]]\nname = \"y\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"nosuch\"\n")
	d, err := newDaemon(Options{File: file, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range d.runners {
		r.fail(errors.New("no\nplugin"))
	}
	close(d.begun)
	for name, err := range map[string]error{
		"Runner": func() error { _, err := d.Runner("x"); return err }(), "Drain": d.Drain(t.Context(), "x"), "Undrain": d.Undrain(t.Context(), "x"), "Ready": d.Ready(),
	} {
		if !errors.Is(err, &control.APIError{Code: control.CodeNotReady}) || !strings.Contains(err.Error(), "not started: no") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Drain(t.Context(), ""); err != nil {
		t.Errorf("a drain of all: %v", err)
	}
	s, err := d.Status(t.Context(), "", 0)
	if err != nil || len(s.Runners) != 2 || s.Runners[0].Failed == "" || strings.Contains(s.Runners[0].Failed, "\n") || s.Runners[0].Tries != 1 || s.Runners[0].NextTry == nil {
		t.Errorf("status: %+v, %v", s, err)
	}
	if err := d.Shutdown(t.Context()); err != nil {
		t.Errorf("a shutdown without a manager: %v", err)
	}
}

// If no runner can be started, the start fails with the faults of all.
func TestNoRunnerStarts(t *testing.T) {
	dir := t.TempDir()
	file := parse(t, dir, "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"nosuch\"\n"+
		"[[runners]]\nname = \"y\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"registry.example.com/group/none:1\"\n")
	_, err := Start(t.Context(), Options{File: file, Logger: slog.New(slog.DiscardHandler), Plugins: plugin.FindOptions{Beside: dir}})
	if err == nil || !strings.Contains(err.Error(), "is not installed") || !strings.Contains(err.Error(), "names a registry") {
		t.Errorf("got %v", err)
	}
}

// The fault that a plugin finds may be in a file that plugin_config names, so the hint does not send people to plugin_config alone.
func TestHintOfAPluginThatRefusesItsConfiguration(t *testing.T) {
	dir := t.TempDir()
	installPlugin(t, dir)
	file := parse(t, dir, "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\n[runners.autoscaler.plugin_config]\nnosuch = 1\n")
	_, err := Start(t.Context(), Options{File: file, Logger: slog.New(slog.DiscardHandler), Plugins: plugin.FindOptions{Beside: dir}})
	if err == nil || !strings.Contains(err.Error(), "nosuch") || !strings.Contains(err.Error(), "; correct plugin_config, or the file that this message names") {
		t.Errorf("got %v", err)
	}
}

// hang is reached only by what hangs.
const hang = time.Minute

// The manager of a runner that has started on a later try is watched as each other one is: when it stops, the process is told.
func TestRetriedRunnerIsWatched(t *testing.T) {
	dir := t.TempDir()
	installPlugin(t, dir)
	file := parse(t, dir, "[[runners]]\nname = \"x\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"fake\"\n")
	d, err := newDaemon(Options{File: file, Logger: slog.New(slog.DiscardHandler), Plugins: plugin.FindOptions{Beside: dir}})
	if err != nil {
		t.Fatal(err)
	}
	r := d.runners[0]
	r.fail(errors.New("no plugin"))
	r.corrected <- r.conf // so it is tried at once
	limited, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	d.retry(limited, t.Context(), r)
	if r.running() == nil {
		t.Fatalf("it has not started: %v", r.failure().err)
	}
	if err := r.running().Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case err := <-d.Stopped():
		if !errors.Is(err, taskscaler.ErrShutdown) || !strings.Contains(err.Error(), `runner "x"`) {
			t.Errorf("got %v", err)
		}
	case <-limited.Done():
		t.Error("the manager has stopped, and nothing says so")
	}
	if err := d.Abandon(); err != nil {
		t.Error(err)
	}
}

// A runner may have started although a shutdown has ended the tries. It is shut down with the others.
func TestShutdownOfARunnerThatHasJustStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunner(aRunner(t, t.TempDir(), ""), slog.New(slog.DiscardHandler))
		r.state = mustOpen(t, r.file, false)
		manager := oneManager(t.Context(), t)
		prepare, end := context.WithCancel(t.Context())
		d := &Daemon{runners: []*runner{r}, endRetries: end}
		d.retries.Go(func() { // a try that has passed the last point at which it can be ended
			<-prepare.Done()
			time.Sleep(time.Second)
			r.begun(manager)
		})
		if err := d.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		select {
		case <-manager.Done():
		default:
			t.Error("its manager still runs")
		}
	})
}
