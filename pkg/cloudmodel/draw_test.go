package cloudmodel

import (
	"math"
	"testing"
)

func TestUniformIsUniformAndOpen(t *testing.T) {
	const n, cells = 100000, 100
	for s := streamBoot; s <= streamSlowTime; s++ {
		var hits [cells]int
		for i := range uint64(n) {
			u := Uniform(1, s, i)
			if u <= 0 || u >= 1 {
				t.Fatalf("stream %d, number %d: %v is outside (0, 1)", s, i, u)
			}
			hits[int(u*cells)]++
		}
		chi := 0.0
		for _, h := range hits {
			d := float64(h) - n/cells
			chi += d * d / (n / cells)
		}
		if chi > 165 { // χ² with 99 degrees of freedom exceeds 165 with probability 3e-5
			t.Errorf("stream %d: χ² = %.1f, want at most 165", s, chi)
		}
	}
}

func TestStreamsSeedsAndNumbersAreUncorrelated(t *testing.T) {
	const n = 20000
	pairs := map[string]func(i uint64) (a, b float64){
		"streams": func(i uint64) (float64, float64) { return Uniform(3, streamBoot, i), Uniform(3, streamSpot, i) },
		"seeds":   func(i uint64) (float64, float64) { return Uniform(3, streamBoot, i), Uniform(4, streamBoot, i) },
		"numbers": func(i uint64) (float64, float64) { return Uniform(3, streamBoot, i), Uniform(3, streamBoot, i+1) },
	}
	for name, pair := range pairs {
		sum := 0.0
		for i := range uint64(n) {
			a, b := pair(i)
			sum += (a - 0.5) * (b - 0.5)
		}
		if r := 12 * sum / n; math.Abs(r) > 4/math.Sqrt(n) {
			t.Errorf("%s: correlation %.4f, want within ±%.4f", name, r, 4/math.Sqrt(n))
		}
	}
}

func TestUniformKeepsItsNumbers(t *testing.T) {
	// Published results name a seed: these must never change.
	for _, tc := range []struct {
		seed uint64
		s    Stream
		n    uint64
		want float64
	}{{0, streamBoot, 0, 0.3817435024520828}, {1, streamSpot, 42, 0.1280278910883455}} {
		if got := Uniform(tc.seed, tc.s, tc.n); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("Uniform(%d, %d, %d) = %.16f, want %.16f", tc.seed, tc.s, tc.n, got, tc.want)
		}
	}
}
