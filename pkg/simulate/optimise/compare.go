package optimise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// Variant is a configuration to compare.
type Variant struct {
	Name    string
	Options simulate.Options // Seed and Timeline are set by Compare
}

// Workload makes the jobs of replica k, which has the given seed. Several goroutines call it, once for each variant.
type Workload func(k int, seed uint64) simulate.Workload

// Trace is the workload of one list of jobs. Every replica plays the same jobs.
func Trace(jobs *simulate.Jobs) Workload {
	return func(int, uint64) simulate.Workload { return jobs.Again() }
}

// CompareOptions say how to compare. The zero value means one run of each variant, 20 blocks, and 95 % confidence.
type CompareOptions struct {
	Seed       uint64
	Replicas   int     // independent runs of a random workload; below 2: one run, with intervals over blocks of it
	Blocks     int     // blocks of arrivals, for a single run; 0: 20
	Confidence float64 // 0: 0.95
	Workers    int     // goroutines; 0: 2
	Progress   func(done, all int)
}

// Compared is one variant, compared with the first.
type Compared struct {
	Name   string
	Result *simulate.Result // result of the first replica
	// Values and Diffs use the path of the figure in the JSON report as key. Diffs are estimates of "this variant minus the first" with
	// confidence intervals. The first variant has no Diffs.
	Values, Diffs map[string]simulate.Interval
	Method        string // how the intervals were estimated: "replicas" or "batch means"
	Samples       int    // number of replicas or blocks
}

// comparedFigures are the figures that get an interval.
func comparedFigures() []string {
	return []string{"wait_seconds.mean", "wait_seconds.p50", "wait_seconds.p90", "wait_seconds.p95", "wait_seconds.p99", "wait_fraction",
		"instance_hours.total", "utilization", "cost.total"}
}

// Compare runs every variant on the same workload with the same seeds. Random numbers depend only on the number of the job or instance, so
// all variants get the same ones. Differences are therefore much more precise than the figures themselves.
//
// With Replicas ≥ 2 the intervals are Student's t intervals over the replicas, of the differences within each replica. For one trace they
// are paired batch means. The jobs are cut into Blocks equal blocks by arrival, the same for all variants: jobs start in the order of their
// arrival, so the n-th start is the n-th job in every run. The difference is computed over the whole trace; its variance is estimated from
// the differences of the blocks (sectioning: Asmussen & Glynn, Stochastic Simulation, III.5a; for means this is the method of batch means).
// Instance-hours, utilisation and cost are cut into as many blocks of equal time, read from the timeline (cost by its share of the hours).
// Blocks are nearly independent only if they are much longer than the longest disturbance. For a trace that is one long burst, the
// intervals are too narrow.
//
// Errors: those of simulate.Run, with the name of the variant, and of the context.
func Compare(ctx context.Context, variants []Variant, jobs Workload, o CompareOptions) ([]Compared, error) {
	if len(variants) == 0 {
		return nil, errors.New("optimise: nothing to compare: give at least one variant")
	}
	o = o.withDefaults()
	runs, err := o.run(ctx, variants, jobs)
	if err != nil {
		return nil, err
	}
	all := make([]Compared, len(variants))
	for i, v := range variants {
		all[i] = Compared{Name: v.Name, Result: runs[i][0], Values: map[string]simulate.Interval{}, Method: "replicas", Samples: o.Replicas}
		if i > 0 {
			all[i].Diffs = map[string]simulate.Interval{}
		}
	}
	if o.Replicas < 2 {
		return all, o.overBlocks(variants, all)
	}
	for _, path := range comparedFigures() {
		for i := range all {
			values, diffs := make([]float64, o.Replicas), make([]float64, o.Replicas)
			for k := range o.Replicas {
				first, err1 := valueOf(runs[0][k], path)
				v, err2 := valueOf(runs[i][k], path)
				if err := errors.Join(err1, err2); err != nil {
					return nil, err
				}
				values[k], diffs[k] = v, v-first
			}
			all[i].put(path, simulate.Around(values, o.Confidence), simulate.Around(diffs, o.Confidence))
		}
	}
	return all, nil
}

func (o CompareOptions) withDefaults() CompareOptions {
	if o.Blocks <= 1 {
		o.Blocks = 20
	}
	if !(o.Confidence > 0 && o.Confidence < 1) {
		o.Confidence = 0.95
	}
	if o.Workers <= 0 {
		o.Workers = 2
	}
	o.Replicas = max(o.Replicas, 1)
	return o
}

// put keeps an interval if it could be estimated.
func (c *Compared) put(path string, value, diff simulate.Interval) {
	if finite(value) {
		c.Values[path] = value
	}
	if c.Diffs != nil && finite(diff) {
		c.Diffs[path] = diff
	}
}

func finite(i simulate.Interval) bool {
	return !math.IsInf(i.Low, 0) && !math.IsInf(i.High, 0) && !math.IsNaN(i.Mean) && !math.IsNaN(i.Low)
}

// run returns results by variant and replica.
func (o CompareOptions) run(ctx context.Context, variants []Variant, jobs Workload) ([][]*simulate.Result, error) {
	runs, errs := make([][]*simulate.Result, len(variants)), make([]error, len(variants)*o.Replicas)
	for i := range runs {
		runs[i] = make([]*simulate.Result, o.Replicas)
	}
	var lock sync.Mutex
	done := 0
	parallel(len(errs), o.Workers, func(n int) {
		i, k := n/o.Replicas, n%o.Replicas
		own := variants[i].Options
		own.Seed = o.Seed + uint64(k)
		if o.Replicas == 1 {
			own.Timeline = 1 << 14
		}
		r, err := run(ctx, own, jobs(k, own.Seed))
		if err != nil {
			errs[n] = fmt.Errorf("%s: %w", variants[i].Name, err)
		}
		runs[i][k] = r
		if o.Progress != nil {
			lock.Lock()
			defer lock.Unlock()
			done++
			o.Progress(done, len(errs))
		}
	})
	return runs, errors.Join(errs...)
}

