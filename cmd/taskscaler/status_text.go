package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// showText prints the status as readable text. Instances that are gone are only counted.
func showText(w io.Writer, status control.Status) error { return printStatus(w, status, false) }

// showAll is showText with every instance that the manager remembers.
func showAll(w io.Writer, status control.Status) error { return printStatus(w, status, true) }

func printStatus(w io.Writer, status control.Status, all bool) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	m := status.Manager
	line(out, "manager\tpid %d, %s, since %s, %s", m.PID, m.Version, m.Started.Format(time.RFC3339), m.Config)
	if r := status.Reload; r != nil {
		at := r.At.Format(time.RFC3339)
		if len(r.Problems) == 0 {
			line(out, "reload\tat %s: %s reloaded", at, words.Count(len(r.Reloaded), "runner"))
		}
		for _, p := range r.Problems {
			line(out, "reload\tat %s: %s", at, strings.ReplaceAll(p, "\n", "\n\t"))
		}
		for _, p := range r.Warnings {
			line(out, "reload\twarning: %s", p)
		}
	}
	for _, r := range status.Runners {
		line(out, "")
		name := r.Name
		if r.ID != "" {
			name += " (id " + r.ID + ")"
		}
		if r.Starting {
			line(out, "runner %d\t%s: starting: the manager waits for the plugin", r.Position, name)
			continue
		}
		if r.Fleet == nil {
			line(out, "runner %d\t%s: not started: %s", r.Position, name, r.Refused)
			continue
		}
		line(out, "runner %d\t%s", r.Position, name)
		if r.Held > 0 {
			line(out, "held\t%s: waiting for the end of the drain", words.Count(r.Held, "job"))
		}
		showFleet(out, r.Fleet, all)
	}
	return out.Flush()
}

func showFleet(out io.Writer, f *taskscaler.Status, all bool) {
	c := f.Counts
	line(out, "state\t%s", stateOf(f))
	line(out, "group\t%s", f.Group.ID)
	line(out, "instances\t%d ready, %d preparing, %d creating, %d requested, %d draining, %d deleting, %d unclaimed (max %s)", c.ReadyCount, c.Preparing,
		c.Creating, c.Requested, c.Draining, c.Deleting, c.Unclaimed, limit(f.Group.MaxInstances))
	line(out, "slots\t%d leased, %d free; %d waiting, %d reserved", c.Leases, c.Free, c.Waiters, c.Reservations)
	line(out, "sizing\t%s", f.Sizing.Sentence)
	if f.Waiting.Sentence != "" {
		line(out, "waiting\t%s", f.Waiting.Sentence)
	}
	if f.Hold != nil {
		line(out, "held back\t%s", f.Hold.Sentence)
	}
	if f.Breaker != nil {
		line(out, "breaker\t%s%s", observe.Breaker(f.Breaker.Failures), observe.Latest(f.Breaker.Latest))
	}
	if f.Backoff != nil {
		line(out, "back-off\tno instance is created until %s (%s)%s", f.Backoff.Until.Format(time.TimeOnly), f.Backoff.Cause, observe.Latest(f.Backoff.Latest))
	}
	if f.Plugin.Away {
		line(out, "plugin\tdoes not answer: %s", f.Plugin.Error)
	}
	for _, u := range f.Plugin.Unanswered {
		line(out, "plugin\t%s", u)
	}
	if l := &f.Lists; l.Failing {
		line(out, "lists\tfail since %s (%d in a row): %s", l.Since.Format(time.TimeOnly), l.Failures, l.Error)
	}
	showFailing(out, f.Failing)
	if f.Commit.Failing {
		line(out, "store\tcannot be written: %s", f.Commit.Error)
	}
	showInstances(out, f.Instances, all)
}

// mostFailing is how many failing calls are listed.
const mostFailing = 5

// showFailing lists the calls to the provider and the connections that fail now.
func showFailing(out io.Writer, failing []taskscaler.FailingStatus) {
	for n, c := range failing {
		if n == mostFailing {
			line(out, "failing\tand %d more", len(failing)-n)
			return
		}
		what := c.Call
		if c.Instance != "" {
			what += " " + c.Instance
		}
		line(out, "failing\t%s, since %s (%d in a row): %s", what, c.Since.Format(time.TimeOnly), c.Failures, c.Error)
	}
}

// showInstances lists the instances in the natural order of their ids: those that exist first, then those that are gone, or their number.
func showInstances(out io.Writer, instances []taskscaler.InstanceStatus, all bool) {
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
		line(out, "  %s\t%s, %s%s", i.ID, state, words.Count(i.Uses, "use"), leases(i.Leases))
	}
	if gone > 0 {
		line(out, "  %d more\tgone or lost within the last hour; --all shows them", gone)
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

func leases(ls []taskscaler.LeaseStatus) string {
	var b strings.Builder
	for _, l := range ls {
		fmt.Fprintf(&b, "; slot %d: %s", l.Slot, l.Key)
		if l.Detached {
			b.WriteString(" (detached)")
		}
	}
	return b.String()
}

func limit(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// line prints one line. Flush returns write errors.
func line(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
