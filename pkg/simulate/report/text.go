package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// TextOptions describe the screen for the text form.
type TextOptions struct {
	Width int  // columns; 0: 80. The minimum is 60
	Color bool // use ANSI colours; set it only for a terminal
}

func (o TextOptions) withDefaults() TextOptions {
	if o.Width == 0 {
		o.Width = 80
	}
	o.Width = min(max(o.Width, 60), 140)
	return o
}

// ANSI attributes of the text form.
const (
	bold   = "1"
	dim    = "2"
	blue   = "34"
	cyan   = "36"
	yellow = "33"
	red    = "31"
	grey   = "90"
)

// screen collects the lines of the text form.
type screen struct {
	o TextOptions
	b strings.Builder
}

// paint makes a text printable, and colours it if colours are on.
func (s *screen) paint(code, text string) safetext.Text {
	shown := safetext.Sprintf("%s", text)
	if !s.o.Color || code == "" || text == "" {
		return shown
	}
	return "\x1b[" + safetext.Text(code) + "m" + shown + "\x1b[0m"
}

// line writes one line, whatever the values contain.
func (s *screen) line(format string, args ...any) {
	s.b.WriteString(strings.TrimRight(string(safetext.Sprintf(format, args...)), " "))
	s.b.WriteByte('\n')
}

// head begins a section.
func (s *screen) head(title string) {
	s.line("")
	s.line("%s", s.paint(bold, title))
}

// field is one line of figures: a name, then the values with space between them.
func (s *screen) field(name string, values ...any) {
	line := safetext.Sprintf("  %s", s.paint(dim, pad(name, 12)))
	for i, v := range values {
		if i > 0 {
			line += "  "
		}
		line += safetext.Sprintf("%s", v)
	}
	s.line("%s", line)
}

// prose writes sentences, with line breaks between words at the width of the screen. Further lines are indented, so that no word of a value begins
// a line as a sentence does.
func (s *screen) prose(colour, text string) {
	line := ""
	for _, word := range strings.Fields(safetext.Line(text, longestNote)) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > s.o.Width:
			s.line("%s", s.paint(colour, line))
			line = "  " + word
		default:
			line += " " + word
		}
	}
	s.line("%s", s.paint(colour, line))
}

// pad fills text with spaces up to width columns; padLeft adds them on the left.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0)) + text
}

// The limits of texts from outside, in bytes.
const (
	longestName = 60      // at the head of a column
	longestNote = 4 << 10 // a remark below the figures
)

// short returns a name for the head of a column.
func short(name string) string { return safetext.Line(name, longestName) }

// WriteText writes the report as text: about one screen of aligned figures, and small charts.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	s := &screen{o: o.withDefaults()}
	s.header(r)
	s.figures(r)
	s.causes(r.Result)
	s.curves(r.Result)
	s.split(r.Result)
	s.remarks(r)
	_, err := io.WriteString(w, s.b.String())
	return err
}

func (s *screen) header(r *Report) {
	res := r.Result
	s.line("%s", s.paint(bold, r.title()))
	end := res.Start.Add(res.End)
	s.line("%s to %s %s (%s), seed %d", moment(res.Start), moment(end), zone(res), seconds(res.End.Seconds()), res.Seed)
	if r.Workload.Name != "" {
		s.line("%s", s.paint(dim, r.Workload.describe()))
	}
}

func (w *Workload) describe() string {
	text := "workload " + w.Name
	if w.Format != "" {
		text += " (" + w.Format + ")"
	}
	if w.Warmup > 0 {
		text += ", after a warm-up of " + seconds(w.Warmup.Seconds())
	}
	for _, f := range w.Filters {
		text += ", " + f
	}
	return text
}

func (s *screen) figures(r *Report) {
	res, w := r.Result, &r.Result.Waits
	s.head("Figures")
	jobs := []any{count(res.Arrived) + " arrived", count(res.Completed) + " completed"}
	if res.Censored > 0 {
		jobs = append(jobs, s.paint(red, count(res.Censored)+" censored"))
	}
	if res.Kills > 0 {
		jobs = append(jobs, count(res.Kills)+" runs killed")
	}
	if res.Denials > 0 {
		jobs = append(jobs, count(res.Denials)+" denials")
	}
	s.field("jobs", jobs...)
	s.field("wait", "mean "+seconds(w.Mean)+r.plusMinus("wait_seconds.mean", seconds), "longest "+seconds(w.Max), percent(w.Fraction)+" waited")
	var quantiles []any
	for _, q := range []struct {
		name string
		p    float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}} {
		quantiles = append(quantiles, q.name+" "+seconds(w.Quantile(q.p)))
	}
	s.field("", quantiles...)
	in := res.Instances
	instances := []any{count(in.Created) + " created", count(in.Deleted) + " deleted", "peak " + count(in.Peak)}
	if in.Unproductive > 0 {
		instances = append(instances, count(in.Unproductive)+" unproductive")
	}
	if in.Reclaimed+in.Died > 0 {
		instances = append(instances, count(in.Reclaimed)+" reclaimed", count(in.Died)+" died")
	}
	s.field("instances", instances...)
	s.field("hours", hours(res.Hours.Total)+r.plusMinus("instance_hours.total", hours), "utilisation "+percent(res.Utilization))
	if res.Cost.Total > 0 {
		s.field("cost", money(res.Cost.Total)+r.plusMinus("cost.total", money), money(res.Cost.PerJob)+" a job",
			percent(res.Cost.IdleShare)+" of the hours without a job")
	}
}

