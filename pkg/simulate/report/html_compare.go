package report

import (
	"fmt"
	"io"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// comparePage holds what compare.html shows.
type comparePage struct {
	page
	Names    []string
	Rows     []tableRow
	Waited   bool
	Verdict  string
	CostName string
	Front    []frontRow
}

type frontRow struct{ Name, Mark, Cost, Wait string }

// WriteHTML writes the comparison as one HTML file that needs no network, like [Report.WriteHTML].
func (c *Comparison) WriteHTML(w io.Writer) error {
	base, err := newPage(c.title())
	if err != nil {
		return fmt.Errorf("comparison as HTML: %w", err)
	}
	p := comparePage{page: base}
	p.Notes = c.notes()
	data := &chartData{Edges: [][2]float64{}, Policies: []string{}}
	var results []*simulate.Result
	for i := range c.Runs {
		p.Names = append(p.Names, c.Runs[i].Name)
		results = append(results, c.Runs[i].Result)
		for _, f := range files(c.Runs[i].Config) {
			f.Open = false
			p.Files = append(p.Files, f)
		}
	}
	if len(c.Runs) > 0 {
		if p.Rows, err = c.table(); err != nil {
			return fmt.Errorf("comparison as HTML: %w", err)
		}
		data.CDF = cdf(p.Names, results)
		p.Waited = data.CDF != nil
	}
	if c.Pareto != nil && len(c.Pareto.Points) > 0 {
		data.Pareto, p.Verdict, p.CostName = c.Pareto.document(), c.Pareto.Verdict(), c.Pareto.costName()
		p.Front = c.Pareto.frontRows()
	}
	p.Data = data
	return render(w, "compare.html", p)
}

func (p *Pareto) frontRows() []frontRow {
	var rows []frontRow
	for _, i := range p.front() {
		q := p.Points[i]
		mark := ""
		switch {
		case q.Today && q.Chosen:
			mark = "today, recommended"
		case q.Today:
			mark = "today"
		case q.Chosen:
			mark = "recommended"
		}
		rows = append(rows, frontRow{Name: q.Name, Mark: mark, Cost: money(q.Cost), Wait: seconds(q.P95Wait)})
	}
	return rows
}
