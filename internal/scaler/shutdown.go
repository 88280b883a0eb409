package scaler

import (
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// shutDown stops the acceptance of new work. With del, it also retires every instance of ours without a lease, including booting ones.
func (c *Core) shutDown(del bool) {
	c.shutdown = true
	if c.deleting || !del {
		return
	}
	c.deleting = true
	c.reg.Each(func(i *fleet.Instance) bool {
		m := machineOf(i)
		switch {
		case i.State == record.Deleting:
			m.tries = 0 // the shutdown counts its own tries
			if m.op == 0 {
				c.sendDelete(m)
			}
		case i.Leased() == 0 && i.State == record.Draining: // its delete waited for the end of a pause
			c.startDelete(m)
		case i.Leased() == 0 && i.State != record.Unclaimed:
			c.retire(m, record.CauseShutdown)
		}
		return true
	})
}

// finished reports whether the shutdown has nothing left to do.
func (c *Core) finished() bool {
	if !c.shutdown || c.reg.Leased() > 0 {
		return false
	}
	if !c.deleting {
		return true
	}
	if !c.lists.started || c.reg.IntentExpected()+c.reg.IntentDoubt() > 0 { // instances in doubt may still appear, until lists rule them out
		return false
	}
	left := c.reg.Exists() - c.reg.Count(record.Unclaimed)
	if left == 0 {
		return true
	}
	gaveUp := 0
	c.reg.Each(func(i *fleet.Instance) bool {
		if i.State == record.Deleting && machineOf(i).gaveUp {
			gaveUp++
		}
		return true
	})
	return gaveUp == left
}
