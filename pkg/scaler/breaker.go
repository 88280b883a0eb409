package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/fleet"
)

const (
	// breakerAt: so many machines in a row that came to nothing open the runaway breaker.
	breakerAt = 3
	// youth: a machine that was ready, and falls ill or goes this soon without having done anything, died young.
	youth = 2 * time.Minute
)

// fruitlessPace answers tries that came to nothing.
var fruitlessPace = pace{5 * time.Second, 10 * time.Minute, fleet.CauseBackoff}

// breaker stops creating machines that come to nothing: while it is open one at a time is tried, further and further apart, until one
// works. Whether it is open follows from the stored counts, so a restart does not close it.
type breaker struct {
	open   bool
	judged time.Duration // when a machine last came to nothing: what was under way then is the same try
	canary *machine      // after young deaths, the one that has to show that it lives
}

func (c *Core) restoreBreaker() {
	m := &c.reg.Meta
	c.breaker = breaker{open: m.Fruitless+m.DiedYoung >= breakerAt, judged: c.now.Mono}
}

// unfit notes that m, which is about to go for why, came to nothing; a machine that had its chance is none of it.
func (c *Core) unfit(m *machine, why fleet.Cause) {
	switch m.State {
	case fleet.Creating, fleet.Preparing:
		c.fruitless(m, why)
	case fleet.Ready:
		if c.breaker.canary == m {
			c.breaker.canary = nil
		}
		if m.Uses <= m.Leased() && c.now.Mono-m.ReadyAt.Mono < youth {
			c.failedBoot(Fact{ID: m.ID, Cause: why, On: true}, m.Created.Mono, &c.reg.Meta.DiedYoung)
		}
	}
}

// fruitless notes a boot that came to nothing.
func (c *Core) fruitless(m *machine, why fleet.Cause) {
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
		why = fleet.CauseBreaker
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
	if c.breaker.canary != nil || r.IntentOpen() > 0 || r.Count(fleet.Creating) > 0 || r.Count(fleet.Preparing) > 0 {
		return 0
	}
	return 1
}

// booted notes that m is ready. That ends a row of boots that came to nothing; after young deaths it first has to live.
func (c *Core) booted(m *machine) {
	meta := &c.reg.Meta
	if meta.DiedYoung > 0 {
		if c.breaker.canary == nil {
			c.breaker.canary = m
		}
		if meta.Fruitless > 0 {
			meta.Fruitless = 0
			c.reg.TouchMeta()
			c.closeBreaker(m.ID)
		}
		return
	}
	c.mended(m.ID)
}

// watchCanary ends the row of young deaths when a machine has lived through its youth.
func (c *Core) watchCanary() {
	m := c.breaker.canary
	if m == nil || c.now.Mono-m.ReadyAt.Mono < youth && m.State == fleet.Ready {
		return
	}
	c.breaker.canary = nil
	if m.State == fleet.Ready {
		c.mended(m.ID)
	}
}

// proven notes that a job has given its slot back as it should: machines do work.
func (c *Core) proven(id fleet.ID) {
	if c.reg.Meta.DiedYoung > 0 {
		c.breaker.canary = nil
		c.reg.Meta.DiedYoung = 0
		c.reg.TouchMeta()
		if c.reg.Meta.Fruitless == 0 {
			c.mended(id)
		}
		c.closeBreaker(id)
	}
}

// mended ends both rows, and the pause that they led to.
func (c *Core) mended(id fleet.ID) {
	meta := &c.reg.Meta
	if meta.Fruitless+meta.DiedYoung+meta.Trials == 0 {
		return
	}
	meta.Fruitless, meta.DiedYoung, meta.Trials = 0, 0, max(meta.Trials, 1)
	c.relief(&meta.Trials, fleet.CauseBackoff, fleet.CauseBreaker)
	c.reg.TouchMeta()
	c.closeBreaker(id)
}

// closeBreaker closes the breaker where the counts no longer hold it open.
func (c *Core) closeBreaker(id fleet.ID) {
	meta := &c.reg.Meta
	if c.breaker.open && meta.Fruitless+meta.DiedYoung < breakerAt {
		c.breaker.open = false
		c.fact(Fact{Kind: FactBreaker, ID: id})
	}
}
