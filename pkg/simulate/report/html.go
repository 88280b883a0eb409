package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

//go:embed assets
var assets embed.FS

const chartVersion = "1.6.32"

// page holds what every HTML page needs.
type page struct {
	Title                      string
	Notes                      []string
	Files                      []file
	CSS, ChartCSS              template.CSS
	JS, ChartJS                template.JS
	ChartVersion, ChartLicence string
	Data                       any // data for assets/js; the template writes it as JSON and escapes it
}

// file is a text that is shown unchanged.
type file struct {
	Name, Text string
	Open       bool
}

func newPage(title string) (page, error) {
	p := page{Title: title, ChartVersion: chartVersion}
	var err error
	read := func(name string) string {
		text, e := assets.ReadFile("assets/" + name)
		if err == nil {
			err = e
		}
		return string(text)
	}
	// These texts come from this package and from uPlot, not from the user. They are the only ones that the template does not escape.
	p.CSS, p.ChartCSS = template.CSS(read("page.css")), template.CSS(read("uplot/uPlot.min.css"))
	code := "(() => {\n\"use strict\";\n" // the scripts share one scope, which is not visible outside
	for _, part := range []string{"base", "timelines", "waits", "pareto", "main"} {
		code += read("js/" + part + ".js")
	}
	p.JS = template.JS(code + "})();\n")
	chart := read("uplot/uPlot.iife.min.js")
	if _, rest, ok := strings.Cut(chart, "*/"); ok && strings.HasPrefix(chart, "/*!") {
		chart = rest // without its banner, which contains a link; the page itself contains the licence
	}
	p.ChartJS, p.ChartLicence = template.JS(chart), read("uplot/LICENSE")
	return p, err
}

// render fills a template completely before it writes anything.
func render(w io.Writer, name string, data any) error {
	t, err := template.ParseFS(assets, "assets/head.html", "assets/"+name)
	if err != nil {
		return fmt.Errorf("report as HTML: %w", err)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, data); err != nil {
		return fmt.Errorf("report as HTML: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// chartData is the input of assets/js.
type chartData struct {
	Start    float64       `json:"start"` // Unix, in seconds
	Zone     string        `json:"zone,omitempty"`
	Offset   int           `json:"offset"` // of the zone, in seconds, for a browser that does not know the zone
	Step     float64       `json:"step"`
	Warmup   float64       `json:"warmup"`
	Queue    []float64     `json:"queue,omitempty"`
	Peak     []float64     `json:"peak,omitempty"`
	Running  []float64     `json:"running,omitempty"`
	Booting  []float64     `json:"booting,omitempty"`
	Idle     []float64     `json:"idle,omitempty"`
	Busy     []float64     `json:"busy,omitempty"`
	Drain    []float64     `json:"drain,omitempty"`
	Edges    [][2]float64  `json:"edges"` // seconds from the start, policy
	Policies []string      `json:"policies"`
	Bins     []binDoc      `json:"histogram,omitempty"`
	CDF      *distribution `json:"cdf,omitempty"`
	Hours    []sliceDoc    `json:"hours,omitempty"`
	Pareto   *paretoDoc    `json:"pareto,omitempty"`
}

// distribution is, for each run, the share of the jobs that waited at most X seconds.
type distribution struct {
	X    []float64 `json:"x"`
	Runs []share   `json:"runs"`
}

type share struct {
	Name string    `json:"name,omitempty"`
	Y    []float64 `json:"y"`
}

// cdf computes the distributions of several runs on a common logarithmic grid. nil: no job waited.
func cdf(names []string, runs []*simulate.Result) *distribution {
	const points = 240
	longest := 0.0
	for _, r := range runs {
		longest = max(longest, r.Waits.Max)
	}
	if longest == 0 {
		return nil
	}
	d := &distribution{}
	low := min(1, longest/100)
	for i := range points + 1 {
		d.X = append(d.X, round(low*math.Pow(longest/low, float64(i)/points), 6))
	}
	for n, r := range runs {
		s := share{Name: names[n]}
		for _, x := range d.X {
			s.Y = append(s.Y, round(1-r.Waits.Over(durationOf(x)), 6))
		}
		d.Runs = append(d.Runs, s)
	}
	return d
}

func round(v float64, decimals int) float64 {
	p := math.Pow(10, float64(decimals))
	return math.Round(v*p) / p
}

func rounds(curve []float64) []float64 {
	out := make([]float64, len(curve))
	for i, v := range curve {
		out[i] = round(v, 2)
	}
	return out
}

// charts returns the data of a report's charts.
func (r *Report) charts() *chartData {
	res := r.Result
	_, offset := res.Start.Zone()
	d := &chartData{Start: float64(res.Start.UnixMilli()) / 1000, Offset: offset, Warmup: r.Workload.Warmup.Seconds(), Edges: [][2]float64{},
		Policies: []string{}, CDF: cdf([]string{""}, []*simulate.Result{res})}
	if name := zone(res).String(); name != "Local" {
		d.Zone = name
	}
	if t := res.Timeline; t != nil {
		d.Step = t.Step.Seconds()
		d.Queue, d.Peak, d.Running = rounds(t.Queue), rounds(t.Peak), rounds(t.Running)
		d.Booting, d.Idle, d.Busy, d.Drain = rounds(t.Booting), rounds(t.Idle), rounds(t.Busy), rounds(t.Drain)
		most := -1
		for _, e := range res.Policies {
			d.Edges = append(d.Edges, [2]float64{e.At.Seconds(), float64(e.Policy)})
			most = max(most, e.Policy)
		}
		for i := range max(len(r.Policies), most+1) {
			d.Policies = append(d.Policies, r.policyName(i))
		}
	}
	f := newFigures(res)
	d.Bins, d.Hours = f.WaitHistogram, f.WaitByHour
	return d
}
