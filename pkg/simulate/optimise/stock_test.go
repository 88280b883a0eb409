package optimise

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBaseStock(t *testing.T) {
	for _, c := range []struct {
		k                int
		wait, mean, idle float64
	}{{4, 0.6577040442, 21.76165008, 0.58808250}, {8, 0.0865864716, 1.35161245, 3.56758062}} {
		s := baseStock(0.05, 90, c.k)
		if math.Abs(s.Wait-c.wait) > 1e-9 || math.Abs(s.MeanWait-c.mean) > 1e-7 || math.Abs(s.Idle-c.idle) > 1e-7 {
			t.Errorf("K=%d: %+v, want %+v", c.k, s, c)
		}
	}
	if s := baseStock(0.05, 90, 0); s.Wait != 1 || math.Abs(s.MeanWait-90) > 1e-9 || s.Idle != 0 {
		t.Errorf("without a stock every job waits for one boot: %+v", s)
	}
	if s := baseStock(0, 90, 3); s != (stock{Idle: 3}) {
		t.Errorf("without jobs everything is idle: %+v", s)
	}
}

func TestBaseStockAgainstSampling(t *testing.T) {
	// A dumb oracle: draw Poisson numbers by multiplying uniform ones.
	r := rand.New(rand.NewPCG(1, 2))
	const load, k, n = 6.0, 7, 200_000
	wait, short := 0.0, 0.0
	for range n {
		boots := 0
		for p := r.Float64(); p > math.Exp(-load); p *= r.Float64() {
			boots++
		}
		if boots >= k {
			wait++
			short += float64(boots - k)
		}
	}
	s := baseStock(0.1, load/0.1, k)
	if math.Abs(s.Wait-wait/n) > 0.005 || math.Abs(s.MeanWait-short/n/0.1) > 0.15 {
		t.Errorf("%+v, sampled %v and %v", s, wait/n, short/n/0.1)
	}
}

func TestStocksAreLeast(t *testing.T) {
	for _, rate := range []float64{0.001, 0.05, 1, 7} {
		for _, boot := range []float64{5, 90, 400} {
			for _, target := range []float64{0, 1, 20, 89} {
				k := stockForMean(rate, boot, target)
				if s := baseStock(rate, boot, k); target > 1e-3 && s.MeanWait > target {
					t.Errorf("rate %v, boot %v: a stock of %d waits %v, more than %v", rate, boot, k, s.MeanWait, target)
				}
				if k > 0 && baseStock(rate, boot, k-1).MeanWait <= target {
					t.Errorf("rate %v, boot %v: a stock of %d is enough for a mean of %v, not only %d", rate, boot, k-1, target, k)
				}
			}
			k := stockForWait(rate, boot, 0, 0.05)
			if baseStock(rate, boot, k).Wait > 0.05 || k > 0 && baseStock(rate, boot, k-1).Wait <= 0.05 {
				t.Errorf("rate %v, boot %v: %d is not the least stock for 5 %%", rate, boot, k)
			}
			if stockForWait(rate, boot, boot, 0.05) != 0 || stockForWait(rate, boot, boot/2, 0.05) > k {
				t.Errorf("rate %v, boot %v: a longer wait needs no larger stock", rate, boot)
			}
		}
	}
}
