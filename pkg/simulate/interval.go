package simulate

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with a confidence interval.
type Interval struct {
	Mean, Low, High float64
}

// Half is half the width of the interval, the number after "±".
func (i Interval) Half() float64 { return (i.High - i.Low) / 2 }

// Contains reports whether v lies in the interval.
func (i Interval) Contains(v float64) bool { return v >= i.Low && v <= i.High }

// Around returns the confidence interval of the mean of independent values, by Student's t distribution. With fewer than two values the
// interval is infinite.
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

// BatchMeans returns the confidence interval of the mean of one long, correlated sequence. The values are in nanoseconds; the result is in
// seconds. The sequence is cut into batches that are long enough to make their means nearly independent (Law & Kelton, Simulation Modeling
// and Analysis, the method of batch means).
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
