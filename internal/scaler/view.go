package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Summary is the state of a group in numbers. The cost of making one does not depend on the size of the fleet.
type Summary struct {
	Creating, Preparing, Ready, Draining, Deleting, Unclaimed int // instances by state
	Idle                                                      int // usable instances without a lease
	Requested                                                 int // instances expected by unfinished creates
	Doubt                                                     int // instances that may still appear, although they are no longer expected
	Capacity                                                  int // slots per instance
	MaxInstances                                              int // the lower of our limit and the provider's; 0: no limit
	Above                                                     int // our instances beyond MaxInstances that are not on their way out
	Leases, Waiters, Reservations                             int
	OpenSlots                                                 int // slots that can be leased now
	Claimed                                                   int // slots held by reservations
	Supply                                                    int // S of the sizing rule
	Peak                                                      int // N̂: the most slots needed at once in the last idle_time
	Active                                                    policy.Active
	Decision                                                  policy.Decision
	WaitCause                                                 record.Cause
	Booting                                                   int // waiters for whom an instance is booting
	BackoffCause                                              record.Cause
	BackoffFor                                                time.Duration // time left as of the last step; 0: no back-off
	Fruitless, DiedYoung, Refusals                            int           // consecutive
	Breaker                                                   bool          // the runaway breaker is open
	Latest                                                    string        // message of the latest failed create or preparation, shortened
	Held                                                      record.Cause  // what holds back creates that are needed; CauseNone: nothing does
	ListFailures                                              int           // consecutive
	Lists                                                     int           // complete lists so far
	Started, Paused, Closed, Shutdown                         bool
}

// Summary returns the state as of the last step.
func (c *Core) Summary() Summary {
	r := c.reg
	s := Summary{
		Creating: r.Count(record.Creating), Preparing: r.Count(record.Preparing), Ready: r.Count(record.Ready), Draining: r.Count(record.Draining),
		Deleting: r.Count(record.Deleting), Unclaimed: c.unclaimed(), Idle: r.IdleCount(), Requested: r.IntentExpected(), Doubt: r.IntentDoubt(),
		Capacity: r.Capacity(), MaxInstances: c.maxInstances(), Above: c.surplus(), Leases: r.Leased(), Waiters: c.queue.len(), Reservations: r.Reservations(),
		OpenSlots: r.OpenSlots(), Claimed: r.ClaimedSlots(), Supply: c.supply(), Peak: c.window.max(), Active: c.active, Decision: c.decision,
		Fruitless: r.Meta.Fruitless, DiedYoung: r.Meta.DiedYoung, Refusals: r.Meta.Refusals, Breaker: c.breaker.open, Latest: r.Meta.Latest, Held: c.held, ListFailures: c.lists.failed, Lists: c.lists.seq, Started: c.lists.started,
		Paused: c.paused, Closed: c.draining, Shutdown: c.shutdown,
	}
	s.WaitCause, s.Booting = c.waitCause()
	if left := c.backoff.until - c.now.Mono; left > 0 {
		s.BackoffCause, s.BackoffFor = c.backoff.cause, left
	}
	return s
}

// LeaseView is one lease, as a status shows it.
type LeaseView struct {
	record.Lease
	Detached bool // its caller has not reattached yet
}

// InstanceView is one instance, as a status shows it. Times are wall time in Unix nanoseconds; 0: never.
type InstanceView struct {
	ID                                  record.ID
	Serial                              uint64
	State                               record.State
	Listed                              fleet.Listed
	Unreachable                         bool // it gets no new lease, because the provider cannot say how to reach it
	Origin                              record.Origin
	Cause                               record.Cause
	Uses, Claims                        int
	CreatedAt, SinceAt, ReadyAt, IdleAt int64
	Leases                              []LeaseView
}

// Instances calls yield for every instance, in ascending order of ID, until yield returns false. It includes gone and lost instances that
// are still remembered.
func (c *Core) Instances(yield func(InstanceView) bool) {
	c.reg.Each(func(i *fleet.Instance) bool {
		v := InstanceView{
			ID: i.ID, Serial: i.Serial, State: i.State, Listed: i.Listed, Unreachable: i.Unreachable, Origin: i.Origin, Cause: i.Cause, Uses: i.Uses, Claims: i.Claims(),
			CreatedAt: i.Created.Wall, SinceAt: i.Since.Wall, ReadyAt: i.ReadyAt.Wall, IdleAt: i.IdleAt.Wall,
		}
		i.Each(func(l record.Lease) {
			v.Leases = append(v.Leases, LeaseView{Lease: l, Detached: c.orphans[l.Key] != nil})
		})
		return yield(v)
	})
}

// WaitView says why one key waits.
type WaitView struct {
	Key      record.Key
	Position int // place in the queue, starting at 1
	Cause    record.Cause
	For      time.Duration // time waited as of the last step
}

// Wait returns why key waits; false when key does not wait. The first waiters wait for booting instances, the rest for what holds creates
// back.
func (c *Core) Wait(key record.Key) (WaitView, bool) {
	w := c.queue.byKey[key]
	if w == nil {
		return WaitView{}, false
	}
	return c.view(w, c.queue.position(w)), true
}

// Waiters calls yield for every waiter, in the order in which they are served, until yield returns false.
func (c *Core) Waiters(yield func(WaitView) bool) {
	n := 0
	for w := c.queue.head; w != nil; w = w.next {
		if n++; !yield(c.view(w, n)) {
			return
		}
	}
}

func (c *Core) view(w *waiter, position int) WaitView {
	cause, booting := c.waitCause()
	if position <= booting {
		cause = c.bootCause()
	}
	return WaitView{Key: w.key, Position: position, Cause: cause, For: c.now.Mono - w.since}
}

// Intents calls yield for every unfinished create, oldest first, until yield returns false.
func (c *Core) Intents(yield func(record.Intent) bool) {
	for _, in := range c.reg.Intents() {
		if !yield(in.Intent) {
			return
		}
	}
}

// Lease returns the instance and slot of key's lease; false when key has no lease.
func (c *Core) Lease(key record.Key) (id record.ID, slot int, ok bool) {
	i, slot := c.reg.LeaseOf(key)
	if i == nil {
		return "", 0, false
	}
	return i.ID, slot, true
}

// Check verifies every invariant of the register from scratch; see fleet.Register.Check. It is for tests and simulations.
func (c *Core) Check() error { return c.reg.Check() }

// Waits returns how many callers wait, how many of the first wait for a booting instance, and what the rest wait for. Its cost does not
// depend on the size of the fleet.
func (c *Core) Waits() (waiting, booting int, cause record.Cause) {
	cause, booting = c.waitCause()
	return c.queue.len(), booting, cause
}

// OpenSlots returns the number of slots that can be leased now.
func (c *Core) OpenSlots() int { return c.reg.OpenSlots() }

// AwaitsList reports whether a list without differences would tell the core something: that a missing instance is still missing, or that a
// create still shows nothing. Otherwise a simulator may skip such lists.
func (c *Core) AwaitsList() bool {
	if !c.lists.started || len(c.lists.absent) > 0 || c.lists.failed > 0 || c.namesBusy() {
		return true
	}
	for _, in := range c.reg.Intents() {
		if in.Attached.(*intent).confirm {
			return true
		}
	}
	return false
}
