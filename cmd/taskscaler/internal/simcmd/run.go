package simcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// points is the number of points that each curve of a report has at most.
const points = 6000

// Request asks for one simulation.
type Request struct {
	Setup
	Output
	Config   string
	Replicas int // below 2: one run
	Timing   bool
	Timeline bool // the JSON form contains the curves
	Assert   []string
}

// Run simulates, writes the report and judges the assertions.
//
// Errors: *UsageError before anything runs; *UnservedError and *AssertionError after the report was written; the cause of ctx if ctx
// ended. Other errors say what could not be read, run or written.
func Run(ctx context.Context, r Request, streams Streams) error {
	if err := r.Output.resolve(Text, JSON, CSV, HTML); err != nil {
		return err
	}
	if r.Replicas < 0 {
		return usage("replicas", "must not be negative")
	}
	asserted, err := optimise.ParseAssertions(r.Assert)
	if err != nil {
		return &UsageError{Err: err}
	}
	scenes, err := r.prepare(&streams, r.Config)
	if err != nil {
		return err
	}
	c := scenes[0]
	if err := checkTags(asserted, c); err != nil {
		return err
	}
	if r.Format == HTML || r.Format == Text || r.Timeline {
		c.options.Timeline = points
	}
	results, took, err := c.run(ctx, &streams, max(r.Replicas, 1))
	if err != nil {
		return err
	}
	if err := r.report(&streams, c, results, took); err != nil {
		return err
	}
	if err := served(&streams, c, results[0]); err != nil {
		return err
	}
	return judge(asserted, results)
}

// run simulates the scene n times.
func (c *scene) run(ctx context.Context, streams *Streams, n int) ([]*simulate.Result, time.Duration, error) {
	b := newBar(streams, "simulating", c.jobs.count*n)
	defer b.end()
	o, begun := c.options, time.Now()
	var last atomic.Int64
	o.Progress = func(int, time.Duration) bool {
		last.Store(int64(time.Since(begun)))
		return ctx.Err() == nil
	}
	play := func(_ int, seed uint64) simulate.Workload { return &counted{Workload: c.jobs.make(seed), bar: b} }
	workers := min(runtime.GOMAXPROCS(0), n)
	results, err := simulate.Replicas(o, n, workers, play)
	took := time.Since(begun)
	switch {
	case n > 1:
		took = took * time.Duration(workers) / time.Duration(n) // the time of one run
	case err == nil && results[0].Events > 1<<18: // long enough to leave out the time after the last event
		took = time.Duration(last.Load())
	}
	if err != nil {
		return nil, 0, stopped(ctx, explain(err, c.jobs))
	}
	return results, took, nil
}

// explain adds the name of the workload if the run could not use it.
func explain(err error, jobs *source) error {
	var bad *simulate.WorkloadError
	if errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", jobs.about.Name, bad)
	}
	return err
}

func (r *Request) report(streams *Streams, c *scene, results []*simulate.Result, took time.Duration) error {
	doc := &report.Report{
		Result: results[0], Runner: c.name(), Config: c.config, Model: c.model, Workload: c.jobs.about, Timeline: r.Timeline,
		Intervals: intervals(results),
	}
	doc.Workload.Jobs, doc.Workload.Warmup = results[0].Arrived, r.Warmup
	for _, p := range c.policies {
		doc.Policies = append(doc.Policies, report.Policy{Periods: p.Periods, Timezone: p.Timezone, Settings: p.Settings})
	}
	if r.Timing {
		doc.Timing = &report.Timing{Wall: took}
	}
	return r.write(streams, func(w io.Writer) error {
		switch r.Format {
		case JSON:
			return doc.WriteJSON(w)
		case CSV:
			return doc.WriteCSV(w)
		case HTML:
			return doc.WriteHTML(w)
		}
		return doc.WriteText(w, r.textOptions(streams))
	})
}

const (
	confidence = 0.95
	batches    = 30
)

// intervals estimates the confidence intervals over the replicas. For a single long run it estimates the one of the mean wait, over batches
// of its jobs. It returns nil if a single run is too short.
func intervals(results []*simulate.Result) *report.Intervals {
	if len(results) < 2 {
		w := &results[0].Waits
		if len(w.InOrder) < 100*batches {
			return nil
		}
		i := simulate.BatchMeans(w.InOrder, batches, confidence)
		return &report.Intervals{Level: confidence, Method: "batch means", Samples: batches,
			Of: map[string]report.Interval{"wait_seconds.mean": {Mean: i.Mean, Low: i.Low, High: i.High}}}
	}
	out := &report.Intervals{Level: confidence, Method: "replicas", Samples: len(results), Of: map[string]report.Interval{}}
	for _, path := range []string{"wait_seconds.mean", "wait_seconds.p50", "wait_seconds.p90", "wait_seconds.p95", "wait_seconds.p99",
		"wait_seconds.max", "wait_fraction", "instance_hours.total", "instance_hours.idle", "utilization", "cost.total", "cost.per_job",
		"instances.created", "instances.peak"} {
		i := simulate.Over(results, confidence, func(r *simulate.Result) float64 {
			v, _ := report.ValueOf(r, path) // every report has these
			return v
		})
		out.Of[path] = report.Interval{Mean: i.Mean, Low: i.Low, High: i.High}
	}
	return out
}
