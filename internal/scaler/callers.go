package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// reserve promises a slot. In preemptive mode it sets aside a free, ready slot that no other key gets. Otherwise it only checks that
// leases, waiters and reservations together stay below what max_instances can hold.
func (c *Core) reserve(ev *Event) {
	switch {
	case c.closed():
		c.deny(ev.Key, ev.Ticket, c.closedCause())
	case c.busyKey(ev.Key) || c.reg.Reservation(ev.Key) != nil:
		c.deny(ev.Key, ev.Ticket, record.CauseDuplicate)
	default:
		claim, why := c.admit()
		if why != record.CauseNone {
			c.deny(ev.Key, ev.Ticket, why)
			return
		}
		res, err := c.reg.Reserve(ev.Key, claim)
		if !c.must(err) {
			return
		}
		t := &timer{kind: timerReserve, of: res}
		res.Attached = t
		c.timers.set(t, c.now.Mono+c.cfg.ReservationDeadline)
		c.grant(Grant{Kind: GrantReserved, Ticket: ev.Ticket, Key: ev.Key})
	}
}

// admit decides on one more reservation. It returns the instance whose slot the reservation claims (nil: it claims none), or the cause of
// the refusal.
func (c *Core) admit() (*fleet.Instance, record.Cause) {
	if s := c.active.Settings; s.Preemptive {
		if i := c.reg.Fullest(""); i != nil && c.queue.len() == 0 {
			return i, record.CauseNone
		}
		if s.IdleCount == 0 && c.decision.IdleTarget == 0 {
			return nil, record.CausePolicy // no instance is ever created for it
		}
		return nil, record.CauseNoCapacity
	}
	m := c.maxInstances()
	taken := c.reg.Leased() + c.queue.len() + c.reg.Reservations()
	if m > 0 && taken/c.reg.Capacity() >= m {
		return nil, record.CauseNoCapacity
	}
	return nil, record.CauseNone
}

