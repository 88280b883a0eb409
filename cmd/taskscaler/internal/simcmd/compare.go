package simcmd

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// CompareRequest asks for several configurations to be simulated with the same jobs and the same random numbers.
type CompareRequest struct {
	Setup
	Output
	Configs  []string // at least two; the others are compared with the first
	Replicas int      // below 2: one run for each, with intervals over blocks of its jobs
	Assert   []string // checked on the last configuration, which is the proposed one
}

// Compare simulates all configurations and writes the comparison. It returns the same errors as Run.
func Compare(ctx context.Context, r CompareRequest, streams Streams) error {
	if err := r.Output.resolve(Text, JSON, HTML); err != nil {
		return err
	}
	if len(r.Configs) < 2 {
		return usage("", "compare needs at least two configurations: give their paths, the one in force first")
	}
	asserted, err := optimise.ParseAssertions(r.Assert)
	if err != nil {
		return &UsageError{Err: err}
	}
	scenes, err := r.prepare(&streams, r.Configs...)
	if err != nil {
		return err
	}
	if err := checkTags(asserted, scenes[0]); err != nil {
		return err
	}
	variants := make([]optimise.Variant, len(scenes))
	for i, name := range names(r.Configs) {
		variants[i] = optimise.Variant{Name: name, Options: scenes[i].options}
	}
	b := newBar(&streams, "comparing", len(scenes)*max(r.Replicas, 1))
	jobs := scenes[0].jobs
	compared, err := optimise.Compare(ctx, variants, func(_ int, seed uint64) simulate.Workload { return jobs.make(seed) },
		optimise.CompareOptions{Seed: r.Seed, Replicas: r.Replicas, Workers: runtime.GOMAXPROCS(0), Progress: func(done, _ int) { b.set(done) }})
	b.end()
	if err != nil {
		return stopped(ctx, explain(err, jobs))
	}
	doc := comparison(compared, scenes)
	doc.Title = fmt.Sprintf("%d configurations on %s", len(scenes), jobs.about.Name)
	if err := r.write(&streams, func(w io.Writer) error { return writeComparison(w, doc, &r.Output, &streams) }); err != nil {
		return err
	}
	for i := range compared {
		if err := served(&streams, scenes[i], compared[i].Result); err != nil {
			return fmt.Errorf("%s: %w", variants[i].Name, err)
		}
	}
	return judge(asserted, []*simulate.Result{compared[len(compared)-1].Result})
}

// stopped replaces err when ctx has ended: the command was interrupted, and its simulation did not fail.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the simulation was stopped: %w", context.Cause(ctx))
	}
	return err
}

// names returns the base names of the files. Files with the same base name keep their whole path.
func names(paths []string) []string {
	out, seen := make([]string, len(paths)), map[string]int{}
	for i, p := range paths {
		out[i] = filepath.Base(p)
		seen[out[i]]++
	}
	for i, p := range paths {
		if seen[out[i]] > 1 {
			out[i] = p
		}
	}
	return out
}

func comparison(compared []optimise.Compared, scenes []*scene) *report.Comparison {
	doc := &report.Comparison{Level: confidence, Method: compared[0].Method, Samples: compared[0].Samples}
	for i, c := range compared {
		one := report.Compared{Name: c.Name, Config: scenes[i].config, Result: c.Result, Diffs: map[string]report.Interval{}}
		for path, d := range c.Diffs {
			one.Diffs[path] = report.Interval{Mean: d.Mean, Low: d.Low, High: d.High}
		}
		doc.Runs = append(doc.Runs, one)
	}
	return doc
}

func writeComparison(w io.Writer, doc *report.Comparison, o *Output, s *Streams) error {
	switch o.Format {
	case JSON:
		return doc.WriteJSON(w)
	case HTML:
		return doc.WriteHTML(w)
	}
	return doc.WriteText(w, o.textOptions(s))
}
