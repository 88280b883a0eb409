package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// showText prints the status as readable text.
func showText(w io.Writer, status control.Status) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	m := status.Manager
	line(out, "manager\tpid %d, %s, since %s, %s", m.PID, m.Version, m.Started.Format(time.RFC3339), m.Config)
	for _, r := range status.Runners {
		line(out, "")
		name := r.Name
		if r.ID != "" {
			name += " (id " + r.ID + ")"
		}
		if r.Fleet == nil {
			line(out, "runner %d\t%s: not started: %s", r.Position, name, r.Refused)
			continue
		}
		line(out, "runner %d\t%s", r.Position, name)
		showFleet(out, r.Fleet)
	}
	return out.Flush()
}

func showFleet(out io.Writer, f *taskscaler.Status) {
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
	if f.Commit.Failing {
		line(out, "store\tcannot be written: %s", f.Commit.Error)
	}
	for _, i := range f.Instances {
		state := i.State
		if i.Cause != "" {
			state += " (" + i.Cause + ")"
		}
		line(out, "  %s\t%s, %d uses%s", i.ID, state, i.Uses, leases(i.Leases))
	}
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
	add(f.Paused, "paused: another manager seems to use the group")
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
