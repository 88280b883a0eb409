// Package good does what is allowed.
package good

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
	"golang.org/x/time/rate"
)

// F is told everything that it needs.
func F(now time.Time, rng *rand.Rand, l *rate.Limiter, m map[string]int) (sum int) {
	own := rand.New(rand.NewPCG(1, 2))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		sum += m[k] + rng.IntN(3) + own.IntN(2)
	}
	//archtest:unordered addition commutes
	for _, v := range m {
		sum += v
	}
	if l.AllowN(now, 1) && l.TokensAt(now) > 1 && now.Add(time.Hour).After(time.Unix(0, 0)) {
		l.SetLimitAt(now, rate.Every(time.Second))
		sum += int(l.ReserveN(now, 1).DelayFrom(now))
	}
	for range m { //archtest:unordered only counted
		sum++
	}
	for i := range 3 {
		sum += i
	}
	return sum
}

// G parses.
func G(s string) (cron.Schedule, error) {
	p := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	return p.Parse(s)
}
