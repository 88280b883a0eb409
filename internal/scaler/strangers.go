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
	if ev.Kind == EvChanged && c.unknown.excess > 0 && c.reg.Get(ev.ID) == nil {
		return // it is counted already
	}
	if in := c.explain(); in != nil {
		c.takeIn(ev, in)
		return
	}
	switch {
	case c.lists.started && c.replacedByGroup():
		c.adopt(ev, record.CauseMissing)
	case !c.lists.started && c.unfinished:
		c.adopt(ev, record.CausePreexisting)
	case c.cfg.Adopt == AdoptAll:
		c.adopt(ev, record.CauseOperator)
	case !c.lists.started && (c.known || c.cfg.Adopt == AdoptRemove):
		if m := c.enter(ev, record.Creating, record.Preexisting, 0); m != nil {
			c.retire(m, record.CausePreexisting)
		}
	default:
		c.keepUnclaimed(ev)
	}
}

// explain returns the create that explains a new instance: the oldest one that still expects instances; or else one that may still bring
// some; or else one that was given up on; or else nil. A create that was decided in this batch is not sent yet and explains nothing.
func (c *Core) explain() *fleet.Intent {
	var doubt, faded *fleet.Intent
	for _, in := range c.reg.Intents() {
		switch {
		case in == c.batchCreate:
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
		c.confused(in)
	case in.Doubt > 0:
		origin, doubt = record.Adopted, -1
		c.notMistaken(in)
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

// enter adds a new instance to the register. op is the create that explains it; 0: none.
func (c *Core) enter(ev *Event, s record.State, o record.Origin, op uint64) *machine {
	i, err := c.reg.Add(ev.ID, s, o, c.stamp)
	if !c.must(err) {
		return nil
	}
	m := c.newMachine(i)
	c.renamed(i.ID)
	c.reg.SetListed(i, ev.Listed)
	if s == record.Creating {
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
	}
	if s != record.Unclaimed { // keepUnclaimed publishes those
		c.fact(Fact{Kind: FactAppeared, ID: i.ID, Op: op})
	}
	return m
}
