package optimise

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// knobs are the settings of one candidate. Counts are in slots.
type knobs struct {
	window int // index into space.windows; −1: one policy for the whole week
	on     level
	off    level // settings outside the window
	max    int
	slots  int
	rate   float64 // throttle limit
	burst  int
}

// level is what a policy asks for.
type level struct {
	idle   int
	time   time.Duration
	factor float64
	limit  int
	add    bool
}

// space describes the possible candidates.
type space struct {
	p       *Problem
	today   Setup
	base    level // today's settings, for fixed keys
	preempt bool
	windows []window
	fixed   map[Key]bool
	boot    float64 // mean time from create to ready, in seconds
	rates   *profile
	peak    int // the most jobs at once if each starts at its arrival
	starts  []knobs
	ceiling int // the largest idle_count
}

// idleTimes are the values of idle_time to try. They are round numbers, because people read them.
func idleTimes() []time.Duration {
	const s, m = time.Second, time.Minute
	return []time.Duration{15 * s, 30 * s, m, 90 * s, 2 * m, 3 * m, 4 * m, 5 * m, 6 * m, 7 * m, 8 * m, 9 * m, 10 * m, 11 * m, 12 * m, 13 * m,
		14 * m, 15 * m, 17 * m, 20 * m, 25 * m, 30 * m, 45 * m, 60 * m}
}

func factors() []float64 {
	return []float64{0, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 3}
}

// minDays is the number of days that the training part must have before hours of the day are learned from it. Two days with jobs at four
// o'clock do not make a pattern.
const minDays = 4

// newSpace analyses the training part.
func newSpace(p *Problem, train part) (*space, error) {
	s := &space{p: p, today: p.today(), fixed: map[Key]bool{}, rates: profileOf(train.jobs.List, train.start)}
	for _, k := range p.Fixed {
		s.fixed[k] = true
	}
	schedule, err := policy.Compile(p.Today, p.zone())
	if err != nil {
		return nil, err
	}
	now := schedule.At(p.Options.Start).Settings
	s.base, s.preempt = levelOf(now), now.Preemptive
	boot, err := p.Options.Cloud.Boot.Sampler()
	if err != nil {
		return nil, err
	}
	ready, err := p.Options.Ready.Sampler()
	if err != nil {
		return nil, err
	}
	s.boot = (boot.Mean() + ready.Mean()).Seconds()
	s.peak = peak(train.jobs.List)
	s.ceiling = max(2*s.peak, 4)
	if s.today.MaxInstances > 0 {
		s.ceiling = min(s.ceiling, s.today.MaxInstances*s.today.Capacity)
	}
	for _, pol := range p.Today {
		if w := windowOf(pol); len(pol.Periods) > 0 && slices.Contains(w.hours[:], false) {
			s.windows = append(s.windows, w)
		}
	}
	list := train.jobs.List
	if long := list[len(list)-1].Arrival >= minDays*24*time.Hour; long && !s.fixed[KeyPeriods] {
		s.windows = append(s.windows, s.rates.windows()...)
		for i := range s.windows {
			if s.windows[i].timezone == "" {
				s.windows[i].timezone = p.timezone()
			}
		}
	}
	s.starts = s.closedForm()
	return s, nil
}

func levelOf(s policy.Settings) level {
	return level{idle: s.IdleCount, time: s.IdleTime, factor: s.ScaleFactor, limit: s.ScaleFactorLimit, add: s.ScaleFactorMode == policy.FactorAdd}
}

// closedForm are the candidates from theory: the base stock for some targets, with the shortest idle time and with today's, with and
// without windows.
func (s *space) closedForm() []knobs {
	all := func(int, int) bool { return true }
	mean, _ := s.rates.rate(all)
	var list []knobs
	for w := -1; w < len(s.windows); w++ {
		if w < 0 && s.fixed[KeyPeriods] && len(s.windows) > 0 {
			continue
		}
		on, off := mean, mean
		if w >= 0 {
			on, _ = s.rates.rate(s.windows[w].holds)
			off, _ = s.rates.rate(func(d, h int) bool { return !s.windows[w].holds(d, h) })
		}
		for _, stock := range s.stocks() {
			k := s.plain()
			k.window, k.on.idle, k.off.idle = w, stock(on), stock(off)
			list = append(list, s.legal(k))
		}
	}
	return list
}

