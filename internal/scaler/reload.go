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
		m := machineOf(i)
		switch {
		case i.State == record.Ready && i.Leased() == 0 && c.reg.UsedUp(i):
			c.retire(m, record.CauseUsedUp)
		case i.State == record.Unclaimed:
			c.settleUnclaimed(m)
		default:
			c.watchHealth(m)
		}
		return true
	})
	c.fact(Fact{Kind: FactReload})
}
