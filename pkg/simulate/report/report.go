package report

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Report is the result of one run and what surrounds it. Only Result is required.
type Report struct {
	Title     string // empty: made of the runner's name
	Result    *simulate.Result
	Runner    string   // the name of the runner in the configuration
	Config    Source   // shown in the HTML form, without its secrets
	Model     Source   // the model of the cloud; the same
	Policies  []Policy // in the order of the configuration: Result.Policies counts them from 0
	Workload  Workload
	Intervals *Intervals // nil: none were estimated
	Timing    *Timing    // nil: not told, so that the same seed gives the same bytes
	Timeline  bool       // the curves belong into JSON, too; HTML and text show them whenever the result has them
}

// Source is a file that went into a run.
type Source struct {
	Path, Text string
}

// Policy is one policy of the configuration, for people.
type Policy struct {
	Label    string // empty: "policy N", counted from 1
	Periods  []string
	Timezone string
	Settings policy.Settings
}

// Workload says where the jobs came from.
type Workload struct {
	Name    string // a file or a specification
	Format  string
	Read    int // rows
	Jobs    int // that were played
	Dropped []Dropped
	Filters []string // what was asked for: tags, times, a scale
	Warmup  time.Duration
}

// Dropped counts the rows that became no job for one reason.
type Dropped struct {
	Reason string `json:"reason"`
	Rows   int    `json:"rows"`
}

// Timing is how fast the run was. It is the only part of a report that is not a function of its options.
type Timing struct {
	Wall time.Duration // from the first event to the last
}

// Interval is an estimated mean and the ends of its confidence interval.
type Interval struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Half is half the width of the interval, the number behind "±".
func (i Interval) Half() float64 { return (i.High - i.Low) / 2 }

// Excludes reports whether the interval says that the mean is not x.
func (i Interval) Excludes(x float64) bool { return x < i.Low || x > i.High }

// Intervals are the confidence intervals of some figures.
type Intervals struct {
	Level   float64             // 0.95
	Method  string              // how they were estimated: "replicas" or "batch means"
	Samples int                 // how many replicas or batches
	Of      map[string]Interval // by the name of the figure, such as "wait_seconds.mean"
}

// title is what the report is called.
func (r *Report) title() string {
	switch {
	case r.Title != "":
		return r.Title
	case r.Runner != "":
		return "Simulation of " + r.Runner
	}
	return "Simulation"
}

// zone is where the times of the result are told.
func zone(res *simulate.Result) *time.Location {
	if loc := res.Start.Location(); loc != nil {
		return loc
	}
	return time.UTC
}
