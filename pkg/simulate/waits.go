package simulate

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HistogramError is the relative error of quantiles when there are too many waits to keep them exactly.
const HistogramError = 0.001

// waits collects the wait of every job, in the order of starts. It keeps exact values up to a limit, then a histogram with a known error.
type waits struct {
	exact int
	all   []int64 // nanoseconds
	tag   []uint16
	hour  []uint8
	hist  *hdrhistogram.Histogram // in microseconds; nil: all waits are exact

	n       int
	sum     float64 // seconds
	waited  int     // longer than 0
	longest int64
}

// add counts a wait and returns its place.
func (w *waits) add(ns int64, tag uint16, hour uint8) int {
	w.n++
	w.sum += float64(ns) / 1e9
	w.longest = max(w.longest, ns)
	if ns > 0 {
		w.waited++
	}
	if w.hist != nil {
		_ = w.hist.RecordValue(ns / 1000) // waits are shorter than the histogram's limit of ten years
		return -1
	}
	if len(w.all) == cap(w.all) { // doubling by hand: append grows by 25 % and copies millions of waits more often
		more := min(max(len(w.all), 1024), w.exact+1)
		w.all, w.tag, w.hour = slices.Grow(w.all, more), slices.Grow(w.tag, more), slices.Grow(w.hour, more)
	}
	w.all = append(w.all, ns)
	w.tag = append(w.tag, tag)
	w.hour = append(w.hour, hour)
	if len(w.all) > w.exact {
		w.hist = hdrhistogram.New(1, int64(10*365*24*time.Hour/time.Microsecond), 3)
		for _, v := range w.all {
			_ = w.hist.RecordValue(v / 1000)
		}
		w.all, w.tag, w.hour = nil, nil, nil
		return -1
	}
	return len(w.all) - 1
}

// drop removes the waits of jobs that turn out to be censored at the end of the run. A histogram keeps them: among millions of waits they
// do not matter.
func (w *waits) drop(places []int) {
	if w.hist != nil || len(places) == 0 {
		return
	}
	slices.Sort(places)
	kept := 0
	w.n, w.sum, w.waited, w.longest = 0, 0, 0, 0
	for i, ns := range w.all {
		if len(places) > 0 && places[0] == i {
			places = places[1:]
			continue
		}
		w.all[kept], w.tag[kept], w.hour[kept] = ns, w.tag[i], w.hour[i]
		kept++
		w.n++
		w.sum += float64(ns) / 1e9
		w.longest = max(w.longest, ns)
		if ns > 0 {
			w.waited++
		}
	}
	w.all, w.tag, w.hour = w.all[:kept], w.tag[:kept], w.hour[:kept]
}

// Waits are the waits of the jobs that started, in seconds.
type Waits struct {
	Count    int
	Mean     float64
	Max      float64
	Fraction float64 // share of the jobs that waited longer than 0
	Exact    bool    // false: quantiles have the relative error HistogramError
	InOrder  []int64 // nanoseconds, in the order of starts; nil if the waits are not exact

	sorted []int64
	hist   *hdrhistogram.Histogram
}

func (w *waits) result() Waits {
	r := Waits{Count: w.n, Max: float64(w.longest) / 1e9, Exact: w.hist == nil, InOrder: w.all, hist: w.hist}
	if w.n > 0 {
		r.Mean, r.Fraction = w.sum/float64(w.n), float64(w.waited)/float64(w.n)
	}
	r.sorted = slices.Clone(w.all)
	slices.Sort(r.sorted)
	return r
}

// Quantile is the p-quantile, 0 ≤ p ≤ 1, by the nearest-rank definition: the smallest wait w such that at least the share p of the jobs
// waited at most w.
func (w *Waits) Quantile(p float64) float64 {
	if w.hist != nil {
		return float64(w.hist.ValueAtQuantile(p*100)) / 1e6
	}
	return quantile(w.sorted, p)
}

func quantile(sorted []int64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	n := int(math.Ceil(p*float64(len(sorted)))) - 1
	return float64(sorted[min(max(n, 0), len(sorted)-1)]) / 1e9
}

// Over is the share of jobs that waited longer than t.
func (w *Waits) Over(t time.Duration) float64 {
	if w.Count == 0 {
		return 0
	}
	if w.hist != nil {
		n := 0.0
		for _, b := range w.hist.CumulativeDistribution() {
			if b.ValueAt <= int64(t/time.Microsecond) {
				n = b.Quantile
			}
		}
		return 1 - n/100
	}
	n, _ := slices.BinarySearch(w.sorted, int64(t)+1)
	return float64(len(w.sorted)-n) / float64(len(w.sorted))
}

// Bin is one bar of a histogram: waits from From (inclusive) to To (exclusive), in seconds.
type Bin struct {
	From, To float64
	Count    int
}

// Histogram counts waits into bins: 0, then powers of two from one second.
func (w *Waits) Histogram() []Bin {
	bins := []Bin{{From: 0, To: 0}}
	for to := 1.0; ; to *= 2 {
		from := to / 2
		if to == 1 {
			from = 0
		}
		bins = append(bins, Bin{From: from, To: to})
		if to > w.Max {
			break
		}
	}
	put := func(sec float64, n int) {
		for i := range bins {
			if sec == 0 || i > 0 && sec < bins[i].To {
				bins[i].Count += n
				return
			}
		}
		bins[len(bins)-1].Count += n
	}
	if w.hist != nil {
		for _, b := range w.hist.Distribution() {
			put(float64(b.To)/1e6, int(b.Count))
		}
		return bins
	}
	for _, v := range w.sorted {
		put(float64(v)/1e9, 1)
	}
	return bins
}

// Slice holds the waits of a part of the jobs, in seconds.
type Slice struct {
	Name     string
	Jobs     int
	Mean     float64
	P50, P95 float64
	Max      float64
}

func sliceOf(name string, ns []int64) Slice {
	slices.Sort(ns)
	s := Slice{Name: name, Jobs: len(ns), P50: quantile(ns, 0.5), P95: quantile(ns, 0.95), Max: quantile(ns, 1)}
	for _, v := range ns {
		s.Mean += float64(v) / 1e9 / float64(len(ns))
	}
	return s
}

// by groups the exact waits by a key from 0 to n−1.
func (w *waits) by(n int, key func(i int) int) [][]int64 {
	parts := make([][]int64, n)
	for i, v := range w.all {
		k := key(i)
		parts[k] = append(parts[k], v)
	}
	return parts
}
