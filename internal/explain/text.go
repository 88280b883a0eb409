package explain

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Text writes d as readable text.
func (d *Document) Text(out io.Writer) error {
	w := newPage(out, d.Journal.To)
	title := d.Runner
	if title != "" {
		title = "runner " + title + ": "
	}
	w.line("%sthe journal covers %s to %s: %s, %s, %s; times are %s", title, d.Journal.From.Format(time.DateTime),
		w.clock(d.Journal.To), words.Count(d.Journal.Rounds, "round"), words.Count(d.Journal.Events, "event"), words.Count(d.Journal.Lives, "manager run"), d.Zone)
	for _, n := range d.Notes {
		w.line("note: %s", n)
	}
	switch {
	case d.Instance != nil:
		w.instance(d.Instance)
	case d.Key != nil:
		w.key(d.Key)
	case d.At != nil:
		w.day = *d.At
		w.line("\nat %s", d.At.Format(time.DateTime))
		w.state(d.State)
		w.records("decisions before", d.Before, true)
		w.records("decisions after", d.After, true)
	default:
		w.state(d.State)
		w.line("\nwaits      in the whole journal: %s", d.Waits.Sentence)
		w.records("decisions", d.Decisions, false)
	}
	return w.Flush()
}

// page is written line by line. Flush returns the first error.
type page struct {
	*bufio.Writer
	day time.Time // times of this day are written without the date
}

func newPage(out io.Writer, day time.Time) *page {
	return &page{Writer: bufio.NewWriterSize(out, 64<<10), day: day}
}

func (w *page) clock(t time.Time) string { return clock(t, w.day) }

// line writes one line, whatever the values contain.
func (w *page) line(format string, args ...any) {
	_, _ = safetext.Fprintf(w.Writer, format+"\n", args...) // Flush returns the error
}

// state writes the instances, the wanted size and why, what holds it back, and what comes next.
func (w *page) state(s *State) {
	if s == nil {
		w.line("\nnothing had happened at this time")
		return
	}
	w.line("\nthere is   %s", s.Sentence)
	w.line("wanted     %s", s.Wanted)
	label := "held back  "
	for _, o := range s.Held {
		w.line("%s%s", label, o.Sentence)
		label = "           "
	}
	label = "idle       "
	for i, o := range s.Idle {
		if i == mostShown {
			w.line("           and %d more", len(s.Idle)-i)
			break
		}
		w.line("%s%s %s", label, o.ID, o.Sentence)
		label = "           "
	}
	if len(s.Waiters) > 0 {
		w.line("waiting    %s", s.Waiting)
	}
	for i, o := range s.Waiters {
		if i == mostShown {
			w.line("           and %d more", len(s.Waiters)-i)
			break
		}
		w.line("           %s %s", o.Key, o.Sentence)
	}
	label = "next       "
	for _, o := range s.Next {
		w.line("%s%s %s", label, w.clock(o.At), o.Sentence)
		label = "           "
	}
	if len(s.Next) == 0 {
		w.line("next       nothing is scheduled: no create, no removal of an idle instance, no change of policy")
	}
	w.instances(s.Instances)
}

// instances writes the existing instances and the number of those that are gone.
func (w *page) instances(list []InstanceState) {
	label, shown, past, more := "instances  ", 0, 0, 0
	for _, o := range list {
		switch {
		case o.State == record.Gone.String() || o.State == record.Lost.String():
			past++
		case shown == 2*mostShown:
			more++
		default:
			w.line("%s%s %s", label, o.ID, o.Sentence)
			label = "           "
			shown++
		}
	}
	if more > 0 {
		w.line("           and %d more: `taskscaler status` shows them", more)
	}
	if past > 0 {
		w.line("%s%d gone or lost recently", label, past)
	}
}

// mostShown is the largest number of items of one kind in the text. JSON has all.
const mostShown = 10

// records writes decisions: each with its triggers, and with its consequences (chain) or its outcome.
func (w *page) records(title string, list []*Record, chain bool) {
	w.line("\n%s", title)
	if len(list) == 0 {
		w.line("  none")
	}
	for _, r := range list {
		w.record(r, chain)
	}
}

func (w *page) record(r *Record, chain bool) {
	w.line("  %s %s", w.clock(r.Time), r.Sentence)
	for _, l := range r.Chain {
		switch {
		case l.Role == RoleTrigger && strings.Contains(r.Sentence, l.Sentence):
		case l.Role == RoleTrigger && r.Kind == KindHold:
			w.line("           when %s", l.Sentence)
		case l.Role == RoleTrigger:
			w.line("           because %s", l.Sentence)
		case l.Role == RoleThen && chain:
			w.line("           then %s %s", clock(l.Time, r.Time), l.Sentence)
		}
	}
	if r.Outcome != "" && (!chain || len(r.Chain) == 0) {
		w.line("           → %s", r.Outcome)
	}
}

// instance writes the history of an instance.
func (w *page) instance(l *Life) {
	w.line("\ninstance %s: %s, %s", l.ID, l.State, words.Count(l.Uses, "use"))
	if l.Created != nil {
		w.records("created by", []*Record{l.Created}, false)
	} else if l.Found != "" {
		w.line("\nthe journal does not show how it was created; its origin: %s", l.Found)
	}
	w.line("\nhistory")
	for _, m := range l.Moments {
		w.line("  %s %s", w.clock(m.Time), m.Sentence)
	}
	w.uses(l.Leases, false)
	if len(l.Other) > 0 {
		w.records("decisions about it", l.Other, true)
	}
	if len(l.Removed) > 0 {
		w.records("removed", l.Removed, true)
	}
}

// uses writes a list of leases.
func (w *page) uses(list []Use, where bool) {
	w.line("\nleases")
	if len(list) == 0 {
		w.line("  none")
	}
	for _, u := range list {
		who := fmt.Sprintf("%q", u.Key)
		if where {
			who = "instance " + u.Instance
		}
		took := words.Span(time.Duration(u.Duration * float64(time.Second)))
		if u.To == nil {
			w.line("  %s %s, slot %d: leased for %s so far", w.clock(u.From), who, u.Slot, took)
			continue
		}
		w.line("  %s %s, slot %d: until %s (%s), %s", w.clock(u.From), who, u.Slot, clock(*u.To, u.From), took, u.End)
	}
}

// key writes everything about a caller.
func (w *page) key(c *Caller) {
	w.line("\nkey %s: %s", c.Key, c.State)
	w.line("\nwaits")
	if len(c.Waits) == 0 {
		w.line("  none")
	}
	for _, o := range c.Waits {
		w.line("  %s %s", w.clock(o.From), o.Sentence)
	}
	w.uses(c.Leases, true)
	w.line("\nwhat happened")
	for _, m := range c.Moments {
		w.line("  %s %s", w.clock(m.Time), m.Sentence)
	}
	if len(c.Records) > 0 {
		w.records("decisions about it", c.Records, true)
	}
}
