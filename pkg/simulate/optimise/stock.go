package optimise

import "math"

// Stock is what theory says of a base stock: K machines kept ready, each job using up one, so that idle_count is an inventory with one-for-one
// replacement and the time to boot is its lead time.
type Stock struct {
	Wait     float64 // probability that a job waits
	MeanWait float64 // seconds, over all jobs
	Idle     float64 // mean number of machines ready and idle
}

// BaseStock is the stock of k machines at Poisson arrivals of rate (1/s) and a mean boot of boot seconds. By Palm's theorem the boots under
// way are N ~ Poisson(rate × boot) for any distribution of the boot, and so P(wait) = P(N ≥ k), E[wait] = E[(N−k)⁺] ÷ rate and
// E[idle] = E[(k−N)⁺] (Feeney & Sherbrooke, Management Science 1966). Where machines are used again it errs on the safe side.
func BaseStock(rate, boot float64, k int) Stock {
	load := rate * boot
	if !(load > 0) {
		return Stock{Idle: float64(max(k, 0))}
	}
	below, idle := 0.0, 0.0 // P(N < k), E[(k−N)⁺]
	for n := range k {
		p := poisson(load, n)
		below += p
		idle += p * float64(k-n)
	}
	s := Stock{Wait: min(max(1-below, 0), 1), Idle: idle}
	s.MeanWait = max(load-float64(k)+idle, 0) / rate // E[(N−k)⁺] = E[N] − k + E[(k−N)⁺]
	return s
}

// StockForWait is the least stock whose jobs wait longer than limit seconds with at most probability p, for boots that all take boot seconds: a
// job waits longer than t when as many as the stock arrived in the boot − t ahead of it.
func StockForWait(rate, boot, limit, p float64) int {
	if limit >= boot {
		return 0
	}
	return least(rate*(boot-limit), func(k int) bool { return BaseStock(rate, boot-limit, k).Wait <= p })
}

// StockForMean is the least stock with at most this mean wait, in seconds.
func StockForMean(rate, boot, mean float64) int {
	return least(rate*boot, func(k int) bool { return BaseStock(rate, boot, k).MeanWait <= mean })
}

// least is the first number that is enough. Beyond twelve standard deviations above the load nothing changes.
func least(load float64, enough func(k int) bool) int {
	lo, hi := 0, int(load+12*math.Sqrt(load))+16
	for lo < hi {
		if mid := (lo + hi) / 2; enough(mid) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// poisson is the probability of n.
func poisson(load float64, n int) float64 {
	lg, _ := math.Lgamma(float64(n) + 1)
	return math.Exp(float64(n)*math.Log(load) - load - lg)
}
