package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// view shows the fleet: on a terminal a picture that is drawn over itself, elsewhere a line whenever something has changed.
type view struct {
	w      io.Writer
	width  func() int // of the terminal, in columns; nil: it is none
	start  time.Time
	drawn  int               // lines of the picture that is on the terminal
	last   string            // the last plain line about the fleet
	landed map[string]string // key → place, of the jobs whose landing was told
}

// newView shows on w. width is nil where w is no terminal.
func newView(w io.Writer, width func() int) *view {
	return &view{w: w, width: width, start: time.Now(), landed: map[string]string{}}
}

// say prints a line that stays.
func (v *view) say(format string, args ...any) {
	v.erase()
	_, _ = fmt.Fprintf(v.w, "%5.1fs  %s\n", time.Since(v.start).Seconds(), fmt.Sprintf(format, args...))
}

// show shows the fleet as it is now.
func (v *view) show(f *taskscaler.Status, done int) {
	if v.width != nil {
		v.draw(picture(f, done))
		return
	}
	for _, i := range f.Instances {
		for _, l := range i.Leases {
			if v.landed[l.Key] == "" {
				v.landed[l.Key] = fmt.Sprintf("%s slot %d", i.ID, l.Slot)
				v.say("%s runs on %s", l.Key, v.landed[l.Key])
			}
		}
	}
	if line := summary(f, done); line != v.last {
		v.last = line
		v.say("%s", line)
	}
}

// end leaves the terminal clean.
func (v *view) end() { v.erase() }

// draw puts the picture in the place of the one before, in one write so that nothing flickers. No line may be wrapped: the terminal would
// have more lines than were counted.
func (v *view) draw(lines []string) {
	width := v.width()
	var out strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&out, "\x1b[%dA\x1b[J", v.drawn)
	}
	for _, line := range lines {
		if len(line) >= width {
			line = line[:max(width-1, 0)]
		}
		out.WriteString(line + "\n")
	}
	_, _ = io.WriteString(v.w, out.String())
	v.drawn = len(lines)
}

// erase takes the picture away.
func (v *view) erase() {
	if v.drawn > 0 {
		_, _ = fmt.Fprintf(v.w, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

// summary is the fleet in one line.
func summary(f *taskscaler.Status, done int) string {
	c := f.Counts
	line := fmt.Sprintf("%d instances ready, %d on their way in, %d on their way out; jobs: %d run, %d wait, %d done", c.ReadyCount,
		c.Requested+c.Creating+c.Preparing, c.Draining+c.Deleting, c.Leases, c.Waiters, done)
	if f.Waiting.Cause != "" {
		line += " (" + f.Waiting.Cause + ")"
	}
	return line
}

// picture is the fleet with a line for each instance and a box for each slot.
func picture(f *taskscaler.Status, done int) []string {
	lines := []string{summary(f, done)}
	for _, i := range f.Instances {
		if i.State == "gone" || i.State == "lost" {
			continue
		}
		slots := make([]string, f.Group.Capacity)
		for n := range slots {
			slots[n] = "[      ]"
		}
		for _, l := range i.Leases {
			if l.Slot < len(slots) {
				slots[l.Slot] = fmt.Sprintf("[%-6.6s]", l.Key)
			}
		}
		lines = append(lines, fmt.Sprintf("  %-24.24s %-9s %s", i.ID, i.State, strings.Join(slots, " ")))
	}
	return lines
}
