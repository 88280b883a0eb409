package optimise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// rivalFigures are the figures of another policy on the rest of a trace, measured elsewhere.
type rivalFigures struct {
	MeanWait, InstanceHours float64
}

// backtestSplit is one round of a backtest: a search on the first part, then both policies on the rest.
type backtestSplit struct {
	Recommendation *Recommendation
	Rival          rivalFigures
	Wait           float64 // chosen minus rival: mean wait in seconds
	Hours          float64 // chosen ÷ rival − 1: instance-hours
}

// backtested is a backtest over several splits.
type backtested struct {
	Splits []backtestSplit
	// Wait and Hours are the means over the splits, with 95 % intervals. When the rests of splits overlap, a job is in several of them; the
	// intervals are then widened by the square root of that number.
	Wait, Hours simulate.Interval
}

// rotate begins the trace at a later job. The jobs before it move to the end, by whole days, so that hours of the day stay in place. start
// is the wall clock at the beginning of the trace; rotate returns the one of the rotated trace.
func rotate(jobs *simulate.Jobs, start time.Time, from int) (*simulate.Jobs, time.Time) {
	list := jobs.List
	if from <= 0 || from >= len(list) {
		return jobs.Again(), start
	}
	const day = 24 * time.Hour
	period := (list[len(list)-1].Arrival/day + 1) * day
	zero := list[from].Arrival
	out := slices.Concat(list[from:], list[:from])
	for i := range out {
		if i >= len(list)-from {
			out[i].Arrival += period
		}
		out[i].Arrival -= zero
	}
	return &simulate.Jobs{List: out, Names: jobs.Names}, start.Add(zero)
}

// backtest measures whether a search is worth it. It rotates the trace n times by one n-th. Each time it takes the recommendation from the
// training part, and runs the chosen policy and the rival on the rest. adjust, which may be nil, sets what a split's problem derives from
// its training part (an SLO, for instance). rival runs the other policy on the rest, from an empty fleet like the chosen policy.
func backtest(ctx context.Context, p Problem, n int, adjust func(p *Problem, train *simulate.Jobs) error,
	rival func(rest *simulate.Jobs) (rivalFigures, error)) (*backtested, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("optimise: a backtest needs at least one split")
	}
	out := &backtested{}
	all, start := p.Jobs, p.Options.Start
	count := len(all.List)
	cutAt := min(max(int(p.Train*float64(count)), 1), count-1)
	var waits, hours []float64
	for k := range n {
		own := p
		own.Jobs, own.Options.Start = rotate(all, start, k*count/n)
		if adjust != nil {
			if err := adjust(&own, own.cut(0, cutAt).jobs); err != nil {
				return nil, fmt.Errorf("optimise: split %d: %w", k+1, err)
			}
		}
		r, err := Recommend(ctx, own)
		if err != nil {
			return nil, fmt.Errorf("split %d: %w", k+1, err)
		}
		other, err := rival(own.cut(cutAt, count).jobs)
		if err != nil {
			return nil, fmt.Errorf("optimise: split %d: the rival: %w", k+1, err)
		}
		s := backtestSplit{Recommendation: r, Rival: other, Wait: r.Holdout.Chosen.MeanWait - other.MeanWait}
		if other.InstanceHours > 0 {
			s.Hours = r.Holdout.Chosen.InstanceHours/other.InstanceHours - 1
		}
		out.Splits = append(out.Splits, s)
		waits, hours = append(waits, s.Wait), append(hours, s.Hours)
	}
	overlap := math.Sqrt(max((1-p.Train)*float64(n), 1))
	out.Wait, out.Hours = widened(waits, overlap), widened(hours, overlap)
	return out, nil
}

func widened(values []float64, by float64) simulate.Interval {
	i := simulate.Around(values, 0.95)
	return simulate.Interval{Mean: i.Mean, Low: i.Mean - i.Half()*by, High: i.Mean + i.Half()*by}
}
