package scaler

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// surplus returns how many of our instances exist beyond max_instances or the provider's limit, and are not on their way out. A reload, or
// the provider, may have lowered the limit. Unclaimed instances do not count here: their owner is unknown, so ours do not give way to them.
func (c *Core) surplus() int {
	limit := c.maxInstances()
	if limit == 0 {
		return 0
	}
	standing := c.reg.Count(record.Creating) + c.reg.Count(record.Preparing) + c.reg.Count(record.Ready) + c.reg.IntentExpected()
	return max(standing-limit, 0)
}

// watchLimit notes since when the fleet stands above the limit.
func (c *Core) watchLimit() {
	switch over := c.surplus() > 0; {
	case !over:
		c.above = 0
	case c.above == 0:
		c.above = max(c.now.Mono, 1)
	}
}

// shrinkToLimit retires what stands above the limit, whatever the policy asks for. Instances that have been idle for span go first. What
// is left after the fleet stood above the limit for span gets no new lease and goes with its last one: no running job is touched, but a
// queue of jobs does not keep the fleet above the limit either.
func (c *Core) shrinkToLimit(span time.Duration) {
	over := c.surplus()
	for i := c.reg.LongestIdle(); over > 0 && i != nil && c.now.Mono-i.IdleAt.Mono >= span; {
		next := c.reg.NextIdle(i)
		if i.Claims() == 0 {
			c.retire(machineOf(i), record.CauseAboveLimit)
			over--
		}
		i = next
	}
	if over > 0 && c.now.Mono-c.above >= span {
		c.drainSurplus(over)
	}
	c.watchLimit()
}

// drainSurplus retires up to n instances: those with the fewest leases first, among equals the youngest. It costs O(fleet), once for each
// surplus.
func (c *Core) drainSurplus(n int) {
	var all []*fleet.Instance
	c.reg.Each(func(i *fleet.Instance) bool {
		if i.State >= record.Creating && i.State <= record.Ready && i.Claims() == 0 {
			all = append(all, i)
		}
		return true
	})
	slices.SortStableFunc(all, func(a, b *fleet.Instance) int {
		return cmp.Or(cmp.Compare(a.Leased(), b.Leased()), cmp.Compare(b.Serial, a.Serial))
	})
	for _, i := range all[:min(n, len(all))] {
		c.retire(machineOf(i), record.CauseAboveLimit)
	}
}
