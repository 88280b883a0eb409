package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// waiter is an acquire that has no slot yet.
type waiter struct {
	key        record.Key
	ticket     uint64
	not        record.ID // an instance that it must not get (EvReplace)
	since      time.Duration
	deadline   timer
	place      int // see queue.position
	prev, next *waiter
}

// queue holds the waiters in order of arrival, and by key.
type queue struct {
	head, tail *waiter
	byKey      map[record.Key]*waiter
	picky      int     // waiters with an instance that they must not get
	spare      *waiter // unused waiters, kept for reuse
	before     int     // the place of the last waiter that left from the head
	gaps       bool    // a waiter has left from the middle, so the places must be counted again
}

func (q *queue) len() int { return len(q.byKey) }

func (q *queue) push(key record.Key, ticket uint64, not record.ID, since time.Duration) *waiter {
	w := q.spare
	if w == nil {
		w = &waiter{}
		w.deadline = timer{kind: timerWaiter, of: w}
	} else {
		q.spare = w.next
	}
	w.key, w.ticket, w.not, w.since, w.prev, w.next = key, ticket, not, since, q.tail, nil
	if q.tail == nil {
		q.head = w
		w.place, q.before, q.gaps = 1, 0, false
	} else {
		q.tail.next = w
		w.place = q.tail.place + 1
	}
	q.tail = w
	q.byKey[key] = w
	if not != "" {
		q.picky++
	}
	return w
}

// position returns the place of w in the queue, starting at 1. Each of thousands of waiters asks for it again and again, so it counts only after a waiter
// has left from the middle.
func (q *queue) position(w *waiter) int {
	if q.gaps {
		n := 0
		for v := q.head; v != nil; v = v.next {
			n++
			v.place = n
		}
		q.before, q.gaps = 0, false
	}
	return w.place - q.before
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
		q.before = w.place
	} else {
		w.prev.next = w.next
		q.gaps = q.gaps || w.next != nil
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	if w.not != "" {
		q.picky--
	}
	delete(q.byKey, w.key)
	w.key, w.not, w.prev, w.next = "", "", nil, q.spare
	q.spare = w
}

// serve hands open slots to waiters, first come first served. If the only instance with an open slot is one that a waiter must not get,
// that waiter is skipped.
func (c *Core) serve() {
	for w := c.queue.head; w != nil && c.reg.OpenSlots() > 0 && !c.closed(); {
		next := w.next
		if i := c.reg.Fullest(w.not); i != nil {
			c.hand(i, w.key, w.ticket, w.since)
			c.dismiss(w)
		} else if c.queue.picky == 0 {
			return
		}
		w = next
	}
}

// renamed ends what waiters say against an instance with this name: another instance has the name now.
func (c *Core) renamed(id record.ID) {
	for w := c.queue.head; w != nil && c.queue.picky > 0; w = w.next {
		if w.not == id {
			w.not = ""
			c.queue.picky--
		}
	}
}

// dismiss removes w from the queue.
func (c *Core) dismiss(w *waiter) {
	c.timers.stop(&w.deadline)
	c.queue.remove(w)
}

// hand leases a slot of i to key and answers its caller.
func (c *Core) hand(i *fleet.Instance, key record.Key, ticket uint64, since time.Duration) {
	slot, use, err := c.reg.Lease(i, key, c.stamp)
	if !c.must(err) {
		return
	}
	c.grant(Grant{Kind: GrantLease, Ticket: ticket, Key: key, ID: i.ID, Serial: i.Serial, Slot: slot, Use: use, Waited: c.now.Mono - since})
}

// timeout runs when a waiter's deadline passed.
func (c *Core) timeout(w *waiter) {
	c.deny(w.key, w.ticket, record.CauseDeadline)
	c.dismiss(w)
}

func (c *Core) deny(key record.Key, ticket uint64, why record.Cause) {
	c.grant(Grant{Kind: GrantDenied, Ticket: ticket, Key: key, Cause: why})
	if why != record.CauseNoCapacity && why != record.CausePolicy {
		c.fact(Fact{Kind: FactDeny, Key: key, Cause: why})
	}
}

// closed reports whether new work is refused.
func (c *Core) closed() bool { return c.draining || c.shutdown }

// turnAway denies every waiter, when no new work is accepted. Reservations are denied when they acquire.
func (c *Core) turnAway() {
	for c.queue.head != nil {
		c.deny(c.queue.head.key, c.queue.head.ticket, c.closedCause())
		c.dismiss(c.queue.head)
	}
}
