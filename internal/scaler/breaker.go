package scaler

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const (
	// breakerAt is the number of consecutive failed boots that opens the runaway breaker.
	breakerAt = 3
	// youth: an instance that becomes unhealthy or vanishes within this time of becoming ready, before it completed a job, counts as an
	// early failure. See Core.youth.
	youth = 2 * time.Minute
)

// fruitlessPace is the back-off after failed boots.
var fruitlessPace = pace{5 * time.Second, 10 * time.Minute, record.CauseBackoff}

// breaker is the runaway breaker: it stops the group from creating instances that all fail. While it is open, one instance at a time is
// tried, at growing intervals, until one works. Whether it is open follows from the stored counts, so a restart does not close it.
type breaker struct {
	open   bool
	judged time.Duration // time of the last failure: instances that were already booting then belong to the same try
	since  time.Duration // when the first of the consecutive early failures was first listed: instances that are older prove nothing
	young  []trial       // instances that became ready less than a youth ago, in this order; some may be gone by now
	unseen []trial       // older ones that the latest list does not show as running: they have survived only once the provider says so
}

// trial is an instance that has yet to prove that it works.
type trial struct {
	m     *machine
	ready time.Duration
}

// youth returns how long an instance is young. It is at least as long as the lists need to show that one vanished.
func (c *Core) youth() time.Duration { return max(youth, 2*c.cfg.UpdateInterval) }

func (c *Core) restoreBreaker() {
	m := &c.reg.Meta
	c.breaker = breaker{open: m.Fruitless+m.DiedYoung >= breakerAt, judged: c.now.Mono, since: fleet.Past(m.YoungSince, c.stamp).Mono}
	if m.DiedYoung > 0 {
		c.reg.Each(func(i *fleet.Instance) bool {
			if i.State == record.Ready {
				c.breaker.young = append(c.breaker.young, trial{machineOf(i), i.ReadyAt.Mono})
			}
			return true
		})
		slices.SortStableFunc(c.breaker.young, func(a, b trial) int { return cmp.Compare(a.ready, b.ready) })
	}
}

// unfit counts m, which is about to go for why, as failed, unless it already completed a job or survived its youth.
func (c *Core) unfit(m *machine, why record.Cause) {
	switch m.State {
	case record.Creating, record.Preparing:
		c.fruitless(m, why)
	case record.Ready:
		went := c.now.Mono
		if why == record.CauseMissing && m.absentPos > 0 { // lists confirm only later that it is gone
			went = m.absentAt
		}
		if m.Uses <= m.Leased() && went-m.ReadyAt.Mono < c.youth() {
			if meta := &c.reg.Meta; meta.DiedYoung == 0 {
				c.breaker.since, meta.YoungSince = m.Created.Mono, m.Created.Wall
			}
			c.failedBoot(Fact{ID: m.ID, Cause: why, On: true}, m.Created.Mono, &c.reg.Meta.DiedYoung)
		}
	}
}

// fruitless counts a failed boot.
func (c *Core) fruitless(m *machine, why record.Cause) {
	c.failedBoot(Fact{ID: m.ID, Cause: why}, m.Created.Mono, &c.reg.Meta.Fruitless)
}

// failedBoot counts the failure of an instance that was asked for, or first seen, at begun. The back-off doubles with each try. Instances
// that were already on their way when the last one failed belong to the same try: ten instances of one bad image cause the same back-off as
// one.
func (c *Core) failedBoot(f Fact, begun time.Duration, count *int) {
	meta := &c.reg.Meta
	*count++
	if begun >= c.breaker.judged || meta.Trials == 0 {
		meta.Trials++
	}
	c.breaker.judged = c.now.Mono
	c.reg.TouchMeta()
	total, why := meta.Fruitless+meta.DiedYoung, fruitlessPace.cause
	if total >= breakerAt {
		why = record.CauseBreaker
	}
	d := fruitlessPace.after(meta.Trials)
	c.startBackoff(d, why)
	f.Kind, f.Count, f.Took = FactFruitless, total, d
	c.fact(f)
	if total >= breakerAt && !c.breaker.open {
		c.breaker.open = true
		c.fact(Fact{Kind: FactBreaker, On: true, Count: total, Took: d, Cause: f.Cause, ID: f.ID})
	}
}

