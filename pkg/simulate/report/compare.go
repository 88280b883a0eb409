package report

import (
	"io"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// comparisonID is the value of "schema" in the JSON form of a comparison.
const comparisonID = "taskscaler.comparison/v1"

// Compared is one run of a comparison.
type Compared struct {
	Name   string
	Config Source
	Result *simulate.Result
	// Diffs are estimates of "this run minus the first" with the same random numbers, by the path of the figure (see [Figure]). The first
	// run has none. For a figure without an estimate, the report shows the plain difference, which may be chance.
	Diffs map[string]Interval
}

// Comparison is several runs of the same jobs, compared with the first.
type Comparison struct {
	Title   string
	Runs    []Compared
	Level   float64 // confidence level of the intervals, such as 0.95
	Method  string  // how the intervals were estimated: "replicas" or "batch means"
	Samples int
	Pareto  *Pareto // nil: there was no search
}

type comparisonDoc struct {
	Schema  string        `json:"schema"`
	Title   string        `json:"title,omitempty"`
	Level   num           `json:"level,omitempty"`
	Method  string        `json:"method,omitempty"`
	Samples int           `json:"samples,omitempty"`
	Runs    []comparedDoc `json:"runs"`
	Pareto  *paretoDoc    `json:"pareto,omitempty"`
}

type comparedDoc struct {
	Name   string `json:"name"`
	Config string `json:"config,omitempty"`
	figuresDoc
	Diffs map[string]Interval `json:"differences,omitempty"`
}

// WriteJSON writes the comparison as JSON after [ComparisonSchema].
func (c *Comparison) WriteJSON(w io.Writer) error {
	doc := comparisonDoc{Schema: comparisonID, Title: c.Title, Level: num(c.Level), Method: c.Method, Samples: c.Samples, Runs: []comparedDoc{}}
	for i := range c.Runs {
		r := &c.Runs[i]
		doc.Runs = append(doc.Runs, comparedDoc{Name: r.Name, Config: r.Config.Path, figuresDoc: newFigures(r.Result), Diffs: r.Diffs})
	}
	if c.Pareto != nil {
		doc.Pareto = c.Pareto.document()
	}
	return writeJSON(w, doc)
}

// measure is a row of the table of a comparison.
type measure struct {
	name, path string
	format     func(float64) string
	lower      bool // a lower value is better; false: neither is better
}

// measures are the figures that a comparison shows.
func measures() []measure {
	return []measure{
		{"mean wait", "wait_seconds.mean", seconds, true}, {"p50 wait", "wait_seconds.p50", seconds, true},
		{"p95 wait", "wait_seconds.p95", seconds, true}, {"p99 wait", "wait_seconds.p99", seconds, true},
		{"jobs that waited", "wait_fraction", percent, true}, {"cost", "cost.total", money, true}, {"cost a job", "cost.per_job", money, true},
		{"instance-hours", "instance_hours.total", hours, true}, {"of them idle", "instance_hours.idle", hours, true},
		{"utilisation", "utilization", percent, false}, {"created", "instances.created", mean, true},
		{"peak instances", "instances.peak", mean, true}, {"unproductive", "instances.unproductive", mean, true},
		{"censored jobs", "jobs.censored", mean, true},
	}
}

// mean writes a count, or a mean of counts.
func mean(v float64) string {
	if v == float64(int(v)) {
		return count(int(v))
	}
	return amount(v)
}

// cell is one figure of one run, and its difference from the first run.
type cell struct {
	Value string
	Diff  string // "": the first run, or no difference
	Range string // interval of the difference; "": none was estimated
	Sense string // "better", "worse", or "" if the difference may be chance or has no direction
}

// tableRow is one measure for all runs.
type tableRow struct {
	Name, Path string
	Cells      []cell
}

// table is what the text and the HTML form show. A measure that is 0 in all runs is left out.
func (c *Comparison) table() ([]tableRow, error) {
	values := make([]map[string]float64, len(c.Runs))
	for i := range c.Runs {
		all, err := Figures(c.Runs[i].Result)
		if err != nil {
			return nil, err
		}
		values[i] = map[string]float64{}
		for _, f := range all {
			values[i][f.Path] = f.Value
		}
	}
	var rows []tableRow
	for _, m := range measures() {
		row := tableRow{Name: m.name, Path: m.path}
		seen := false
		for i := range c.Runs {
			v := values[i][m.path]
			seen = seen || v != 0
			one := cell{Value: m.format(v)}
			if i > 0 {
				one.compare(m, v, values[0][m.path], c.Runs[i].Diffs)
			}
			row.Cells = append(row.Cells, one)
		}
		if seen {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (o *cell) compare(m measure, v, first float64, diffs map[string]Interval) {
	diff := v - first
	relative := first != 0
	if m.path == "utilization" || m.path == "wait_fraction" {
		m.format, relative = points, false
	}
	i, estimated := diffs[m.path]
	if estimated {
		diff = i.Mean
		o.Range = signed(i.Low, m.format) + " … " + signed(i.High, m.format)
	}
	if diff == 0 {
		o.Diff = "="
	} else {
		o.Diff = signed(diff, m.format)
		if relative {
			o.Diff += " (" + signed(diff/first, percent) + ")"
		}
	}
	switch {
	case !m.lower || !estimated || !i.excludes(0):
	case diff < 0:
		o.Sense = "better"
	default:
		o.Sense = "worse"
	}
}

// signed writes a difference with its sign; minus is U+2212.
func signed(v float64, format func(float64) string) string {
	switch {
	case v > 0:
		return "+" + format(v)
	case v < 0:
		return "−" + format(-v)
	}
	return format(0)
}
