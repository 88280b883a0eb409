package main

import (
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/taskscaler/taskscaler/internal/test/soak/check"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// quietFor is the time between two lines if the output is not a terminal.
const quietFor = 30 * time.Second

// view shows the progress. On a terminal it updates one line in place; elsewhere it prints a line from time to time.
type view struct {
	mu      sync.Mutex
	w       io.Writer
	width   func() int // of the terminal; nil: not a terminal
	start   time.Time
	printed time.Time // when the latest line was printed
	drawn   bool      // the terminal shows a line that must be erased
	load    string
	state   string
	tally   tally
}

func newView(w io.Writer, width func() int) *view {
	now := time.Now()
	return &view{w: w, width: width, start: now, printed: now}
}

// say prints a line that is not erased.
func (v *view) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	_, _ = fmt.Fprintf(v.w, "%6.1fs  %s\n", time.Since(v.start).Seconds(), fmt.Sprintf(format, args...))
}

// phase sets the name of the current load.
func (v *view) phase(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.load = name
}

// fleet sets the latest status.
func (v *view) fleet(f *taskscaler.Status) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = fmt.Sprintf("%d ready, %d booting, %d being deleted; %d leased, %d waiting", f.Counts.ReadyCount,
		f.Counts.Requested+f.Counts.Creating+f.Counts.Preparing, f.Counts.Draining+f.Counts.Deleting, f.Counts.Leases, f.Counts.Waiters)
}

// jobs sets the tally and shows all numbers.
func (v *view) jobs(t tally) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tally = t
	line := fmt.Sprintf("%5.0fs %-11s instances: %s; jobs: %d running, %d ok, %d lost, %d refused, %d killed", time.Since(v.start).Seconds(), v.load,
		v.state, t.running, t.ok, t.lost, t.refused, t.hurt)
	switch {
	case v.width != nil:
		v.erase()
		_, _ = fmt.Fprintf(v.w, "%.*s", max(v.width()-1, 0), line) // a wrapped line cannot be erased
		v.drawn = true
	case time.Since(v.printed) >= quietFor:
		v.printed = time.Now()
		_, _ = fmt.Fprintln(v.w, line)
	}
}

// end removes the line from the terminal.
func (v *view) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
}

func (v *view) erase() {
	if v.drawn {
		_, _ = fmt.Fprint(v.w, "\r\x1b[K")
		v.drawn = false
	}
}

// table prints the results of a soak.
func table(w io.Writer, f *check.Figures) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("jobs", "%d: %d got their exit code, %d lost their lease, %d were refused while no manager served, %d were cancelled, %d were killed",
		f.Jobs, f.OK, f.Lost, f.Refused, f.Cancelled, f.Killed)
	row("instances", "%d: %d deleted, %d reclaimed, %d died, %d vanished", f.Instances, f.Ends[record.Deleted], f.Ends[record.Reclaimed],
		f.Ends[record.Died], f.Ends[record.Vanished])
	row("kills", "manager %d, plugin %d (and %d frozen), clients %d (and %d interrupted), instances %d (and %d broken)",
		f.Kills[check.ManagerKilled], f.Kills[check.PluginKilled], f.Kills[check.PluginFrozen], f.Kills[check.ClientKilled],
		f.Kills[check.ClientCancelled], f.Kills[check.MachineKilled], f.Kills[check.MachineBroken])
	row("restarts", "%d", f.Restarts)
	row("longest wait", "%s from the request of a job to its answer", f.LongestJob.Round(time.Millisecond))
	row("evidence", "%d recorded commands of jobs, %d answers of status", f.Commands, f.Statuses)
	return t.Flush()
}
