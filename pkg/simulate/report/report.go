package report

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Report is the result of one run and the information around it. Only Result is required.
type Report struct {
	Title     string // empty: made from the runner's name
	Result    *simulate.Result
	Runner    string   // name of the runner in the configuration
	Config    Source   // shown in the HTML form, without its secrets
	Model     Source   // model of the cloud; shown like Config
	Policies  []Policy // in the order of the configuration; Result.Policies uses their index, from 0
	Workload  Workload
	Intervals *Intervals // nil: no intervals were estimated
	Timing    *Timing    // nil: no timing, so that the same seed gives the same bytes
	Timeline  bool       // whether the JSON form contains the curves; HTML and text show them whenever the result has them
}

// Source is an input file of a run.
type Source struct {
	Path, Text string
}

// Policy describes one policy of the configuration.
type Policy struct {
	Label    string // empty: "policy N", counted from 1
	Periods  []string
	Timezone string
	Settings policy.Settings
}

// Workload describes the origin of the jobs.
type Workload struct {
	Name    string // file name or spec
	Format  string
	Read    int // rows
	Jobs    int // jobs that were simulated
	Dropped []Dropped
	Filters []string // the filters: tags, times, a scale
	Warmup  time.Duration
}

// Dropped counts the rows that did not become jobs for one reason.
type Dropped struct {
	Reason string `json:"reason"`
	Rows   int    `json:"rows"`
}

// Timing is the speed of the run. It is the only part of a report that does not depend on the options alone.
type Timing struct {
	Wall time.Duration // from the first event to the last
}

// Interval is an estimated mean with the bounds of its confidence interval.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// half is half the width of the interval, the number after "±".
func (i Interval) half() float64 { return (i.High - i.Low) / 2 }

// excludes reports whether x lies outside the interval.
func (i Interval) excludes(x float64) bool { return x < i.Low || x > i.High }

// Intervals are the confidence intervals of some figures.
type Intervals struct {
	Level   float64             // confidence level, such as 0.95
	Method  string              // how they were estimated: "replicas" or "batch means"
	Samples int                 // number of replicas or batches
	Of      map[string]Interval // by path of the figure, such as "wait_seconds.mean"
}

// title is the title of the report.
func (r *Report) title() string {
	switch {
	case r.Title != "":
		return r.Title
	case r.Runner != "":
		return "Simulation of " + r.Runner
	}
	return "Simulation"
}

// zone is the time zone of the times in the report.
func zone(res *simulate.Result) *time.Location {
	if loc := res.Start.Location(); loc != nil {
		return loc
	}
	return time.UTC
}