// stocks are rules that map a rate to an idle_count: no stock, the stocks that keep the SLOs, and a few for other targets.
func (s *space) stocks() []func(rate float64) int {
	rules := []func(float64) int{func(float64) int { return 0 }}
	quantile := func(limit, p float64) {
		rules = append(rules, func(rate float64) int { return stockForWait(rate, s.boot, limit, p) })
	}
	for _, a := range s.p.SLO {
		switch a.Path {
		case "wait_seconds.mean":
			rules = append(rules, func(rate float64) int { return stockForMean(rate, s.boot, a.Limit) })
		case "wait_seconds.p50":
			quantile(a.Limit, 0.5)
		case "wait_seconds.p90":
			quantile(a.Limit, 0.1)
		case "wait_seconds.p95":
			quantile(a.Limit, 0.05)
		case "wait_seconds.p99":
			quantile(a.Limit, 0.01)
		case "wait_fraction":
			quantile(0, a.Limit)
		}
	}
	for _, p := range []float64{0.3, 0.05, 0.005} {
		quantile(0, p)
	}
	return rules
}

// plain is today's configuration as knobs.
func (s *space) plain() knobs {
	return knobs{window: -1, on: s.base, off: s.base, max: s.today.MaxInstances, slots: s.today.Capacity,
		rate: s.today.Throttle.Limit, burst: s.today.Throttle.Burst}
}

// random draws a candidate. Its stock is between nothing and three times the safest stock; every other value comes from its list.
func (s *space) random(r *rand.Rand) knobs {
	k := s.starts[r.IntN(len(s.starts))]
	scale := math.Exp(r.Float64()*2.2 - 1.6)
	k.on, k.off = s.draw(r, k.on, scale), s.draw(r, k.off, scale*r.Float64())
	if r.IntN(3) > 0 {
		k.off.time, k.off.factor, k.off.add, k.off.limit = k.on.time, k.on.factor, k.on.add, k.on.limit
	}
	if r.IntN(6) == 0 {
		k = s.turnLimits(r, k)
	}
	if n := len(s.p.Capacities); n > 0 && r.IntN(n+1) > 0 {
		k.slots = pick(r, s.p.Capacities)
	}
	return s.legal(k)
}

