package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

func aStatus() control.Status {
	failing := time.Date(2026, 1, 1, 11, 0, 0, 0, time.UTC)
	fleet := &taskscaler.Status{
		Ready: true, Started: true, Draining: true, Group: taskscaler.GroupStatus{ID: "fake/x", Capacity: 2, MaxInstances: 5},
		Sizing:  taskscaler.SizingStatus{Sentence: "needed 2 = leased 2"},
		Counts:  taskscaler.Counts{ReadyCount: 1, Leases: 2, Waiters: 3},
		Waiting: taskscaler.WaitingStatus{Cause: "boot", Sentence: "3 jobs are waiting for instances to boot"},
		Plugin:  taskscaler.PluginStatus{Away: true, Error: "it ended"},
		Lists:   taskscaler.ListsStatus{Failing: true, Since: &failing, Failures: 14, Error: "no console"},
		Failing: []taskscaler.FailingStatus{{Call: "Decrease", Instance: "i-0", Since: failing, Failures: 3, Error: "locked"}, {Call: "Increase", Since: failing, Failures: 1, Error: "no quota"}},
		Commit:  taskscaler.CommitStatus{Failing: true, Error: "disk full"},
		Hold:    &taskscaler.HoldStatus{Count: 1, Cause: "quota", Sentence: "1 of 2 needed instances, because an account limit of the provider is reached"},
		Breaker: &taskscaler.BreakerStatus{Failures: 4},
		Backoff: &taskscaler.BackoffStatus{Until: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), Cause: "quota"},
		Instances: []taskscaler.InstanceStatus{
			{ID: "i-1", State: "ready", Uses: 4, Leases: []taskscaler.LeaseStatus{{Key: "a", Slot: 0}, {Key: "b", Slot: 1, Detached: true}}},
			{ID: "i-10", State: "creating", Uses: 1},
			{ID: "i-0", State: "gone", Cause: "idle", Uses: 1},
			{ID: "i-2", State: "ready"},
		},
	}
	fleet.MoreInstances = 7
	next := time.Date(2026, 1, 1, 0, 0, 20, 0, time.UTC)
	return control.Status{
		Manager: control.ManagerInfo{PID: 7, Version: "v1", Started: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Config: "/etc/config.toml"},
		Runners: []control.RunnerStatus{
			{Name: "one", ID: "12", Position: 1, Identity: "one", Fleet: fleet}, {Name: "two", Position: 2, Refused: "because"},
			{Name: "three", Position: 3, Failed: "no plugin", Tries: 2, NextTry: &next},
		},
	}
}

func TestStatusText(t *testing.T) {
	var out bytes.Buffer
	if err := showText(&out, aStatus()); err != nil {
		t.Fatal(err)
	}
	want := `manager  pid 7, v1, since 2026-01-01T00:00:00Z, /etc/config.toml

runner 1   one (id 12)
state      ready, draining
group      fake/x
instances  1 ready, 0 preparing, 0 creating, 0 requested, 0 draining, 0 deleting, 0 unclaimed (max 5)
slots      2 leased, 0 free; 3 waiting, 0 reserved
sizing     needed 2 = leased 2
waiting    3 jobs are waiting for instances to boot
held back  1 of 2 needed instances, because an account limit of the provider is reached
breaker    the runaway breaker is open: 4 instances in a row failed; one instance at a time is created until one works
back-off   no instance is created until 12:00:00 (quota)
plugin     does not answer: it ended
lists      fail since 11:00:00 (14 in a row): no console
failing    Decrease i-0, since 11:00:00 (3 in a row): locked
failing    Increase, since 11:00:00 (1 in a row): no quota
store      cannot be written: disk full
  i-1      ready, 4 uses; slot 0: a; slot 1: b (detached)
  i-2      ready, 0 uses
  i-10     creating, 1 use
  1 more   gone or lost within the last hour; --all shows them
  7 more   instances; --all shows them

runner 2  two: not started: because

runner 3  three: not started: no plugin
          tried 2 times, and again at 2026-01-01T00:00:20Z or at a reload
`
	if got := out.String(); got != want {
		t.Errorf("%s", got)
	}
	out.Reset()
	if err := showAll(&out, aStatus()); err != nil || !strings.Contains(out.String(), "  i-10     creating, 1 use\n  i-0      gone (idle), 1 use\n") {
		t.Errorf("with all instances: %v, %s", err, out.String())
	}
}

func TestStatusShowsTheLastReload(t *testing.T) {
	s := aStatus()
	s.Reload = &control.Reload{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Reloaded: []string{"one"}}
	var out bytes.Buffer
	if err := showText(&out, s); err != nil || !strings.Contains(out.String(), "\nreload   at 2026-01-02T03:04:05Z: 1 runner reloaded\n") {
		t.Errorf("%v, %s", err, out.String())
	}
	s.Reload.Problems = []string{"plugin changed: restart the manager", "first\nsecond"}
	out.Reset()
	if err := showText(&out, s); err != nil || !strings.Contains(out.String(), "\nreload   at 2026-01-02T03:04:05Z: plugin changed: restart the manager\n"+
		"reload   at 2026-01-02T03:04:05Z: first\n         second\n") {
		t.Errorf("%v, %s", err, out.String())
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		text          string
		columns, rows int
		want          string
	}{
		{"a\nb\n", 10, 3, "a\nb\n"},
		{"a\nb\nc\n", 20, 3, "a\n… 2 more lines\n"},
		{"äöüß\n", 4, 5, "äöüß\n"},
		{"äöüßé\n", 4, 5, "äöü…\n"},
	} {
		if got := fit(c.text, c.columns, c.rows); got != c.want {
			t.Errorf("%q in %d×%d: %q, want %q", c.text, c.columns, c.rows, got, c.want)
		}
	}
}

func TestStatusJSON(t *testing.T) {
	var out bytes.Buffer
	if err := showJSON(&out, aStatus()); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Errorf("not one line: %q", out.String())
	}
	var back control.Status
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back.Runners[0].Fleet.Instances[0].Leases[1].Key != "b" {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	asked := 0
	err := watchStatus(ctx, &out, func() (control.Status, error) {
		if asked++; asked == 2 {
			cancel()
		}
		return aStatus(), nil
	}, showJSON)
	if err != nil || bytes.Count(out.Bytes(), []byte("\n")) != 1 || bytes.Contains(out.Bytes(), []byte("\x1b")) {
		t.Errorf("%v, %q", err, out.String())
	}
	gone := errors.New("gone")
	if err := watchStatus(t.Context(), &out, func() (control.Status, error) { return control.Status{}, gone }, showText); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

// TestWatchWithoutReader: a reader that goes ends it quietly, as with `status --watch | head -1`. What fails otherwise is still said.
func TestWatchWithoutReader(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (control.Status, error) { return aStatus(), nil }
	_ = r.Close()
	if err := watchStatus(t.Context(), w, ask, showText); err != nil {
		t.Errorf("without a reader: %v", err)
	}
	if err := unlessUnread(showJSON(w, aStatus())); err != nil {
		t.Errorf("once, without a reader: %v", err)
	}
	_ = w.Close()
	if err := watchStatus(t.Context(), w, ask, showText); !errors.Is(err, os.ErrClosed) {
		t.Errorf("another error: %v", err)
	}
}

// TestStatusOfAShutdownAfterADrain: both are said.
func TestStatusOfAShutdownAfterADrain(t *testing.T) {
	status := aStatus()
	status.Runners[0].Fleet.ShuttingDown = true
	var out bytes.Buffer
	if err := showText(&out, status); err != nil || !strings.Contains(out.String(), "ready, draining, shutting down\n") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}