// maxInstances is the lower of our limit and the provider's; 0: no limit.
func (c *Core) maxInstances() int {
	a, b := max(c.cfg.MaxInstances, 0), max(c.cfg.ProviderMax, 0)
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func (c *Core) busyKey(key record.Key) bool {
	i, _ := c.reg.LeaseOf(key)
	return i != nil || c.queue.byKey[key] != nil
}

func (c *Core) unreserve(key record.Key) {
	if res := c.reg.Reservation(key); res != nil {
		c.timers.stop(res.Attached.(*timer))
		c.reg.Unreserve(res)
	}
}

func (c *Core) expireReservation(res *fleet.Reservation) {
	c.reg.Unreserve(res)
	c.fact(Fact{Kind: FactDeny, Key: res.Key, Cause: record.CauseDeadline})
}

// acquire grants at once when a slot is open and no caller waits, or on the slot that the key's own reservation claimed. Otherwise the
// caller waits.
func (c *Core) acquire(ev *Event) {
	if c.closed() {
		c.unreserve(ev.Key)
		c.deny(ev.Key, ev.Ticket, c.closedCause())
		return
	}
	if c.busyKey(ev.Key) {
		c.deny(ev.Key, ev.Ticket, record.CauseDuplicate)
		return
	}
	var claim *fleet.Instance
	if res := c.reg.Reservation(ev.Key); res != nil {
		claim = res.Claim
		c.unreserve(ev.Key)
	}
	if claim == nil || claim.Open() == 0 {
		claim = nil
		if c.queue.head == nil {
			claim = c.reg.Fullest("")
		}
	}
	if claim != nil {
		c.hand(claim, ev.Key, ev.Ticket, c.now.Mono)
		return
	}
	c.wait(ev, "")
}

func (c *Core) closedCause() record.Cause {
	if c.shutdown {
		return record.CauseShutdown
	}
	return record.CauseDraining
}

func (c *Core) wait(ev *Event, not record.ID) {
	w := c.queue.push(ev.Key, ev.Ticket, not, c.now.Mono)
	if ev.Deadline > 0 {
		c.timers.set(&w.deadline, ev.Deadline)
	}
}

// cancel ends a wait that the caller gave up. If the lease was already granted, nothing happens here: the caller must release it.
func (c *Core) cancel(ev *Event) {
	if w := c.queue.byKey[ev.Key]; w != nil && w.ticket == ev.Ticket {
		c.deny(ev.Key, ev.Ticket, record.CauseCancelled)
		c.dismiss(w)
	}
}

// release ends a lease. Releasing twice, or releasing a revoked lease, is harmless: the answer is CauseUnknownKey.
func (c *Core) release(ev *Event) {
	i := c.leaseOf(ev)
	if i == nil {
		c.deny(ev.Key, ev.Ticket, record.CauseUnknownKey)
		return
	}
	if ev.Cause != record.CauseNone {
		if ev.Cause != record.CauseDoubtful { // its other leases go on, and no boot has failed
			c.unfit(machineOf(i), ev.Cause)
		}
		c.retireFor(machineOf(i), ev.Cause, ev.Failure)
	}
	c.end(ev.Key)
	c.grant(Grant{Kind: GrantReleased, Ticket: ev.Ticket, Key: ev.Key, ID: i.ID, Serial: i.Serial})
	switch ev.Cause {
	case record.CauseNone:
		c.proven(machineOf(i))
	case record.CauseDoubtful:
	default:
		c.unhealthy(machineOf(i), ev.Cause, ev.Failure)
	}
}

// leaseOf returns the instance of the lease that ev is about, or nil if there is none. A lease under the same key that began in this batch is another
// one: nobody was told of it yet. So is one that ev does not name, if ev names one.
func (c *Core) leaseOf(ev *Event) *fleet.Instance { return c.reg.Told(ev.Key, ev.Serial, int(ev.Op)) }

// end takes key's slot back and returns the instance, or nil when the key has no lease. The instance is retired or deleted if this was its
// last use, or the last lease of a draining instance.
func (c *Core) end(key record.Key) *fleet.Instance {
	if t := c.orphans[key]; t != nil {
		c.timers.stop(t)
		delete(c.orphans, key)
	}
	i, _ := c.reg.End(key, c.stamp)
	switch {
	case i == nil || i.Leased() > 0:
	case i.State == record.Draining:
		c.startDelete(machineOf(i))
	case i.State == record.Ready && c.reg.UsedUp(i):
		c.retire(machineOf(i), record.CauseUsedUp)
	case c.deleting:
		c.retire(machineOf(i), record.CauseShutdown)
	}
	return i
}

// replace gives a lease back and waits for one on another instance.
func (c *Core) replace(ev *Event) {
	i := c.leaseOf(ev)
	switch {
	case i == nil:
		c.deny(ev.Key, ev.Ticket, record.CauseUnknownKey)
	case c.closed():
		c.deny(ev.Key, ev.Ticket, c.closedCause())
	default:
		c.end(ev.Key)
		c.wait(ev, i.ID)
	}
}

// reattach gives a caller its lease back, after a restart of the manager or a lost connection.
func (c *Core) reattach(ev *Event) {
	i := c.leaseOf(ev)
	if i == nil {
		c.deny(ev.Key, ev.Ticket, record.CauseUnknownKey)
		return
	}
	_, slot := c.reg.LeaseOf(ev.Key)
	if t := c.orphans[ev.Key]; t != nil {
		c.timers.stop(t)
		delete(c.orphans, ev.Key)
	}
	c.grant(Grant{Kind: GrantReattached, Ticket: ev.Ticket, Key: ev.Key, ID: i.ID, Serial: i.Serial, Slot: slot, Use: c.reg.UseOf(ev.Key)})
}

func (c *Core) detach(ev *Event) {
	if c.leaseOf(ev) == nil || c.orphans[ev.Key] != nil {
		return
	}
	patience := c.cfg.ReattachAfterDisconnect
	if ev.Deadline > 0 {
		patience = max(ev.Deadline-c.now.Mono, 0)
	}
	c.orphan(ev.Key, patience)
}

// orphan gives the caller of key's lease this long to reattach.
func (c *Core) orphan(key record.Key, patience time.Duration) {
	t := &timer{kind: timerOrphan, of: key}
	c.orphans[key] = t
	c.timers.set(t, c.now.Mono+patience)
}

// abandoned revokes a lease whose caller did not reattach. The instance may still run that caller's job, so it is retired, unless
// keep_instance_with_acquisitions is set.
func (c *Core) abandoned(key record.Key) {
	i, _ := c.reg.LeaseOf(key)
	if i == nil {
		return
	}
	m := machineOf(i)
	if !c.cfg.KeepAbandoned {
		c.retire(m, record.CauseAbandoned)
	}
	c.revoke(m, key, record.CauseAbandoned, failure.Failure{})
}

// revoke ends one lease that its caller did not release, and tells the caller why. because is the failure behind it, if there is one.
func (c *Core) revoke(m *machine, key record.Key, why record.Cause, because failure.Failure) {
	_, slot := c.reg.LeaseOf(key)
	c.grant(Grant{Kind: GrantRevoked, Key: key, ID: m.ID, Serial: m.Serial, Slot: slot, Cause: why})
	c.fact(Fact{Kind: FactRevoke, Key: key, ID: m.ID, Cause: why, Failure: because})
	c.end(key)
}

func (c *Core) revokeLeases(m *machine, why record.Cause, because failure.Failure) {
	if m.Leased() == 0 {
		return
	}
	keys := make([]record.Key, 0, m.Leased())
	m.Each(func(l record.Lease) { keys = append(keys, l.Key) })
	for _, k := range keys {
		c.revoke(m, k, why, because)
	}
}

func (c *Core) revokeAll(why record.Cause) {
	c.reg.Each(func(i *fleet.Instance) bool {
		c.revokeLeases(machineOf(i), why, failure.Failure{})
		return true
	})
}
