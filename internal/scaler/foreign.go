package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// When foreignLimit instances that we did not ask for appear within foreignWindow, another manager works on the same group.
const (
	foreignWindow = 10 * time.Minute
	foreignLimit  = 3
)

// Bounds of what is kept about instances of unknown owner, however many the provider lists.
const (
	maxUnclaimed   = 1000 // so many are remembered one by one; more are only counted
	unclaimedNamed = 3    // so many of one list have facts of their own; the others are counted in one
)

// arrival is an instance that appeared although we did not ask for it.
type arrival struct {
	id record.ID
	at time.Duration
}

// unknowns counts instances of unknown owner beyond those in the register.
type unknowns struct {
	excess  int // listed, but not remembered
	named   int // of the list that is being reported: those with facts of their own
	unnamed int // those that appeared without a fact
}

// keepUnclaimed adds an instance of unknown owner: it is counted and left alone.
func (c *Core) keepUnclaimed(ev *Event) {
	if c.reg.Count(record.Unclaimed) >= maxUnclaimed {
		c.unknown.excess++
	} else if c.enter(ev, record.Unclaimed, record.Preexisting, 0) == nil {
		return
	}
	if c.paused || c.unknown.named >= unclaimedNamed {
		c.unknown.unnamed++
	} else {
		c.unknown.named++
		c.fact(Fact{Kind: FactAppeared, ID: ev.ID})
		c.fact(Fact{Kind: FactUnclaimed, ID: ev.ID})
	}
	if c.lists.started {
		if len(c.foreign) >= maxUnclaimed {
			c.foreign = c.foreign[1:]
		}
		c.foreign = append(c.foreign, arrival{ev.ID, c.now.Mono})
		c.watchForeign()
	}
}

// countUnclaimed publishes how many instances of unknown owner appeared without a fact of their own. During a pause it waits for the end.
func (c *Core) countUnclaimed() {
	c.unknown.named = 0
	if n := c.unknown.unnamed; n > 0 && !c.paused {
		c.unknown.unnamed = 0
		c.fact(Fact{Kind: FactUnclaimed, Count: n})
	}
}

// unlisted handles an instance that is not in the register and that the list no longer has.
func (c *Core) unlisted() { c.unknown.excess = max(c.unknown.excess-1, 0) }

// unclaimed returns the number of instances of unknown owner, and existing the number of all instances that count against max_instances.
func (c *Core) unclaimed() int { return c.reg.Count(record.Unclaimed) + c.unknown.excess }
func (c *Core) existing() int  { return c.reg.Existing() + c.unknown.excess }

// settleUnclaimed treats an unclaimed instance as adopt_preexisting says now.
func (c *Core) settleUnclaimed(m *machine) {
	switch c.cfg.Adopt {
	case AdoptAll:
		c.claim(m, record.CauseOperator)
	case AdoptRemove:
		c.retire(m, record.CausePreexisting)
	}
}

// claim makes an unclaimed instance ours.
func (c *Core) claim(m *machine, why record.Cause) {
	if c.must(c.reg.Adopt(m.Instance, c.stamp)) {
		if c.lists.started {
			c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
		}
		c.fact(Fact{Kind: FactAdopt, ID: m.ID, Cause: why})
		c.follow(m)
	}
}

// heldBack reports whether the delete of m waits for the end of the pause. Instances that we created are ours, whoever else works on the
// group. An adopted one, or one that appeared under the name of a deleted one, may belong to the other manager. A shutdown deletes all that
// we took into service.
func (c *Core) heldBack(m *machine) bool {
	return c.paused && !c.deleting && (m.Origin != record.Created || m.Cause == record.CauseZombie)
}

// watchForeign begins the pause when instances appear that we did not ask for, and ends it when no more appear. The pause holds back creates
// and the deletes of instances that may not be ours.
func (c *Core) watchForeign() {
	for len(c.foreign) > 0 && c.foreign[0].at+foreignWindow <= c.now.Mono {
		c.foreign = c.foreign[1:]
	}
	paused := len(c.foreign) >= foreignLimit
	if paused == c.paused {
		return
	}
	c.paused = paused
	c.fact(Fact{Kind: FactForeign, On: paused, Count: len(c.foreign)})
	if paused {
		return
	}
	c.countUnclaimed()
	c.reg.Each(func(i *fleet.Instance) bool {
		if i.State == record.Draining && i.Leased() == 0 {
			c.startDelete(machineOf(i))
		}
		return true
	})
}