// run runs one simulation and stops it when the context ends.
func run(ctx context.Context, o simulate.Options, w simulate.Workload) (*simulate.Result, error) {
	tell := o.Progress
	o.Progress = func(done int, now time.Duration) bool {
		return ctx.Err() == nil && (tell == nil || tell(done, now))
	}
	r, err := simulate.Run(o, w)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r, err
}

// parallel calls f for 0 ≤ n < count on up to workers goroutines. It returns when all calls have returned.
func parallel(count, workers int, f func(n int)) {
	next := make(chan int)
	var all sync.WaitGroup
	for range max(min(workers, count), 1) {
		all.Go(func() {
			for n := range next {
				f(n)
			}
		})
	}
	for n := range count {
		next <- n
	}
	close(next)
	all.Wait()
}

// block holds the figures of one block of arrivals of one run.
type block struct {
	waits       []int64 // sorted
	mean        float64
	hours, busy float64
}

// overBlocks estimates intervals from single runs.
func (o CompareOptions) overBlocks(variants []Variant, all []Compared) error {
	n := len(all[0].Result.Waits.InOrder)
	for i := range all {
		n = min(n, len(all[i].Result.Waits.InOrder))
	}
	count := min(o.Blocks, n/10)
	for i := range all {
		all[i].Method, all[i].Samples = "batch means", max(count, 0)
	}
	if count < 2 {
		return nil // too few jobs, or waits that are not exact: no interval is better than a wrong one
	}
	parts := make([][]block, len(all))
	for i := range all {
		parts[i] = blocks(all[i].Result, variants[i].Options.Warmup.Seconds(), n, count)
	}
	for _, path := range comparedFigures() {
		first, err := valueOf(all[0].Result, path)
		if err != nil {
			return err
		}
		for i := range all {
			value, err := valueOf(all[i].Result, path)
			if err != nil {
				return err
			}
			values, diffs := make([]float64, count), make([]float64, count)
			for b := range count {
				values[b] = figure(path, &parts[i][b], all[i].Result, count)
				diffs[b] = values[b] - figure(path, &parts[0][b], all[0].Result, count)
			}
			all[i].put(path, section(value, values, o.Confidence), section(value-first, diffs, o.Confidence))
		}
	}
	return nil
}

// section returns the interval of an estimate from the values of its sections.
func section(whole float64, parts []float64, confidence float64) simulate.Interval {
	n := float64(len(parts))
	sum := 0.0
	for _, v := range parts {
		sum += (v - whole) * (v - whole)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.5 + confidence/2)
	half := t * math.Sqrt(sum/(n*(n-1)))
	return simulate.Interval{Mean: whole, Low: whole - half, High: whole + half}
}

// figure is a block's figure. A total is scaled to the whole run.
func figure(path string, b *block, r *simulate.Result, count int) float64 {
	switch path {
	case "wait_seconds.mean":
		return b.mean
	case "wait_fraction":
		n, _ := slices.BinarySearch(b.waits, 1)
		return float64(len(b.waits)-n) / float64(len(b.waits))
	case "instance_hours.total":
		return b.hours * float64(count)
	case "cost.total":
		if r.Hours.Total == 0 {
			return 0
		}
		return r.Cost.Total * b.hours / r.Hours.Total * float64(count)
	case "utilization":
		if b.hours == 0 {
			return 0
		}
		return b.busy / b.hours / float64(max(r.Capacity, 1))
	}
	p := map[string]float64{"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}[strings.TrimPrefix(path, "wait_seconds.")]
	at := int(math.Ceil(p*float64(len(b.waits)))) - 1
	return float64(b.waits[max(at, 0)]) / 1e9
}

// blocks cuts a run into count blocks: the first n jobs into equal numbers, the time into equal spans. A result does not contain the
// arrivals; pairing only requires that all variants are cut in the same way.
func blocks(r *simulate.Result, warmup float64, n, count int) []block {
	out := make([]block, count)
	for b := range out {
		part := slices.Clone(r.Waits.InOrder[b*n/count : (b+1)*n/count])
		for _, v := range part {
			out[b].mean += float64(v) / 1e9 / float64(len(part))
		}
		slices.Sort(part)
		out[b].waits = part
		if t := r.Timeline; t != nil {
			span := max(r.End.Seconds()-warmup, 0) / float64(count)
			from := warmup + float64(b)*span
			hours := func(curves ...[]float64) (sum float64) {
				for _, c := range curves {
					sum += area(c, t.Step, from, from+span)
				}
				return sum / 3600
			}
			out[b].hours, out[b].busy = hours(t.Booting, t.Idle, t.Busy, t.Drain), hours(t.Running)
		}
	}
	return out
}

// area is the integral of a curve between two times, in seconds.
func area(curve []float64, step time.Duration, from, to float64) (sum float64) {
	width := step.Seconds()
	for i := int(from / width); i < len(curve) && float64(i)*width < to; i++ {
		lo, hi := max(from, float64(i)*width), min(to, float64(i+1)*width)
		sum += curve[i] * max(hi-lo, 0)
	}
	return sum
}
