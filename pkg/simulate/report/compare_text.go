package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// WriteText writes the comparison as text: a table of figures by run with the differences from the first run, and the Pareto front.
func (c *Comparison) WriteText(w io.Writer, o TextOptions) error {
	s := &screen{o: o.withDefaults()}
	s.line("%s", s.paint(bold, c.title()))
	if len(c.Runs) > 0 {
		rows, err := c.table()
		if err != nil {
			return err
		}
		s.comparison(c, rows)
	}
	for _, n := range c.notes() {
		s.prose(dim, "note: "+n)
	}
	if c.Pareto != nil {
		s.pareto(c.Pareto)
	}
	_, err := io.WriteString(w, s.b.String())
	return err
}

func (c *Comparison) title() string {
	if c.Title != "" {
		return c.Title
	}
	return fmt.Sprintf("Comparison of %d runs", len(c.Runs))
}

func (c *Comparison) notes() []string {
	var notes []string
	estimated := slices.ContainsFunc(c.Runs, func(r Compared) bool { return len(r.Diffs) > 0 })
	switch {
	case len(c.Runs) < 2:
	case estimated:
		notes = append(notes, fmt.Sprintf("differences are from %s, with %s confidence intervals over %d %s with the same random numbers; "+
			"▼ and ▲ mark differences that chance does not explain", c.Runs[0].Name, percent(c.Level), c.Samples, c.Method))
	default:
		notes = append(notes, fmt.Sprintf("differences are from %s, of one run each: they may be chance", c.Runs[0].Name))
	}
	return notes
}

// comparison prints the table: two or three lines for each measure, a column for each run.
func (s *screen) comparison(c *Comparison, rows []tableRow) {
	const first = 18
	width := make([]int, len(c.Runs))
	for i := range c.Runs {
		width[i] = utf8.RuneCountInString(short(c.Runs[i].Name))
		for _, r := range rows {
			one := r.Cells[i]
			width[i] = max(width[i], utf8.RuneCountInString(one.Value), utf8.RuneCountInString(one.Diff)+2, utf8.RuneCountInString(one.Range))
		}
	}
	row := func(name string, text func(i int) (string, string)) {
		line := safetext.Text(pad(name, first))
		for i := range c.Runs {
			plain, colour := text(i)
			blank := strings.Repeat(" ", width[i]-utf8.RuneCountInString(plain))
			line += "  " + safetext.Text(blank) + s.paint(colour, plain)
		}
		s.line("%s", line)
	}
	s.line("")
	row("", func(i int) (string, string) { return short(c.Runs[i].Name), bold })
	for _, r := range rows {
		row(r.Name, func(i int) (string, string) { return r.Cells[i].Value, "" })
		if slices.ContainsFunc(r.Cells, func(o cell) bool { return o.Diff != "" && o.Diff != "=" }) {
			row("", func(i int) (string, string) { return r.Cells[i].Marked(), r.Cells[i].colour() })
		}
		if slices.ContainsFunc(r.Cells, func(o cell) bool { return o.Range != "" }) {
			row("", func(i int) (string, string) { return r.Cells[i].Range, dim })
		}
	}
}

// Marked is the difference, with a mark if chance does not explain it.
func (o cell) Marked() string {
	switch o.Sense {
	case "better":
		return "▼ " + o.Diff
	case "worse":
		return "▲ " + o.Diff
	}
	return o.Diff
}

func (o cell) colour() string {
	switch o.Sense {
	case "better":
		return "32"
	case "worse":
		return red
	}
	return dim
}

func (s *screen) pareto(p *Pareto) {
	s.head("Cost against waiting (" + p.costName() + " →, p95 wait ↑)")
	for _, line := range p.plot(s.o.Width-14, 14) {
		s.line("%s", line)
	}
	s.line("%s", s.paint(dim, "            · tried   ● front   ◆ recommended   ✕ today"))
	s.line("")
	for _, i := range p.front() {
		q := p.Points[i]
		mark := "●"
		switch {
		case q.Today:
			mark = "✕"
		case q.Chosen:
			mark = "◆"
		}
		s.line("  %s %s  %s  %s", mark, padLeft(money(q.Cost), 12), padLeft(seconds(q.P95Wait), 10), q.Name)
	}
	if v := p.Verdict(); v != "" {
		s.line("")
		s.prose("", v)
	}
}
