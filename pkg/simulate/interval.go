package simulate

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its confidence interval.
type Interval struct {
	Mean, Low, High float64
}

// Half is half of the interval's width.
func (i Interval) Half() float64 { return (i.High - i.Low) / 2 }

// Contains reports whether v lies in the interval.
func (i Interval) Contains(v float64) bool { return v >= i.Low && v <= i.High }

// Around is the confidence interval of the mean of independent values, by Student's t distribution. Fewer than two values give an
// infinite one.
func Around(values []float64, confidence float64) Interval {
	n := float64(len(values))
	if n < 2 {
		m := stat.Mean(values, nil)
		return Interval{Mean: m, Low: math.Inf(-1), High: math.Inf(1)}
	}
	mean, std := stat.MeanStdDev(values, nil)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.5 + confidence/2)
	half := t * std / math.Sqrt(n)
	return Interval{Mean: mean, Low: mean - half, High: mean + half}
}

// BatchMeans is the confidence interval of the mean of one long, correlated sequence (in nanoseconds; the result is in seconds): it is cut
// into batches so long that their means are nearly independent (Law & Kelton, Simulation Modeling and Analysis, the method of batch means).
func BatchMeans(ns []int64, batches int, confidence float64) Interval {
	size := len(ns) / max(batches, 1)
	if size == 0 {
		return Interval{Low: math.Inf(-1), High: math.Inf(1)}
	}
	means := make([]float64, batches)
	for b := range batches {
		for _, v := range ns[b*size : (b+1)*size] {
			means[b] += float64(v) / 1e9 / float64(size)
		}
	}
	return Around(means, confidence)
}
