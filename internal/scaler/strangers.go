package scaler

import (
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// stranger decides what to do with an instance that is not in the register.
func (c *Core) stranger(ev *Event) {
	if ev.Listed == fleet.ListedDeleted {
		return // it is gone already
	}
	if in := c.explain(); in != nil {
		c.takeIn(ev, in)
		return
	}
	switch {
	case c.repairs > 0 && c.lists.started:
		c.repairs--
		c.adopt(ev, record.CauseMissing)
	case !c.lists.started && c.unfinished, c.cfg.Adopt == AdoptAll:
		c.adopt(ev, record.CauseNone)
	case !c.lists.started && (c.known || c.cfg.Adopt == AdoptRemove):
		if m := c.enter(ev, record.Creating, record.Preexisting, 0); m != nil {
			c.retire(m, record.CausePreexisting)
		}
	default:
		c.keepUnclaimed(ev)
	}
}

// explain returns the create that explains a new instance: the oldest one that still expects instances; or else one that may still bring
// some; or else one that was given up on; or else nil.
func (c *Core) explain() *fleet.Intent {
	var doubt, faded *fleet.Intent
	for _, in := range c.reg.Intents() {
		switch {
		case in.Open > 0:
			return in
		case in.Doubt > 0 && doubt == nil:
			doubt = in
		case in.Faded > 0 && faded == nil:
			faded = in
		}
	}
	if doubt != nil {
		return doubt
	}
	return faded
}

// takeIn adds an instance that a create explains.
func (c *Core) takeIn(ev *Event, in *fleet.Intent) {
	origin, expected, doubt, faded := record.Created, 0, 0, 0
	switch {
	case in.Open > 0:
		expected = -1
	case in.Doubt > 0:
		origin, doubt = record.Adopted, -1
	default:
		origin, faded = record.Adopted, -1
	}
	c.must(c.reg.Shift(in, expected, doubt, faded))
	if in.Left() == 0 && (in.Answered || in.Attached.(*intent).restored) {
		c.close(in)
	}
	m := c.enter(ev, record.Creating, origin, in.Op)
	if m == nil {
		return
	}
	if origin == record.Adopted {
		c.fact(Fact{Kind: FactAdopt, ID: m.ID, Op: in.Op})
	}
	c.follow(m)
}

// adopt adds an instance that no create explains.
func (c *Core) adopt(ev *Event, why record.Cause) {
	if m := c.enter(ev, record.Creating, record.Adopted, 0); m != nil {
		c.fact(Fact{Kind: FactAdopt, ID: m.ID, Cause: why})
		c.follow(m)
	}
}

// keepUnclaimed adds an instance of unknown owner: it is counted and left alone.
func (c *Core) keepUnclaimed(ev *Event) {
	m := c.enter(ev, record.Unclaimed, record.Preexisting, 0)
	if m == nil {
		return
	}
	c.fact(Fact{Kind: FactUnclaimed, ID: m.ID})
	if c.lists.started {
		c.foreign = append(c.foreign, c.now.Mono)
		c.watchForeign()
	}
}

// settleUnclaimed treats an unclaimed instance as adopt_preexisting says now.
func (c *Core) settleUnclaimed(m *machine) {
	switch c.cfg.Adopt {
	case AdoptAll:
		c.claim(m)
	case AdoptRemove:
		c.retire(m, record.CausePreexisting)
	}
}

// claim makes an unclaimed instance ours.
func (c *Core) claim(m *machine) {
	if c.must(c.reg.Adopt(m.Instance, c.stamp)) {
		if c.lists.started {
			c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
		}
		c.fact(Fact{Kind: FactAdopt, ID: m.ID, Cause: record.CauseOperator})
		c.follow(m)
	}
}

// enter adds a new instance to the register. op is the create that explains it; 0: none.
func (c *Core) enter(ev *Event, s record.State, o record.Origin, op uint64) *machine {
	i, err := c.reg.Add(ev.ID, s, o, c.stamp)
	if !c.must(err) {
		return nil
	}
	m := c.newMachine(i)
	c.reg.SetListed(i, ev.Listed)
	if s == record.Creating {
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
	}
	c.fact(Fact{Kind: FactAppeared, ID: i.ID, Op: op})
	return m
}

// watchForeign pauses creates and deletes while instances appear that we did not ask for, and resumes them when no more appear.
func (c *Core) watchForeign() {
	for len(c.foreign) > 0 && c.foreign[0]+foreignWindow <= c.now.Mono {
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
	c.reg.Each(func(i *fleet.Instance) bool {
		if i.State == record.Draining && i.Leased() == 0 {
			c.startDelete(machineOf(i))
		}
		return true
	})
}
