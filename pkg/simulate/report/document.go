package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// schemaID is the value of "schema" in the JSON form of a report. It changes with any change that could break a reader.
const schemaID = "taskscaler.simulation/v1"

// document is the JSON form. Its members and their order are a contract: add members, never change them.
type document struct {
	Schema   string       `json:"schema"`
	Title    string       `json:"title,omitempty"`
	Runner   string       `json:"runner,omitempty"`
	Start    string       `json:"start,omitempty"`
	Workload *workloadDoc `json:"workload,omitempty"`
	figuresDoc
	Policies  []policyDoc   `json:"policies,omitempty"`
	Intervals *intervalsDoc `json:"intervals,omitempty"`
	Timeline  *timelineDoc  `json:"timeline,omitempty"`
	Engine    *engineDoc    `json:"engine,omitempty"`
}

// figuresDoc holds the figures of one result. A run of a comparison has the same members.
type figuresDoc struct {
	Seed            uint64         `json:"seed"`
	DurationSeconds num            `json:"duration_seconds"`
	Jobs            jobsDoc        `json:"jobs"`
	WaitSeconds     waitDoc        `json:"wait_seconds"`
	WaitFraction    num            `json:"wait_fraction"`
	WaitExact       bool           `json:"wait_exact"`
	WaitError       num            `json:"wait_quantile_error"`
	WaitByCause     map[string]num `json:"wait_by_cause"`
	WaitByTag       []sliceDoc     `json:"wait_by_tag"`
	WaitByHour      []sliceDoc     `json:"wait_by_hour"`
	WaitHistogram   []binDoc       `json:"wait_histogram"`
	Instances       instancesDoc   `json:"instances"`
	InstanceHours   hoursDoc       `json:"instance_hours"`
	SlotHours       slotsDoc       `json:"slot_hours"`
	Utilization     num            `json:"utilization"`
	Cost            costDoc        `json:"cost"`
	Bound           boundDoc       `json:"bound"`
	Denials         int            `json:"denials"`
}

type workloadDoc struct {
	Name          string    `json:"name,omitempty"`
	Format        string    `json:"format,omitempty"`
	Rows          int       `json:"rows"`
	Jobs          int       `json:"jobs"`
	DroppedRows   int       `json:"dropped_rows"`
	Dropped       []Dropped `json:"dropped"`
	Filters       []string  `json:"filters,omitempty"`
	WarmupSeconds num       `json:"warmup_seconds"`
}

type jobsDoc struct {
	Arrived   int `json:"arrived"`
	Completed int `json:"completed"`
	Censored  int `json:"censored"`
	Kills     int `json:"kills"`
}

type waitDoc struct {
	Mean num `json:"mean"`
	P50  num `json:"p50"`
	P90  num `json:"p90"`
	P95  num `json:"p95"`
	P99  num `json:"p99"`
	Max  num `json:"max"`
}

type sliceDoc struct {
	Name string `json:"name"`
	Jobs int    `json:"jobs"`
	Mean num    `json:"mean"`
	P50  num    `json:"p50"`
	P95  num    `json:"p95"`
	Max  num    `json:"max"`
}

type binDoc struct {
	From num `json:"from"`
	To   num `json:"to"`
	Jobs int `json:"jobs"`
}

type instancesDoc struct {
	Created      int `json:"created"`
	Deleted      int `json:"deleted"`
	Peak         int `json:"peak"`
	Unproductive int `json:"unproductive"`
	Reclaimed    int `json:"reclaimed"`
	Died         int `json:"died"`
	Capacity     int `json:"capacity"`
}

type hoursDoc struct {
	Total num `json:"total"`
	Busy  num `json:"busy"`
	Idle  num `json:"idle"`
	Boot  num `json:"boot"`
	Drain num `json:"drain"`
}

type slotsDoc struct {
	Busy num `json:"busy"`
	Lost num `json:"lost"`
}

type costDoc struct {
	Total     num `json:"total"`
	PerJob    num `json:"per_job"`
	IdleShare num `json:"idle_share"`
}

type boundDoc struct {
	AtStarts num `json:"instance_hours_at_starts"`
	AtOnce   num `json:"instance_hours_at_once"`
}

type policyDoc struct {
	Name     string   `json:"name"`
	Periods  []string `json:"periods"`
	Timezone string   `json:"timezone,omitempty"`
	Settings string   `json:"settings"`
}

type intervalsDoc struct {
	Level   num                 `json:"level"`
	Method  string              `json:"method"`
	Samples int                 `json:"samples"`
	Of      map[string]Interval `json:"of"`
}

type timelineDoc struct {
	StepSeconds num       `json:"step_seconds"`
	Queue       []num     `json:"queue"`
	QueuePeak   []num     `json:"queue_peak"`
	Running     []num     `json:"running"`
	Booting     []num     `json:"booting"`
	Idle        []num     `json:"idle"`
	Busy        []num     `json:"busy"`
	Drain       []num     `json:"drain"`
	Policies    []edgeDoc `json:"policy_changes"`
}

type edgeDoc struct {
	AtSeconds num `json:"at_seconds"`
	Policy    int `json:"policy"`
}

type engineDoc struct {
	Events        int64 `json:"events"`
	WallSeconds   num   `json:"wall_seconds"`
	JobsPerSecond num   `json:"jobs_per_second"`
}

// num is a number without exponent and with at most nine decimals (waits are whole nanoseconds).
type num float64

// MarshalJSON returns an error for a value that JSON cannot represent, so that no reader gets it.
func (n num) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("a figure is not a number (%v): this is a bug in the simulation, please report it", v)
	}
	return []byte(rounded(v, 9)), nil
}