// plusMinus is half the confidence interval of a figure, if there is one.
func (r *Report) plusMinus(path string, format func(float64) string) string {
	if r.Intervals == nil {
		return ""
	}
	if i, ok := r.Intervals.Of[path]; ok {
		return " ± " + format(i.half())
	}
	return ""
}

func (s *screen) causes(res *simulate.Result) {
	total := 0.0
	for _, c := range res.ByCause {
		total += c.Seconds
	}
	if total == 0 {
		return
	}
	s.head("What jobs waited for, all together")
	for _, c := range res.ByCause[:min(len(res.ByCause), 6)] {
		share := c.Seconds / total
		s.line("  %s %s  %s  %s", pad(causeText(c.Cause), 24), padLeft(percent(share), 7), padLeft(seconds(c.Seconds), 10),
			s.paint(yellow, bar(share, s.o.Width-52)))
	}
}

func (s *screen) curves(res *simulate.Result) {
	t := res.Timeline
	if t == nil || len(t.Queue) == 0 {
		return
	}
	supply := make([]float64, len(t.Busy))
	for i := range supply {
		supply[i] = t.Booting[i] + t.Idle[i] + t.Busy[i] + t.Drain[i]
	}
	s.head("Over time")
	for _, c := range []struct {
		name, colour string
		curve        []float64
	}{{"waiting", red, t.Peak}, {"running", blue, t.Running}, {"instances", cyan, supply}} {
		line, top := spark(c.curve, s.o.Width-30)
		s.line("  %s%s  peak %s", s.paint(dim, pad(c.name, 12)), s.paint(c.colour, pad(line, min(s.o.Width-30, len(t.Queue)))), mean(top))
	}
}

func (s *screen) split(res *simulate.Result) {
	h := res.Hours
	if h.Total == 0 {
		return
	}
	title := "Where the hours went"
	if res.Cost.Total > 0 {
		title = "Where the money went (in proportion to the hours)"
	}
	s.head(title)
	for _, p := range []struct {
		name, colour string
		hours        float64
	}{{"busy", blue, h.Busy}, {"idle", yellow, h.Idle}, {"boot", cyan, h.Boot}, {"drain", grey, h.Drain}} {
		share := p.hours / h.Total
		price := ""
		if res.Cost.Total > 0 {
			price = money(share * res.Cost.Total)
		}
		s.line("  %s%s  %s  %s  %s", s.paint(dim, pad(p.name, 8)), padLeft(percent(share), 7), padLeft(hours(p.hours), 10), padLeft(price, 10),
			s.paint(p.colour, bar(share, s.o.Width-45)))
	}
	switch b := bound(res.Bound); {
	case b.AtOnce <= 0:
	case b.same():
		s.line("  least possible %s: this run took %s times that", hours(b.AtOnce), rounded(h.Total/b.AtOnce, 2))
	default:
		s.line("  least possible %s for these starts, %s without any wait:", hours(b.AtStarts), hours(b.AtOnce))
		s.line("  this run took %s times the latter", rounded(h.Total/b.AtOnce, 2))
	}
}

// remarks writes what a reader has to know about the figures.
func (s *screen) remarks(r *Report) {
	notes := r.notes()
	if len(notes) == 0 {
		return
	}
	s.line("")
	for _, n := range notes {
		s.prose(dim, "note: "+n)
	}
}

// notes are the limitations of the figures.
func (r *Report) notes() []string {
	var notes []string
	res := r.Result
	if n := r.Workload.dropped(); n > 0 {
		var why []string
		for _, d := range r.Workload.Dropped {
			why = append(why, count(d.Rows)+" "+d.Reason)
		}
		notes = append(notes, fmt.Sprintf("%s of %s rows did not become jobs: %s", count(n), count(r.Workload.Read), strings.Join(why, "; ")))
	}
	if res.Censored > 0 {
		notes = append(notes, fmt.Sprintf("%s jobs had not ended at the end of the run; the waits leave them out", count(res.Censored)))
	}
	if !res.Waits.Exact {
		notes = append(notes, fmt.Sprintf("quantiles of the waits are exact to %s", percent(simulate.HistogramError)))
	}
	if v := r.Intervals; v != nil {
		notes = append(notes, fmt.Sprintf("± is half the %s confidence interval, from %d %s", percent(v.Level), v.Samples, v.Method))
	}
	if t := r.Timing; t != nil && t.Wall > 0 {
		notes = append(notes, fmt.Sprintf("%s events in %s: %s jobs a second", count(int(res.Events)), seconds(t.Wall.Seconds()),
			count(int(float64(res.Completed)/t.Wall.Seconds()))))
	}
	return notes
}
