package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// supply is S of the sizing rule: live leases plus every free slot, including those of instances that are booting or expected.
func (c *Core) supply() int {
	return c.reg.Leased() + c.reg.Supply() + c.reg.IntentExpected()*c.reg.PerInstance()
}

// demand collects the input of the sizing rule. While callers wait, free slots of ready instances beyond the idle target are slots that no
// waiter can have: a reservation claimed them, or they are on the instance that a waiter asked to leave, or the latest list lacks them. So
// they do not count as free.
func (c *Core) demand(s policy.Settings) policy.Demand {
	d := policy.Demand{Leases: c.reg.Leased(), Waiters: c.queue.len(), Free: c.supply() - c.reg.Leased(), Existing: c.existing()}
	if d.Waiters > 0 {
		standing := c.reg.Supply() - c.reg.Pending()
		d.Free -= max(standing-policy.IdleTarget(s, d.Leases, d.Waiters), 0)
	}
	return d
}

// grow creates the instances that the sizing rule asks for and its bounds allow.
func (c *Core) grow() {
	s := c.settings()
	limits := policy.Limits{
		Capacity: c.cfg.Capacity, MaxInstances: c.cfg.MaxInstances, ProviderMax: c.cfg.ProviderMax, MaxUses: c.cfg.MaxUses,
	}
	d, a := c.demand(s), policy.Allowance{Throttle: -1, Blocked: c.blocked()}
	if a.Breaker = c.breaker.open; a.Breaker {
		a.Canaries = c.canaries()
	}
	c.decision = policy.Size(s, limits, d, a)
	if c.decision.Grow > 0 {
		// Ask the bucket only when its answer matters.
		a.Throttle = c.allowed()
		c.decision = policy.Size(s, limits, d, a)
	}
	c.window.set(c.decision.Needed, c.now.Mono)
	if n := c.decision.Grow; n > 0 {
		c.create(n)
	}
	c.explainHold()
}

// explainHold publishes what holds back a needed create, whenever that changes.
func (c *Core) explainHold() {
	why, d := record.CauseNone, &c.decision
	if d.Grow < d.Wanted {
		why = c.boundCause()
	}
	if why != c.held && why != record.CauseNone {
		c.fact(Fact{Kind: FactHold, Cause: why, Count: d.Wanted - d.Grow, Decision: *d})
	}
	c.held = why
}

// boundCause translates the decision's bound to the cause that callers see.
func (c *Core) boundCause() record.Cause {
	switch c.decision.BoundBy {
	case policy.BoundThrottle:
		return record.CauseThrottle
	case policy.BoundBreaker:
		return record.CauseBreaker
	case policy.BoundMaxInstances:
		return record.CauseMaxInstances
	case policy.BoundProviderMax:
		return record.CauseProviderLimit
	case policy.BoundBlocked:
		return c.blockedBy()
	}
	return record.CauseNone
}

// blockedBy says why nothing may be created now.
func (c *Core) blockedBy() record.Cause {
	switch {
	case !c.lists.started:
		return c.lists.why()
	case c.closed():
		return c.closedCause()
	case c.paused:
		return record.CauseForeign
	case c.now.Mono >= c.backoff.until && c.namesBusy():
		return record.CauseConfirming
	}
	return c.backoff.cause
}

// create records the intent and the spent tokens before the call goes out. All creates of one batch become one call.
func (c *Core) create(n int) {
	c.spend(n)
	if c.batchCreate != nil {
		c.reg.Extend(c.batchCreate, n)
		c.batch.Commands[c.batchCreateAt].Count += n
	} else {
		c.batchCreate = c.reg.AddIntent(n, c.stamp)
		w := c.newIntent(c.batchCreate)
		c.timers.set(&w.timer, c.now.Mono+c.bootDeadline(c.cfg.RequestedDeadline))
		c.batchCreateAt = len(c.batch.Commands)
		c.command(Command{Kind: CmdIncrease, Op: c.batchCreate.Op, Count: n})
	}
	c.fact(Fact{Kind: FactCreate, Op: c.batchCreate.Op, Count: n, Decision: c.decision})
}

// blocked reports whether nothing may be created now, however much is needed.
func (c *Core) blocked() bool {
	return !c.lists.started || c.closed() || c.paused || c.now.Mono < c.backoff.until || c.namesBusy()
}

