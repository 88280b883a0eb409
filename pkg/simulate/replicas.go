package simulate

import (
	"errors"
	"sync"
)

// Replicas runs n independent copies of a simulation, on up to workers goroutines. Replica k has the seed o.Seed + k and the jobs that
// workload returns for k. The results are in the order of k. The error is the first one in this order.
func Replicas(o Options, n, workers int, workload func(k int, seed uint64) Workload) ([]*Result, error) {
	results, errs := make([]*Result, n), make([]error, n)
	next := make(chan int)
	var all sync.WaitGroup
	for range max(min(workers, n), 1) {
		all.Add(1)
		go func() {
			defer all.Done()
			for k := range next {
				own := o
				own.Seed = o.Seed + uint64(k)
				results[k], errs[k] = Run(own, workload(k, own.Seed))
			}
		}()
	}
	for k := range n {
		next <- k
	}
	close(next)
	all.Wait()
	return results, errors.Join(errs...)
}

// Over returns the confidence interval of the mean of one figure over the replicas.
func Over(results []*Result, confidence float64, figure func(*Result) float64) Interval {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = figure(r)
	}
	return Around(values, confidence)
}