func (s *space) draw(r *rand.Rand, l level, scale float64) level {
	l.idle = int(float64(l.idle)*scale + 0.5)
	if r.IntN(4) == 0 {
		l.idle = 0
	}
	l.time = pick(r, idleTimes())
	l.factor, l.limit, l.add = 0, 0, r.IntN(2) == 0
	if r.IntN(3) > 0 {
		l.factor = pick(r, factors())
	}
	if r.IntN(4) == 0 {
		l.limit = 1 + int(float64(s.peak)*r.Float64()*r.Float64())
	}
	return l
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// mutate changes one or two settings by a small step.
func (s *space) mutate(r *rand.Rand, k knobs) knobs {
	for range 1 + r.IntN(2) {
		l := &k.on
		if k.window >= 0 && r.IntN(2) == 0 {
			l = &k.off
		}
		switch r.IntN(9) {
		case 0, 1, 2:
			l.idle += step(r, l.idle)
		case 3, 4:
			l.time = neighbour(r, idleTimes(), l.time)
		case 5, 6:
			l.factor = neighbour(r, factors(), l.factor)
		case 7:
			switch r.IntN(3) {
			case 0:
				l.add = !l.add
			case 1:
				l.limit = 0
			default:
				l.limit = max(l.limit+step(r, max(l.limit, s.peak/8)), 0)
			}
		default:
			if len(s.windows) > 0 && r.IntN(2) == 0 {
				k.window = r.IntN(len(s.windows)+1) - 1
			} else {
				k = s.turnLimits(r, k)
			}
		}
	}
	return s.legal(k)
}

// turnLimits changes a limit of the fleet.
func (s *space) turnLimits(r *rand.Rand, k knobs) knobs {
	switch r.IntN(3) {
	case 0:
		k.max = max(int(float64(s.peak)/float64(k.slots)*(0.4+0.8*r.Float64())), 1)
		if r.IntN(3) == 0 {
			k.max = s.today.MaxInstances
		}
	case 1:
		k.rate, k.burst = s.today.Throttle.Limit, s.today.Throttle.Burst
		if r.IntN(3) > 0 {
			k.rate = pick(r, []float64{0.5, 1, 2, 5, 10, 20})
			k.burst = pick(r, []int{5, 10, 20, 50, 100})
		}
	default:
		if len(s.p.Capacities) > 0 {
			k.slots = pick(r, s.p.Capacities)
		}
	}
	return k
}

// step changes a count by one, or by up to a third of it.
func step(r *rand.Rand, n int) int {
	d := 1 + r.IntN(max(n/3, 1))
	if r.IntN(2) == 0 {
		return -d
	}
	return d
}

// neighbour is a value one to three places away in a list, or the nearest end.
func neighbour[T int | float64 | time.Duration](r *rand.Rand, list []T, v T) T {
	at, _ := slices.BinarySearch(list, v)
	d := 1 + r.IntN(3)
	if r.IntN(2) == 0 {
		d = -d
	}
	return list[min(max(at+d, 0), len(list)-1)]
}

// legal makes a candidate valid: fixed keys get today's values, and settings without effect get one standard form.
func (s *space) legal(k knobs) knobs {
	plain := s.plain()
	if s.fixed[KeyMaxInstances] {
		k.max = plain.max
	}
	if plain.max > 0 {
		k.max = min(k.max, plain.max)
		if k.max <= 0 {
			k.max = plain.max
		}
	}
	if s.fixed[KeyThrottle] {
		k.rate, k.burst = plain.rate, plain.burst
	}
	if s.fixed[KeyCapacity] || len(s.p.Capacities) == 0 {
		k.slots = plain.slots
	}
	if s.fixed[KeyPeriods] {
		k.window = len(s.windows) - 1
	}
	k.on = s.legalLevel(k.on, k)
	if k.off = s.legalLevel(k.off, k); k.window < 0 {
		k.off = level{}
	}
	return k
}

func (s *space) legalLevel(l level, k knobs) level {
	if s.fixed[KeyIdleCount] {
		l.idle = s.base.idle
	}
	if s.fixed[KeyIdleTime] {
		l.time = s.base.time
	}
	if s.fixed[KeyScaleFactor] {
		l.factor, l.limit, l.add = s.base.factor, s.base.limit, s.base.add
	}
	ceiling := s.ceiling
	if k.max > 0 {
		ceiling = min(ceiling, k.max*k.slots)
	}
	if !s.fixed[KeyIdleCount] {
		l.idle = min(max(l.idle, 0), ceiling)
		if s.preempt {
			l.idle = max(l.idle, 1) // a group that takes jobs only if a slot is free needs at least one idle slot
		}
	}
	if l.factor == 0 && !s.fixed[KeyScaleFactor] {
		l.limit, l.add = 0, false
	}
	if l.idle == 0 && !s.fixed[KeyScaleFactor] {
		l.add = false
	}
	if !l.add && l.limit > 0 && l.limit <= l.idle && !s.fixed[KeyScaleFactor] {
		l.limit = 0
	}
	return l
}

// setup is the candidate as a configuration.
func (s *space) setup(k knobs) Setup {
	out := Setup{Capacity: k.slots, MaxInstances: k.max, Throttle: policy.Throttle{Limit: k.rate, Burst: k.burst}}
	if k.window < 0 {
		out.Policies = []policy.Policy{{Settings: s.settings(k.on)}}
		return out
	}
	w := &s.windows[k.window]
	out.Policies = []policy.Policy{{Settings: s.settings(k.off)}, {Periods: w.periods, Timezone: w.timezone, Settings: s.settings(k.on)}}
	return out
}

func (s *space) settings(l level) policy.Settings {
	out := policy.Settings{IdleCount: l.idle, IdleTime: l.time, ScaleFactor: l.factor, ScaleFactorLimit: l.limit, Preemptive: s.preempt}
	if l.add {
		out.ScaleFactorMode = policy.FactorAdd
	}
	return out
}
