package dst

import (
	"math"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
)

// history is creates at moments (seconds), beside the throttles in force from moments on, and jumps of the wall clock read at a restart.
type history struct {
	throttles []throttled
	creates   [][2]int // second, count
	restartAt int      // after so many creates; −1: never
	jump      time.Duration
	caught    bool
}

// TestThrottleOracle: invariant 6 on doctored histories.
func TestThrottleOracle(t *testing.T) {
	sec := func(n int) time.Duration { return began + time.Duration(n)*time.Second }
	small := []throttled{{began, 0.1, 2}}
	for name, h := range map[string]history{
		"a bucketful at once":               {small, [][2]int{{0, 2}}, -1, 0, false},
		"one more than the bucket":          {small, [][2]int{{0, 3}}, -1, 0, true},
		"drip by drip":                      {small, [][2]int{{0, 2}, {10, 1}, {20, 1}, {30, 1}}, -1, 0, false},
		"a little too fast":                 {small, [][2]int{{0, 2}, {10, 1}, {18, 1}}, -1, 0, true},
		"slow, then a burst":                {small, [][2]int{{0, 1}, {100, 2}, {101, 1}}, -1, 0, true},
		"the largest in force counts":       {[]throttled{{began, 0.1, 2}, {sec(5), 1, 5}}, [][2]int{{6, 5}}, -1, 0, false},
		"before it was in force":            {[]throttled{{began, 0.1, 2}, {sec(5), 1, 5}, {sec(9), 0.1, 2}}, [][2]int{{30, 3}}, -1, 0, true},
		"none in force":                     {[]throttled{{began, math.Inf(1), 1}}, [][2]int{{0, 1000}}, -1, 0, false},
		"a restart mints nothing":           {small, [][2]int{{0, 2}, {1, 2}}, 1, 0, true},
		"a jump before a restart may":       {small, [][2]int{{0, 2}, {1, 2}}, 1, time.Hour, false},
		"but not more than one bucket":      {small, [][2]int{{0, 2}, {1, 3}}, 1, time.Hour, true},
		"a jump back mints nothing":         {small, [][2]int{{0, 2}, {1, 1}}, 1, -time.Hour, true},
		"a jump without a restart mints no": {small, [][2]int{{0, 2}, {1, 1}}, -1, time.Hour, true},
	} {
		w := &world{}
		w.cfg.Throttle.Limit = 0.1
		for n, c := range h.creates {
			w.throttles = nil
			for _, th := range h.throttles {
				if th.from <= sec(c[0]) {
					w.throttles = append(w.throttles, th)
				}
			}
			if n == 1 {
				w.wallJumped(h.jump)
			}
			if n == h.restartAt {
				if jump := w.drift - w.spentDrift; jump > 0 {
					w.minted = append(w.minted, creation{sec(c[0]), min(2, 0.1*jump.Seconds())})
				}
			}
			w.now.Mono, w.lastStep = sec(c[0]), sec(c[0])
			w.judgeThrottle(c[1])
		}
		if got := w.broken != nil && w.broken.Invariant == "6"; got != h.caught {
			t.Errorf("%s: caught %v, want %v (%v)", name, got, h.caught, w.broken)
		}
	}
}

// TestThrottleInForce: the oracle's own reading of the defaults.
func TestThrottleInForce(t *testing.T) {
	w := &world{}
	for _, c := range []struct {
		limit        float64
		burst, most  int
		wantL, wantB float64
	}{{0, 0, 7, 100, 7}, {2.5, 0, 0, 2.5, 3}, {0.1, 3, 9, 0.1, 3}, {-1, 0, 0, math.Inf(1), math.Inf(1)}} {
		w.cfg = scaler.Config{MaxInstances: c.most}
		w.cfg.Throttle.Limit, w.cfg.Throttle.Burst = c.limit, c.burst
		if got := w.inForce(); got.limit != c.wantL || got.burst != c.wantB {
			t.Errorf("%+v: %v/%v", c, got.limit, got.burst)
		}
	}
}
