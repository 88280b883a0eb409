package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Summary is the state of a group in numbers. Making one costs the same for any fleet.
type Summary struct {
	Creating, Preparing, Ready, Draining, Deleting, Unclaimed int // instances by state
	Idle                                                      int // usable instances without a lease
	Requested                                                 int // instances expected by unfinished creates
	Doubt                                                     int // instances that may appear although nobody expects them
	Capacity                                                  int // slots an instance
	MaxInstances                                              int // the tighter of our limit and the provider's, 0: none
	Leases, Waiters, Reservations                             int
	OpenSlots                                                 int // slots that can be leased at this moment
	Claimed                                                   int // slots held by reservations
	Supply                                                    int // S of the sizing rule
	Peak                                                      int // N̂: the most needed in the last idle_time
	Active                                                    policy.Active
	Decision                                                  policy.Decision
	WaitCause                                                 record.Cause
	Booting                                                   int // waiters for whom a machine is on its way
	BackoffCause                                              record.Cause
	BackoffFor                                                time.Duration // from the last step; 0: none
	Fruitless, DiedYoung, Refusals                            int           // in a row
	Breaker                                                   bool          // the runaway breaker is open
	Held                                                      record.Cause  // what holds back creates that are needed
	ListFailures                                              int           // in a row
	Lists                                                     int           // complete lists so far
	Started, Paused, Closed, Shutdown                         bool
}

// Summary returns the state in numbers, as of the last step.
func (c *Core) Summary() Summary {
	r := c.reg
	s := Summary{
		Creating: r.Count(record.Creating), Preparing: r.Count(record.Preparing), Ready: r.Count(record.Ready), Draining: r.Count(record.Draining),
		Deleting: r.Count(record.Deleting), Unclaimed: r.Count(record.Unclaimed), Idle: r.IdleCount(), Requested: r.IntentOpen(), Doubt: r.IntentDoubt(),
		Capacity: r.Capacity(), MaxInstances: c.maxInstances(), Leases: r.Leased(), Waiters: c.queue.len(), Reservations: r.Reservations(),
		OpenSlots: r.OpenSlots(), Claimed: r.ClaimedSlots(), Supply: c.supply(), Peak: c.window.max(), Active: c.active, Decision: c.decision,
		Fruitless: r.Meta.Fruitless, DiedYoung: r.Meta.DiedYoung, Refusals: r.Meta.Refusals, Breaker: c.breaker.open, Held: c.held, ListFailures: c.lists.failed, Lists: c.lists.seq, Started: c.lists.started,
		Paused: c.paused, Closed: c.draining, Shutdown: c.shutdown,
	}
	s.WaitCause, s.Booting = c.waitCause()
	if left := c.backoff.until - c.now.Mono; left > 0 {
		s.BackoffCause, s.BackoffFor = c.backoff.cause, left
	}
	return s
}

// LeaseView is one lease as a status shows it.
type LeaseView struct {
	record.Lease
	Detached bool // its caller is away
}

// InstanceView is one instance as a status shows it. Stamps are wall time in Unix nanoseconds, 0: never.
type InstanceView struct {
	ID                                  record.ID
	Serial                              uint64
	State                               record.State
	Listed                              fleet.Listed
	Origin                              record.Origin
	Cause                               record.Cause
	Uses, Claims                        int
	CreatedAt, SinceAt, ReadyAt, IdleAt int64
	Leases                              []LeaseView
}

// Instances calls yield for every instance, remembered ones included, ascending by ID, until it returns false.
func (c *Core) Instances(yield func(InstanceView) bool) {
	c.reg.Each(func(i *fleet.Instance) bool {
		v := InstanceView{
			ID: i.ID, Serial: i.Serial, State: i.State, Listed: i.Listed, Origin: i.Origin, Cause: i.Cause, Uses: i.Uses, Claims: i.Claims(),
			CreatedAt: i.Created.Wall, SinceAt: i.Since.Wall, ReadyAt: i.ReadyAt.Wall, IdleAt: i.IdleAt.Wall,
		}
		i.Each(func(l record.Lease) {
			v.Leases = append(v.Leases, LeaseView{Lease: l, Detached: c.orphans[l.Key] != nil})
		})
		return yield(v)
	})
}

// WaitView is why one key waits.
type WaitView struct {
	Key      record.Key
	Position int // from 1
	Cause    record.Cause
	For      time.Duration // as of the last step
}

// Wait returns why key waits; false when it does not. Those in front wait for machines on their way, the rest for what holds creates back.
func (c *Core) Wait(key record.Key) (WaitView, bool) {
	w := c.queue.byKey[key]
	if w == nil {
		return WaitView{}, false
	}
	n := 1
	for p := w.prev; p != nil; p = p.prev {
		n++
	}
	return c.view(w, n), true
}

// Waiters calls yield for every waiter in order of service, until it returns false.
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
	if position <= booting && c.lists.started {
		cause = record.CauseBoot
	}
	return WaitView{Key: w.key, Position: position, Cause: cause, For: c.now.Mono - w.since}
}

// Intents calls yield for every unfinished create, oldest first.
func (c *Core) Intents(yield func(record.Intent) bool) {
	for _, in := range c.reg.Intents() {
		if !yield(in.Intent) {
			return
		}
	}
}

// Lease returns where key's lease is; false when it has none.
func (c *Core) Lease(key record.Key) (id record.ID, slot int, ok bool) {
	i, slot := c.reg.LeaseOf(key)
	if i == nil {
		return "", 0, false
	}
	return i.ID, slot, true
}

// Check verifies every invariant of the books from scratch; see fleet.Register.Check. It is for tests and simulations.
func (c *Core) Check() error { return c.reg.Check() }

// Waits is how many wait, for how many of the first a machine is on its way, and what the rest wait for. It costs the same for any fleet.
func (c *Core) Waits() (waiting, booting int, cause record.Cause) {
	cause, booting = c.waitCause()
	return c.queue.len(), booting, cause
}

// OpenSlots is the number of slots that can be leased at this moment.
func (c *Core) OpenSlots() int { return c.reg.OpenSlots() }

// AwaitsList reports whether a list without any difference would tell the core something: that a missing instance is still missing, or
// that a create still shows nothing. When it would not, a simulator need not play such lists.
func (c *Core) AwaitsList() bool {
	if !c.lists.started || len(c.lists.absent) > 0 || c.lists.failed > 0 {
		return true
	}
	for _, in := range c.reg.Intents() {
		if in.Owner.(*intent).confirm {
			return true
		}
	}
	return false
}
