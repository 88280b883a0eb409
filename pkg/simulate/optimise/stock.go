package optimise

import "math"

// stock holds the figures of a base stock in theory: K machines are kept ready, and each job uses one up. idle_count is then an inventory
// with one-for-one replacement, and the boot time is its lead time.
type stock struct {
	Wait     float64 // probability that a job waits
	MeanWait float64 // seconds, over all jobs
	Idle     float64 // mean number of ready and idle machines
}

// baseStock is the stock of k machines for Poisson arrivals of rate (1/s) and a mean boot time of boot seconds. By Palm's theorem the
// number of boots in progress is N ~ Poisson(rate × boot) for any distribution of the boot time. So P(wait) = P(N ≥ k), E[wait] = E[(N−k)⁺]
// ÷ rate and E[idle] = E[(k−N)⁺] (Feeney & Sherbrooke, Management Science 1966). If machines are used more than once, the real waits are
// shorter.
func baseStock(rate, boot float64, k int) stock {
	load := rate * boot
	if !(load > 0) {
		return stock{Idle: float64(max(k, 0))}
	}
	below, idle := 0.0, 0.0 // P(N < k), E[(k−N)⁺]
	for n := range k {
		p := poisson(load, n)
		below += p
		idle += p * float64(k-n)
	}
	s := stock{Wait: min(max(1-below, 0), 1), Idle: idle}
	s.MeanWait = max(load-float64(k)+idle, 0) / rate // E[(N−k)⁺] = E[N] − k + E[(k−N)⁺]
	return s
}

// stockForWait is the smallest stock at which a job waits longer than limit seconds with probability at most p, if every boot takes boot
// seconds. A job waits longer than t if at least as many jobs as the stock arrived in the time boot − t before it.
func stockForWait(rate, boot, limit, p float64) int {
	if limit >= boot {
		return 0
	}
	return least(rate*(boot-limit), func(k int) bool { return baseStock(rate, boot-limit, k).Wait <= p })
}

// stockForMean is the smallest stock with at most this mean wait, in seconds.
func stockForMean(rate, boot, mean float64) int {
	return least(rate*boot, func(k int) bool { return baseStock(rate, boot, k).MeanWait <= mean })
}

// least is the smallest k that is enough. Above the load plus twelve standard deviations nothing changes.
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
