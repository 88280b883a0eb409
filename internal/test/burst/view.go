package burst

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// view shows the fleet. On a terminal it draws a picture and updates it in place; elsewhere it prints a line after each change.
type view struct {
	w      io.Writer
	width  func() int // of the terminal, in columns; nil: not a terminal
	start  time.Time
	drawn  int               // number of lines of the picture on the terminal
	last   string            // the last plain line about the fleet
	landed map[string]string // key → place, of the jobs whose start was printed
}

// newView returns a view that writes to w. width is nil if w is not a terminal.
func newView(w io.Writer, width func() int) *view {
	return &view{w: w, width: width, start: time.Now(), landed: map[string]string{}}
}

// say prints a line that is not erased.
func (v *view) say(format string, args ...any) {
	v.erase()
	_, _ = fmt.Fprintf(v.w, "%5.1fs  %s\n", time.Since(v.start).Seconds(), fmt.Sprintf(format, args...))
}

// show shows the current state of the fleet.
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

// end removes the picture from the terminal.
func (v *view) end() { v.erase() }

// draw replaces the previous picture, with one write, so that the terminal does not flicker. No line may be wrapped: then the terminal
// has more lines than were counted.
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

// erase removes the picture.
func (v *view) erase() {
	if v.drawn > 0 {
		_, _ = fmt.Fprintf(v.w, "\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

// summary describes the fleet in one line.
func summary(f *taskscaler.Status, done int) string {
	c := f.Counts
	line := fmt.Sprintf("%d instances ready, %d booting, %d being deleted; jobs: %d running, %d waiting, %d done", c.ReadyCount,
		c.Requested+c.Creating+c.Preparing, c.Draining+c.Deleting, c.Leases, c.Waiters, done)
	if f.Waiting.Cause != "" {
		line += " (" + f.Waiting.Cause + ")"
	}
	return line
}

// picture describes the fleet, with a line for each instance and a box for each slot.
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

// terminalWidth returns a function for the width of the terminal w, or nil if w is not a terminal.
func terminalWidth(w io.Writer) func() int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() int {
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 {
			return 80
		}
		return width
	}
}
