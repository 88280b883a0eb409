package scaler

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

const (
	// breakerAt: so many machines in a row that came to nothing open the runaway breaker.
	breakerAt = 3
	// youth: a machine that was ready, and falls ill or goes this soon without having done anything, died young. See Core.youth.
	youth = 2 * time.Minute
)

// fruitlessPace answers tries that came to nothing.
var fruitlessPace = pace{5 * time.Second, 10 * time.Minute, record.CauseBackoff}

// breaker stops creating machines that come to nothing: while it is open one at a time is tried, further and further apart, until one
// works. Whether it is open follows from the stored counts, so a restart does not close it.
type breaker struct {
	open   bool
	judged time.Duration // when a machine last came to nothing: what was under way then is the same try
	since  time.Duration // when the first machine of the row of young deaths was first seen: older ones prove nothing about it
	young  []trial       // machines that turned ready less than a youth ago, in this order; some of them may have gone
	unseen []trial       // those past it that the latest list does not show running: they live only if the provider says so
}

// trial is a machine that has to show that it lives.
type trial struct {
	m     *machine
	ready time.Duration
}

// youth is how long a machine is young: at least as long as the lists need to show that one has gone.
func (c *Core) youth() time.Duration { return max(youth, 2*c.cfg.UpdateInterval) }

func (c *Core) restoreBreaker() {
	m := &c.reg.Meta
	c.breaker = breaker{open: m.Fruitless+m.DiedYoung >= breakerAt, judged: c.now.Mono, since: fleet.Past(m.YoungSince, c.stamp).Mono}
	if m.DiedYoung > 0 {
		c.reg.Each(func(i *fleet.Instance) bool {
			if i.State == record.Ready {
				c.breaker.young = append(c.breaker.young, trial{own(i), i.ReadyAt.Mono})
			}
			return true
		})
		slices.SortStableFunc(c.breaker.young, func(a, b trial) int { return cmp.Compare(a.ready, b.ready) })
	}
}

// unfit notes that m, which is about to go for why, came to nothing; a machine that had its chance is none of it.
func (c *Core) unfit(m *machine, why record.Cause) {
	switch m.State {
	case record.Creating, record.Preparing:
		c.fruitless(m, why)
	case record.Ready:
		went := c.now.Mono
		if why == record.CauseMissing && m.absentPos > 0 { // that it is gone for good is known only some lists later
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

// fruitless notes a boot that came to nothing.
func (c *Core) fruitless(m *machine, why record.Cause) {
	c.failedBoot(Fact{ID: m.ID, Cause: why}, m.Created.Mono, &c.reg.Meta.Fruitless)
}

// failedBoot counts a machine that was asked for, or first seen, at begun and came to nothing. The pause until the next create doubles with
// each try, and those that were under way when the last one failed are no new try: ten machines of one bad image wait as long as one.
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
	c.holdOff(d, why)
	f.Kind, f.Count, f.Took = FactFruitless, total, d
	c.fact(f)
	if total >= breakerAt && !c.breaker.open {
		c.breaker.open = true
		c.fact(Fact{Kind: FactBreaker, On: true, Count: total, Took: d, Cause: f.Cause, ID: f.ID})
	}
}

// canaries is how many machines the open breaker lets be created now: one, when none is on its way or on trial.
func (c *Core) canaries() int {
	r := c.reg
	if r.IntentOpen() > 0 || r.Count(record.Creating) > 0 || r.Count(record.Preparing) > 0 {
		return 0
	}
	onTrial := func(t trial) bool { return t.lives() && t.m.Created.Mono >= c.breaker.since }
	if r.Meta.DiedYoung > 0 && (slices.ContainsFunc(c.breaker.young, onTrial) || slices.ContainsFunc(c.breaker.unseen, onTrial)) {
		return 0
	}
	return 1
}

// lives reports whether t's machine is still what it was: not another one under its name, and not retired.
func (t *trial) lives() bool { return own(t.m.Instance) == t.m && t.m.State == record.Ready }

// booted notes that m is ready. That ends a row of boots that came to nothing; after young deaths it first has to live.
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

// watchYoung ends the row of young deaths when a machine that is not older than the row has lived through its youth.
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

// grownUpAt is when the next machine on trial has lived through its youth.
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

// tidyTrials forgets machines on trial that are gone, so that what is left can be told by names.
func (c *Core) tidyTrials() {
	gone := func(t trial) bool { return !t.lives() }
	c.breaker.young, c.breaker.unseen = slices.DeleteFunc(c.breaker.young, gone), slices.DeleteFunc(c.breaker.unseen, gone)
}

// proven notes that a job has given its slot on m back as it should: machines like m do work.
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

// mended ends both rows, and the pause that they led to.
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

// closeBreaker closes the breaker where the counts no longer hold it open.
func (c *Core) closeBreaker(id record.ID) {
	meta := &c.reg.Meta
	if c.breaker.open && meta.Fruitless+meta.DiedYoung < breakerAt {
		c.breaker.open = false
		c.fact(Fact{Kind: FactBreaker, ID: id})
	}
}
