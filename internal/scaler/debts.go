package scaler

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// repairWindow is how far a loss and its replacement by the group may be apart. Within this time, an instance that we did not ask for
// replaces one of ours that went without our doing, whichever came first.
const repairWindow = 10 * time.Minute

// debt is an instance that went without our doing and has no replacement yet.
type debt struct {
	id record.ID
	at time.Duration // when it went
}

// owe records that m went without our doing. If the group had already started the replacement, the replacement is taken in at once.
func (c *Core) owe(m *machine) {
	if !c.shutdown {
		if early := c.early(); early != nil {
			c.claim(early, record.CauseMissing)
			c.watchForeign()
			return
		}
	}
	c.debts = append(c.debts, debt{m.ID, c.now.Mono})
}

// early removes and returns the first of the instances that appeared in the last repairWindow without our request; nil: there is none.
func (c *Core) early() *machine {
	for n, f := range c.foreign {
		if f.at+repairWindow <= c.now.Mono {
			continue
		}
		i := c.reg.Get(f.id)
		if i != nil && i.State == record.Unclaimed && (i.Listed == fleet.ListedRunning || i.Listed == fleet.ListedCreating) {
			c.foreign = slices.Delete(c.foreign, n, n+1)
			return machineOf(i)
		}
	}
	return nil
}

// expireDebts forgets the losses that are too old for a replacement by the group.
func (c *Core) expireDebts() {
	c.debts = slices.DeleteFunc(c.debts, func(d debt) bool { return d.at+repairWindow <= c.now.Mono })
}

// replacedByGroup reports whether an instance that we did not ask for replaces one of ours that went before. It settles the oldest loss.
func (c *Core) replacedByGroup() bool {
	c.expireDebts()
	if len(c.debts) == 0 {
		return false
	}
	c.debts = c.debts[1:]
	return true
}

// replacedByUs settles the oldest loss before seen: an instance of ours that was first listed then is ready.
func (c *Core) replacedByUs(seen time.Duration) {
	c.settleDebt(func(d debt) bool { return d.at <= seen })
}

// cameBack settles the loss of the instance: it is listed again.
func (c *Core) cameBack(id record.ID) {
	c.settleDebt(func(d debt) bool { return d.id == id })
}

func (c *Core) settleDebt(which func(debt) bool) {
	c.expireDebts()
	if n := slices.IndexFunc(c.debts, which); n >= 0 {
		c.debts = slices.Delete(c.debts, n, n+1)
	}
}

// restoreDebts finds the recent losses among the records, without those that were replaced since.
func (c *Core) restoreDebts() {
	var paid []*fleet.Instance
	c.reg.Each(func(i *fleet.Instance) bool {
		taken := i.Cause == record.CauseProviderDeleting && (i.State == record.Draining || i.State == record.Deleting || i.State == record.Gone)
		switch {
		case i.State == record.Lost && !i.DeleteAsked || taken:
			c.debts = append(c.debts, debt{i.ID, i.Since.Mono})
		case i.Origin == record.Created && i.ReadyAt.Wall != 0, i.Origin == record.Adopted:
			paid = append(paid, i)
		}
		return true
	})
	slices.SortStableFunc(c.debts, func(a, b debt) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(paid, func(a, b *fleet.Instance) int { return cmp.Compare(a.Created.Mono, b.Created.Mono) })
	c.expireDebts()
	for _, i := range paid {
		seen := i.Created.Mono
		if i.Origin == record.Adopted { // it may have come before the loss
			seen += repairWindow
		}
		c.replacedByUs(seen)
	}
}
