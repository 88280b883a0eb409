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

// quietFor is how often a line is printed where there is no terminal.
const quietFor = 30 * time.Second

// view shows how it goes: on a terminal one line that is written over itself, elsewhere a line now and then.
type view struct {
	mu      sync.Mutex
	w       io.Writer
	width   func() int // of the terminal; nil: it is none
	start   time.Time
	printed time.Time // when the last plain line was
	drawn   bool      // there is a line on the terminal that is to be written over
	load    string
	state   string
	tally   tally
}

func newView(w io.Writer, width func() int) *view {
	now := time.Now()
	return &view{w: w, width: width, start: now, printed: now}
}

// say prints a line that stays.
func (v *view) say(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
	_, _ = fmt.Fprintf(v.w, "%6.1fs  %s\n", time.Since(v.start).Seconds(), fmt.Sprintf(format, args...))
}

// phase says which load there is.
func (v *view) phase(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.load = name
}

// fleet takes in a status.
func (v *view) fleet(f *taskscaler.Status) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = fmt.Sprintf("%d ready, %d to come, %d going; %d leased, %d wait", f.Counts.ReadyCount,
		f.Counts.Requested+f.Counts.Creating+f.Counts.Preparing, f.Counts.Draining+f.Counts.Deleting, f.Counts.Leases, f.Counts.Waiters)
}

// jobs takes in the tally, and shows everything.
func (v *view) jobs(t tally) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tally = t
	line := fmt.Sprintf("%5.0fs %-11s instances: %s; jobs: %d run, %d ok, %d lost, %d refused, %d killed", time.Since(v.start).Seconds(), v.load,
		v.state, t.running, t.ok, t.lost, t.refused, t.hurt)
	switch {
	case v.width != nil:
		v.erase()
		_, _ = fmt.Fprintf(v.w, "%.*s", max(v.width()-1, 0), line) // a line that is wrapped could not be taken away
		v.drawn = true
	case time.Since(v.printed) >= quietFor:
		v.printed = time.Now()
		_, _ = fmt.Fprintln(v.w, line)
	}
}

// end leaves the terminal clean.
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

// table prints the figures of a soak.
func table(w io.Writer, f *check.Figures) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("jobs", "%d: %d told their exit code, %d that their lease was lost, %d refused while no manager served, %d cancelled, %d killed",
		f.Jobs, f.OK, f.Lost, f.Refused, f.Cancelled, f.Killed)
	row("instances", "%d: %d deleted, %d reclaimed, %d died, %d vanished", f.Instances, f.Ends[record.Deleted], f.Ends[record.Reclaimed],
		f.Ends[record.Died], f.Ends[record.Vanished])
	row("kills", "manager %d, plugin %d (and %d frozen), clients %d (and %d interrupted), instances %d (and %d broken)",
		f.Kills[check.ManagerKilled], f.Kills[check.PluginKilled], f.Kills[check.PluginFrozen], f.Kills[check.ClientKilled],
		f.Kills[check.ClientCancelled], f.Kills[check.MachineKilled], f.Kills[check.MachineBroken])
	row("restarts", "%d", f.Restarts)
	row("longest wait", "%s from a job's request to its answer", f.LongestJob.Round(time.Millisecond))
	row("witnesses", "%d commands of jobs recorded, %d answers of status", f.Commands, f.Statuses)
	return t.Flush()
}