// growAt returns when a needed create that only has to wait may happen; false: no such create.
func (c *Core) growAt() (time.Duration, bool) {
	d := &c.decision
	if d.Grow >= d.Wanted {
		return 0, false
	}
	switch d.BoundBy {
	case policy.BoundThrottle:
		return c.nextToken(), true
	case policy.BoundBlocked:
		if c.lists.started && !c.closed() && !c.paused {
			if c.names.held > 0 && c.namesBusy() { // or earlier, when lists have confirmed the deletes
				return max(c.backoff.until, c.names.held+turn), true
			}
			return c.backoff.until, true
		}
	}
	return 0, false
}

// shrink retires instances that have been idle for idle_time and were not needed at any moment of it, longest idle first. An instance with
// a reservation stays.
func (c *Core) shrink() {
	if c.closed() {
		c.shrinkClosed()
		return
	}
	if !c.lists.started {
		return
	}
	span := c.active.Settings.IdleTime
	c.shrinkToLimit(span)
	c.window.expire(c.now.Mono, span)
	for i := c.reg.LongestIdle(); i != nil && c.now.Mono-i.IdleAt.Mono >= span; {
		next := c.reg.NextIdle(i)
		if i.Claims() == 0 && !c.heldBack(machineOf(i)) {
			if c.supply()-i.Supply() < c.window.max() {
				return
			}
			c.retire(machineOf(i), record.CauseIdle)
		}
		i = next
	}
}

// shrinkClosed retires every idle instance while no new work is accepted. A shutdown that keeps its instances retires none.
func (c *Core) shrinkClosed() {
	if c.shutdown && !c.deleting {
		return
	}
	why := record.CauseOperator
	if c.shutdown {
		why = record.CauseShutdown
	}
	for i := c.reg.LongestIdle(); i != nil; {
		next := c.reg.NextIdle(i)
		c.retire(machineOf(i), why)
		i = next
	}
}

// shrinkAt returns when the longest idle instance may be retired if nothing else happens; false: never.
func (c *Core) shrinkAt() (time.Duration, bool) {
	if !c.lists.started || c.closed() {
		return 0, false
	}
	span := c.active.Settings.IdleTime
	i := c.reg.LongestIdle()
	for i != nil && (i.Claims() > 0 || c.heldBack(machineOf(i))) {
		i = c.reg.NextIdle(i)
	}
	drain := c.above + span // of what stands above the limit; if it is over, whatever could be drained is
	waits := c.above > 0 && drain > c.now.Mono
	switch {
	case i == nil:
		return drain, waits
	case waits:
		return min(i.IdleAt.Mono+span, drain), true
	case c.above > 0:
		return i.IdleAt.Mono + span, true
	}
	at, ok := c.window.fallsTo(c.supply()-i.Supply(), span)
	return max(at, i.IdleAt.Mono+span), ok
}

// explainWaits publishes why callers wait, whenever that changes.
func (c *Core) explainWaits() {
	cause, booting := c.waitCause()
	if cause == c.waiting {
		return
	}
	c.waiting = cause
	c.fact(Fact{Kind: FactWait, Cause: cause, Count: c.queue.len(), Booting: booting, Decision: c.decision})
}

// waitCause returns what the last waiter waits for, and how many of the first waiters wait for booting instances.
func (c *Core) waitCause() (cause record.Cause, booting int) {
	w := c.queue.len()
	if w == 0 {
		return record.CauseNone, 0
	}
	booting = min(w, c.reg.Pending()+c.reg.IntentExpected()*c.reg.PerInstance())
	switch {
	case !c.lists.started:
		return c.lists.why(), booting
	case booting == w:
		return c.bootCause(), booting
	case c.paused:
		return record.CauseForeign, booting
	}
	if why := c.boundCause(); why != record.CauseNone {
		return why, booting
	}
	return record.CauseConfirming, booting
}

// bootCause returns what a waiter waits for whose instance boots. While lists fail, the instance cannot be seen, so it is not the boot.
func (c *Core) bootCause() record.Cause {
	if !c.lists.started || c.lists.failing() {
		return c.lists.why()
	}
	return record.CauseBoot
}
