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

// Rival is what another policy does on the rest of a trace: the same figures, measured elsewhere.
type Rival struct {
	MeanWait, InstanceHours float64
}

// Split is one round of a backtest: a search on the first part, both policies on the rest.
type Split struct {
	Recommendation *Recommendation
	Rival          Rival
	Wait           float64 // chosen minus rival: mean wait in seconds
	Hours          float64 // chosen ÷ rival − 1: instance-hours
}

// Backtested is a backtest over several splits.
type Backtested struct {
	Splits []Split
	// Wait and Hours are the means over the splits with their 95 % intervals. A job is in the rest of several splits when rests overlap; the
	// intervals are widened by the root of how many.
	Wait, Hours simulate.Interval
}

// Rotate is the trace begun at a later job: what lies before it comes after the end, whole days later, so that hours of the day stay where
// they are. start is the wall clock of the trace's beginning; that of the rotated one is returned.
func Rotate(jobs *simulate.Jobs, start time.Time, from int) (*simulate.Jobs, time.Time) {
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

// Backtest asks whether searching pays: n times it rotates the trace by another n-th, recommends from the training part, and plays the choice
// and a rival on the rest. adjust, which may be nil, sets what a split's problem takes from its training part (an SLO, for instance);
// rival plays the other policy on the rest, from an empty fleet as the choice.
func Backtest(ctx context.Context, p Problem, n int, adjust func(p *Problem, train *simulate.Jobs) error,
	rival func(rest *simulate.Jobs) (Rival, error)) (*Backtested, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("optimise: a backtest needs at least one split")
	}
	out := &Backtested{}
	all, start := p.Jobs, p.Options.Start
	count := len(all.List)
	cutAt := min(max(int(p.Train*float64(count)), 1), count-1)
	var waits, hours []float64
	for k := range n {
		own := p
		own.Jobs, own.Options.Start = Rotate(all, start, k*count/n)
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
		s := Split{Recommendation: r, Rival: other, Wait: r.Holdout.Chosen.MeanWait - other.MeanWait}
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
