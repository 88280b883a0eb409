package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// prints runs taskscaler and returns its output. The exit code must be 0.
func (w *world) prints(args ...string) string {
	w.t.Helper()
	p := w.start(args...)
	if code := p.wait(); code != 0 {
		w.t.Fatalf("%s: exit code %d:\n%s", p.name, code, tail(p.stderr.String()))
	}
	return p.stdout.String()
}

// explained returns the output of `taskscaler explain --json`.
func (w *world) explained(args ...string) *explain.Document {
	w.t.Helper()
	out := w.prints(append([]string{"explain", "--json", "--utc"}, args...)...)
	d := &explain.Document{}
	if err := json.Unmarshal([]byte(out), d); err != nil || d.Schema != explain.Schema {
		w.t.Fatalf("explain %q: %v\n%s", args, err, out)
	}
	return d
}

// contains checks that text contains all of these words.
func (w *world) contains(text string, words ...string) {
	w.t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			w.t.Errorf("the text does not contain %q:\n%s", word, text)
		}
	}
}

// TestExplain: explain shows the decisions of a manager while it runs, after it was killed, while the next manager runs, and after that one
// has stopped.
func TestExplain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, settings{autoscaler: "max_instances = 2\ndelete_instances_on_shutdown = true"}.String())
	m := w.manager()
	jobs, letGo := heldJobs(w, 2)
	waiting := w.exec("waiting", "true")
	waiting.says("max_instances")
	journal := w.whileTwoRun()
	busy := time.Now()

	m.signal(syscall.SIGKILL)
	m.wait()
	w.start("explain").refused(1, "no manager is running", "taskscaler run --config FILE", "--config FILE or --journal DIR")
	w.contains(w.prints("explain", "--config", w.config), "2 leases, 1 waiting", `leased to "job-01"`)
	w.contains(w.prints("replay", journal), "asked the provider for ", "1 manager run,")

	m = w.manager()
	w.fleet("all callers are back", func(f *taskscaler.Status) bool { return f.Counts.Waiters == 1 && detached(f) == 0 })
	letGo()
	for i, j := range jobs {
		j.expect(i, "on\noff\n")
	}
	waiting.expect(0, "")
	w.fleet("nothing is leased", func(f *taskscaler.Status) bool { return f.Counts.Leases == 0 })
	w.afterwards(busy)
	w.contains(w.prints("replay", journal), "2 manager runs,")
	w.contains(w.prints("replay"), "2 manager runs,")
	w.contains(w.prints("replay", "--config", w.config), "2 manager runs,")
	m.drained()

	w.contains(w.prints("replay", journal), "2 manager runs,", "removed instance", "the manager is shutting down", "0 instances of at most 2")
	d := w.explained("--config", w.config)
	if d.Runner != "e2e" || d.State.Counts["ready"] != 0 || d.Journal.Lives != 2 || d.Journal.Gaps != 0 {
		t.Errorf("after the end: %+v, %+v", d.Journal, d.State)
	}
	w.empty()
}

// whileTwoRun asks why a third job waits, and returns the path of the journal.
func (w *world) whileTwoRun() (journal string) {
	w.t.Helper()
	w.contains(w.prints("explain"), "runner e2e", "2 instances of at most 2: 2 ready", "1 of 1 needed instance, because max_instances is reached",
		"waiting waits since", "needed 2 = leased ", " appeared:")
	d := w.explained()
	if len(d.State.Waiters) != 1 || d.State.Waiters[0].Cause != "max_instances" || len(d.Decisions) < 3 || d.Waits.Seconds <= 0 {
		w.t.Errorf("now: %+v, %d decisions, waits %+v", d.State, len(d.Decisions), d.Waits)
	}
	found, err := filepath.Glob(filepath.Join(w.dir, ".taskscaler", "*", "journal"))
	if err != nil || len(found) != 1 {
		w.t.Fatalf("journals: %q, %v", found, err)
	}
	return found[0]
}

// afterwards asks about one job, one instance and one moment of the previous manager.
func (w *world) afterwards(busy time.Time) {
	w.t.Helper()
	job := w.explained("--key", "job-00").Key
	if job.State != "done" || len(job.Waits) != 1 || len(job.Leases) != 1 || job.Leases[0].End != "released" || len(job.Waits[0].Split) == 0 {
		w.t.Fatalf("job-00: %+v", job)
	}
	instance := job.Leases[0].Instance
	life := w.explained("--instance", instance).Instance
	var took []string
	for _, u := range life.Leases {
		took = append(took, u.Key)
	}
	if life.State != "ready" || life.Created == nil || life.Created.Sizing.Needed < 1 || took[0] != "job-00" {
		w.t.Errorf("%s: %+v, leases of %q", instance, life, took)
	}
	w.contains(w.prints("explain", "--instance", instance), "created by", "because \"job-0", "a manager started", `"job-00" reattached to its lease`)
	w.contains(w.prints("explain", "--key", "waiting"), "key waiting: done", "waited ", "max_instances", "a manager started: the wait ended with the manager before it",
		"released")
	then := w.explained("--at", busy.UTC().Format(time.RFC3339Nano))
	if then.State.Counts["leases"] != 2 || then.State.Counts["waiters"] != 1 || len(then.Before) == 0 || len(then.After) == 0 {
		w.t.Errorf("then: %+v, %d decisions before, %d after", then.State.Counts, len(then.Before), len(then.After))
	}
	w.start("explain", "--at", "2001-01-01 00:00").refused(1, "is outside the journal: ask for a time from")
	w.start("explain", "--key", "nobody").refused(1, `contains no key "nobody"`)
	w.start("explain", "--key", "a", "--instance", "b").refused(2, "exclude each other")
}