// rounded writes v with at most that many decimals and without zeros at the end.
func rounded(v float64, decimals int) string {
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// newFigures extracts the figures of a result.
func newFigures(res *simulate.Result) figuresDoc {
	w := &res.Waits
	d := figuresDoc{
		Seed: res.Seed, DurationSeconds: num(res.End.Seconds()),
		Jobs: jobsDoc{Arrived: res.Arrived, Completed: res.Completed, Censored: res.Censored, Kills: res.Kills},
		WaitSeconds: waitDoc{Mean: num(w.Mean), P50: num(w.Quantile(0.5)), P90: num(w.Quantile(0.9)), P95: num(w.Quantile(0.95)),
			P99: num(w.Quantile(0.99)), Max: num(w.Max)},
		WaitFraction: num(w.Fraction), WaitExact: w.Exact, WaitByCause: map[string]num{},
		WaitByTag: sliceDocs(res.ByTag), WaitByHour: sliceDocs(res.ByHour), WaitHistogram: []binDoc{},
		Instances: instancesDoc{Created: res.Instances.Created, Deleted: res.Instances.Deleted, Peak: res.Instances.Peak,
			Unproductive: res.Instances.Unproductive, Reclaimed: res.Instances.Reclaimed, Died: res.Instances.Died, Capacity: res.Capacity},
		InstanceHours: hoursDoc{Total: num(res.Hours.Total), Busy: num(res.Hours.Busy), Idle: num(res.Hours.Idle),
			Boot: num(res.Hours.Boot), Drain: num(res.Hours.Drain)},
		SlotHours: slotsDoc{Busy: num(res.BusySlots), Lost: num(res.LostSlots)}, Utilization: num(res.Utilization),
		Cost:  costDoc{Total: num(res.Cost.Total), PerJob: num(res.Cost.PerJob), IdleShare: num(res.Cost.IdleShare)},
		Bound: boundDoc{AtStarts: num(res.Bound.AtStarts), AtOnce: num(res.Bound.AtOnce)}, Denials: res.Denials,
	}
	if !w.Exact {
		d.WaitError = simulate.HistogramError
	}
	for _, c := range res.ByCause {
		d.WaitByCause[c.Cause] = num(c.Seconds)
	}
	for _, b := range w.Histogram() {
		d.WaitHistogram = append(d.WaitHistogram, binDoc{From: num(b.From), To: num(b.To), Jobs: b.Count})
	}
	return d
}

func sliceDocs(parts []simulate.Slice) []sliceDoc {
	docs := make([]sliceDoc, 0, len(parts))
	for _, s := range parts {
		docs = append(docs, sliceDoc{Name: s.Name, Jobs: s.Jobs, Mean: num(s.Mean), P50: num(s.P50), P95: num(s.P95), Max: num(s.Max)})
	}
	return docs
}

// document is the report with everything around the result.
func (r *Report) document() *document {
	d := &document{Schema: schemaID, Title: r.Title, Runner: r.Runner, figuresDoc: newFigures(r.Result)}
	if start := r.Result.Start; !start.IsZero() {
		d.Start = start.Format(time.RFC3339Nano)
	}
	if w := &r.Workload; w.Name != "" || w.Read > 0 || len(w.Dropped) > 0 || w.Warmup > 0 {
		d.Workload = &workloadDoc{Name: w.Name, Format: w.Format, Rows: w.Read, Jobs: w.Jobs, Dropped: append([]Dropped{}, w.Dropped...),
			DroppedRows: w.dropped(), Filters: w.Filters, WarmupSeconds: num(w.Warmup.Seconds())}
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		d.Policies = append(d.Policies, policyDoc{Name: r.policyName(i), Periods: append([]string{}, p.Periods...), Timezone: p.Timezone,
			Settings: settingsText(p.Settings)})
	}
	if v := r.Intervals; v != nil {
		d.Intervals = &intervalsDoc{Level: num(v.Level), Method: v.Method, Samples: v.Samples, Of: v.Of}
	}
	if r.Timeline && r.Result.Timeline != nil {
		d.Timeline = newTimeline(r.Result)
	}
	if t := r.Timing; t != nil {
		d.Engine = &engineDoc{Events: r.Result.Events, WallSeconds: num(t.Wall.Seconds())}
		if sec := t.Wall.Seconds(); sec > 0 {
			d.Engine.JobsPerSecond = num(float64(r.Result.Completed) / sec)
		}
	}
	return d
}

func (w *Workload) dropped() int {
	n := 0
	for _, d := range w.Dropped {
		n += d.Rows
	}
	return n
}

func newTimeline(res *simulate.Result) *timelineDoc {
	t := res.Timeline
	d := &timelineDoc{StepSeconds: num(t.Step.Seconds()), Policies: []edgeDoc{}}
	for _, c := range []struct {
		from []float64
		to   *[]num
	}{{t.Queue, &d.Queue}, {t.Peak, &d.QueuePeak}, {t.Running, &d.Running}, {t.Booting, &d.Booting}, {t.Idle, &d.Idle}, {t.Busy, &d.Busy},
		{t.Drain, &d.Drain}} {
		*c.to = make([]num, len(c.from))
		for i, v := range c.from {
			(*c.to)[i] = num(math.Round(v*1000) / 1000)
		}
	}
	for _, e := range res.Policies {
		d.Policies = append(d.Policies, edgeDoc{AtSeconds: num(e.At.Seconds()), Policy: e.Policy})
	}
	return d
}
