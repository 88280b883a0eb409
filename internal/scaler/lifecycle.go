package scaler

import (
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// reload puts a new configuration into force. Leases and instances stay. Creates that were held back are tried again at once, because the
// new configuration may have corrected the cause.
func (c *Core) reload(cfg *Config) {
	if cfg == nil {
		return
	}
	c.cfg = cfg.WithDefaults()
	c.reg.SetLimits(c.cfg.Capacity, c.cfg.MaxUses)
	c.nextEdge, c.hasEdge = c.cfg.Schedule.NextChange(c.now.Wall)
	c.evaluated, c.active = c.now.Wall, c.cfg.Schedule.At(c.now.Wall)
	c.applyThrottle()
	c.window.reset(c.now.Mono)
	c.reg.Meta.Refusals, c.reg.Meta.Trials = 0, 0 // an open breaker stays open, but allows a try at once
	c.backoff = backoff{}
	c.reg.Meta.BackoffUntil, c.reg.Meta.BackoffCause = 0, record.CauseNone
	c.reg.TouchMeta()
	c.reg.Each(func(i *fleet.Instance) bool {
		m := own(i)
		switch {
		case i.State == record.Ready && i.Leased() == 0 && c.reg.UsedUp(i):
			c.retire(m, record.CauseUsedUp)
		case i.State == record.Ready && !c.cfg.Heartbeat:
			c.timers.stop(&m.retry)
		case i.State == record.Ready && m.op == 0 && m.retry.pos == 0:
			c.nextBeat(m)
		case i.State == record.Unclaimed:
			c.settleUnclaimed(m)
		}
		return true
	})
	c.fact(Fact{Kind: FactReload})
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
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
		c.fact(Fact{Kind: FactAdopt, ID: m.ID, Cause: record.CauseOperator})
		c.follow(m)
	}
}

// shutDown stops the acceptance of new work. With del, it also retires every instance of ours without a lease, including booting ones.
func (c *Core) shutDown(del bool) {
	c.shutdown = true
	if c.deleting || !del {
		return
	}
	c.deleting = true
	c.reg.Each(func(i *fleet.Instance) bool {
		m := own(i)
		switch {
		case i.State == record.Deleting && m.op == 0:
			m.tries = 0 // the shutdown counts its own tries
			c.sendDelete(m)
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
	if !c.lists.started || c.reg.IntentOpen()+c.reg.IntentDoubt() > 0 { // instances in doubt may still appear, until lists rule them out
		return false
	}
	left := c.reg.Exists() - c.reg.Count(record.Unclaimed)
	if left == 0 {
		return true
	}
	gaveUp := 0
	c.reg.Each(func(i *fleet.Instance) bool {
		if i.State == record.Deleting && own(i).gaveUp {
			gaveUp++
		}
		return true
	})
	return gaveUp == left
}
