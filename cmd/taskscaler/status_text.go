package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// showText prints the status as readable text. Instances that are gone are only counted.
func showText(w io.Writer, status control.Status) error { return printStatus(w, status, false) }

// showAll is showText with every instance that the manager remembers.
func showAll(w io.Writer, status control.Status) error { return printStatus(w, status, true) }

func printStatus(w io.Writer, status control.Status, all bool) error {
	out := newTable(w)
	m := status.Manager
	out.line("manager", "pid %d, %s, since %s, %s", m.PID, m.Version, m.Started.Format(time.RFC3339), m.Config)
	if r := status.Reload; r != nil {
		at := r.At.Format(time.RFC3339)
		if len(r.Problems) == 0 {
			out.line("reload", "at %s: %s reloaded", at, words.Count(len(r.Reloaded), "runner"))
		}
		for _, p := range r.Problems {
			name, what := "reload", "at "+at+": "
			for one := range strings.Lines(string(safetext.Lines(p))) {
				out.line(name, "%s%s", what, strings.TrimSpace(one))
				name, what = "", ""
			}
		}
		for _, p := range r.Warnings {
			out.line("reload", "warning: %s", p)
		}
	}
	for _, r := range status.Runners {
		out.gap()
		name := safetext.Sprintf("%s", r.Name)
		if r.ID != "" {
			name = safetext.Sprintf("%s (id %s)", r.Name, r.ID)
		}
		switch {
		case r.Starting:
			out.line(label(r), "%s: starting: the manager waits for the plugin", name)
			continue
		case r.Fleet == nil && r.Failed != "":
			out.line(label(r), "%s: not started: %s", name, r.Failed)
			if r.NextTry != nil {
				out.line("", "tried %s, and again at %s or at a reload", words.Count(r.Tries, "time"), r.NextTry.Format(time.RFC3339))
			}
			continue
		case r.Fleet == nil:
			out.line(label(r), "%s: not started: %s", name, r.Refused)
			continue
		}
		out.line(label(r), "%s", name)
		if r.Held > 0 {
			out.line("held", "%s: waiting for the end of the drain", words.Count(r.Held, "job"))
		}
		showFleet(out, r.Fleet, all)
	}
	return out.end()
}

// label is the name of a runner's first line.
func label(r control.RunnerStatus) string { return fmt.Sprintf("runner %d", r.Position) }

func showFleet(out *table, f *taskscaler.Status, all bool) {
	c := f.Counts
	out.line("state", "%s", stateOf(f))
	out.line("group", "%s", f.Group.ID)
	out.line("instances", "%d ready, %d preparing, %d creating, %d requested, %d draining, %d deleting, %d unclaimed (max %s)", c.ReadyCount, c.Preparing,
		c.Creating, c.Requested, c.Draining, c.Deleting, c.Unclaimed, limit(f.Group.MaxInstances))
	out.line("slots", "%d leased, %d free; %d waiting, %d reserved", c.Leases, c.Free, c.Waiters, c.Reservations)
	out.line("sizing", "%s", f.Sizing.Sentence)
	if f.Waiting.Sentence != "" {
		out.line("waiting", "%s", f.Waiting.Sentence)
	}
	if f.Hold != nil {
		out.line("held back", "%s", f.Hold.Sentence)
	}
	if f.Breaker != nil {
		out.line("breaker", "%s%s", observe.Breaker(f.Breaker.Failures), observe.Latest(f.Breaker.Latest))
	}
	if f.Backoff != nil {
		out.line("back-off", "no instance is created until %s (%s)%s", f.Backoff.Until.Format(time.TimeOnly), f.Backoff.Cause, observe.Latest(f.Backoff.Latest))
	}
	if f.Plugin.Away {
		out.line("plugin", "does not answer: %s", f.Plugin.Error)
	}
	for _, u := range f.Plugin.Unanswered {
		out.line("plugin", "%s", u)
	}
	if l := &f.Lists; l.Failing {
		out.line("lists", "fail since %s (%d in a row): %s", l.Since.Format(time.TimeOnly), l.Failures, l.Error)
	}
	showFailing(out, f.Failing)
	if f.Commit.Failing {
		out.line("store", "cannot be written: %s", f.Commit.Error)
	}
	showInstances(out, f.Instances, all)
	if f.MoreInstances > 0 {
		out.line(fmt.Sprintf("  %d more", f.MoreInstances), "instances; --all shows them")
	}
}

// mostFailing is how many failing calls are listed.
const mostFailing = 5

// showFailing lists the calls to the provider and the connections that fail now.
func showFailing(out *table, failing []taskscaler.FailingStatus) {
	for n, c := range failing {
		if n == mostFailing {
			out.line("failing", "and %d more", len(failing)-n)
			return
		}
		what := c.Call
		if c.Instance != "" {
			what += " " + c.Instance
		}
		out.line("failing", "%s, since %s (%d in a row): %s", what, c.Since.Format(time.TimeOnly), c.Failures, c.Error)
	}
}

// showInstances lists the instances in the natural order of their ids: those that exist first, then those that are gone, or their number.
func showInstances(out *table, instances []taskscaler.InstanceStatus, all bool) {
	sorted := slices.Clone(instances)
	slices.SortStableFunc(sorted, func(a, b taskscaler.InstanceStatus) int {
		return cmp.Or(cmp.Compare(btoi(over(a)), btoi(over(b))), words.CompareNatural(a.ID, b.ID))
	})
	gone := 0
	for _, i := range sorted {
		if over(i) && !all {
			gone++
			continue
		}
		state := i.State
		if i.Cause != "" {
			state += " (" + i.Cause + ")"
		}
		if i.Unreachable {
			state += ", the provider cannot say how to reach it"
		}
		out.line("  "+i.ID, "%s, %s%s", state, words.Count(i.Uses, "use"), leases(i.Leases))
	}
	if gone > 0 {
		out.line(fmt.Sprintf("  %d more", gone), "gone or lost within the last hour; --all shows them")
	}
}

// over reports whether the instance no longer exists.
func over(i taskscaler.InstanceStatus) bool {
	return i.State == record.Gone.String() || i.State == record.Lost.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func stateOf(f *taskscaler.Status) string {
	var words []string
	add := func(on bool, word string) {
		if on {
			words = append(words, word)
		}
	}
	add(f.Ready, "ready")
	add(!f.Ready, "not ready: "+f.NotReady)
	add(f.Draining, "draining")
	add(f.ShuttingDown, "shutting down")
	add(f.Paused, "creates paused: another manager seems to use the group")
	return strings.Join(words, ", ")
}

func leases(ls []taskscaler.LeaseStatus) safetext.Text {
	var b strings.Builder
	for _, l := range ls {
		_, _ = safetext.Fprintf(&b, "; slot %d: %s", l.Slot, l.Key)
		if l.Detached {
			b.WriteString(" (detached)")
		}
	}
	return safetext.Text(b.String())
}

func limit(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}