// canaries returns how many instances the open breaker allows now: one, when none is booting or on trial; else none.
func (c *Core) canaries() int {
	r := c.reg
	if r.IntentExpected() > 0 || r.Count(record.Creating) > 0 || r.Count(record.Preparing) > 0 {
		return 0
	}
	onTrial := func(t trial) bool { return t.lives() && t.m.Created.Mono >= c.breaker.since }
	if r.Meta.DiedYoung > 0 && (slices.ContainsFunc(c.breaker.young, onTrial) || slices.ContainsFunc(c.breaker.unseen, onTrial)) {
		return 0
	}
	return 1
}

// lives reports whether t's instance is still the same one, and not retired.
func (t *trial) lives() bool { return machineOf(t.m.Instance) == t.m && t.m.State == record.Ready }

// booted records that m is ready. That ends a run of failed boots. After early failures, m must first survive its youth.
func (c *Core) booted(m *machine) {
	c.breaker.young = append(c.breaker.young, trial{m, c.now.Mono})
	meta := &c.reg.Meta
	if meta.DiedYoung == 0 {
		c.mended(m.ID)
	} else if meta.Fruitless > 0 {
		meta.Fruitless = 0
		c.reg.TouchMeta()
		c.closeBreaker(m.ID)
	}
}

// watchYoung ends a run of early failures when an instance that is not older than the run has survived its youth.
func (c *Core) watchYoung() {
	b := &c.breaker
	for len(b.young) > 0 && c.now.Mono-b.young[0].ready >= c.youth() {
		if c.reg.Meta.DiedYoung > 0 {
			b.unseen = append(b.unseen, b.young[0])
		}
		b.young[0] = trial{}
		b.young = b.young[1:]
	}
	if len(b.unseen) == 0 {
		return
	}
	kept := b.unseen[:0]
	for _, t := range b.unseen {
		switch {
		case c.reg.Meta.DiedYoung == 0 || !t.lives() || t.m.Created.Mono < b.since:
		case t.m.Listed != fleet.ListedRunning:
			kept = append(kept, t)
		default:
			c.mended(t.m.ID)
		}
	}
	clear(b.unseen[len(kept):])
	b.unseen = kept
}

// grownUpAt returns when the next instance on trial has survived its youth.
func (c *Core) grownUpAt() (time.Duration, bool) {
	if c.reg.Meta.DiedYoung == 0 {
		return 0, false
	}
	for _, t := range c.breaker.young {
		if t.lives() {
			return t.ready + c.youth(), true
		}
	}
	return 0, false
}

// tidyTrials drops instances on trial that are gone, so that an ID is enough to identify each that is left.
func (c *Core) tidyTrials() {
	gone := func(t trial) bool { return !t.lives() }
	c.breaker.young, c.breaker.unseen = slices.DeleteFunc(c.breaker.young, gone), slices.DeleteFunc(c.breaker.unseen, gone)
}

// proven records that a job released its slot on m normally: instances like m work.
func (c *Core) proven(m *machine) {
	meta := &c.reg.Meta
	if meta.DiedYoung == 0 || m.Created.Mono < c.breaker.since {
		return
	}
	meta.DiedYoung = 0
	c.reg.TouchMeta()
	if meta.Fruitless == 0 {
		c.mended(m.ID)
	}
	c.closeBreaker(m.ID)
}

// mended resets both counts and ends the back-off that they led to.
func (c *Core) mended(id record.ID) {
	meta := &c.reg.Meta
	if meta.Fruitless+meta.DiedYoung+meta.Trials == 0 {
		return
	}
	meta.Fruitless, meta.DiedYoung, meta.Trials = 0, 0, max(meta.Trials, 1)
	c.relief(&meta.Trials, record.CauseBackoff, record.CauseBreaker)
	c.reg.TouchMeta()
	c.closeBreaker(id)
}

// closeBreaker closes the breaker when the counts no longer keep it open.
func (c *Core) closeBreaker(id record.ID) {
	meta := &c.reg.Meta
	if c.breaker.open && meta.Fruitless+meta.DiedYoung < breakerAt {
		c.breaker.open = false
		c.fact(Fact{Kind: FactBreaker, ID: id})
	}
}
