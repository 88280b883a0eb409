package fleet

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Stamp is a moment on both clocks. Decisions compare Mono. Wall (Unix nanoseconds) is stored and shown.
type Stamp struct {
	Mono time.Duration
	Wall int64
}

// IllegalMove is a refused change. It always means a bug in the caller; nothing that a provider does can cause it.
type IllegalMove struct {
	ID   record.ID
	From record.State
	Move string
}

// Error names the refused move, the instance and its state.
func (e *IllegalMove) Error() string {
	return fmt.Sprintf("fleet: illegal move %q of instance %q in state %s", e.Move, e.ID, e.From)
}

// slot is one slot of an instance. A free slot has no key.
type slot struct {
	key  record.Key
	at   int64
	use  int // the ordinal of this use of the instance; 0: unknown
	used bool
}

// Instance is one instance in the register. Everyone may read its fields; only the Register's methods write them.
type Instance struct {
	ID          record.ID
	Serial      uint64
	State       record.State
	Listed      Listed // what the provider's latest list says
	Origin      record.Origin
	Cause       record.Cause
	DeleteAsked bool
	Unreachable bool // the provider cannot say how to reach it, so it gets no new lease
	Suspect     bool // absent from so many lists that it is no supply, but not yet confirmed as missing
	Uses        int
	Created     Stamp
	Since       Stamp // when State began
	ReadyAt     Stamp // Wall 0: never
	IdleAt      Stamp // when it last became free of leases

	Attached any // the core's data about the instance; the register never reads it

	slots   []slot
	leased  int
	claims  int
	supply  int
	pending int // the part of supply of an instance that is still booting
	open    int
	bucket  int // index into Register.open; −1: not in a list
	idle    link
	inOpen  link
	dirty   bool
}

// Leased returns the number of live leases on the instance.
func (i *Instance) Leased() int { return i.leased }

// Claims returns the number of reservations that hold one of its free slots.
func (i *Instance) Claims() int { return i.claims }

// Supply returns what the instance adds to the group's free slots, now or when it is ready.
func (i *Instance) Supply() int { return i.supply }

// Open returns the number of slots that can be leased now.
func (i *Instance) Open() int { return i.open }

// Usable reports whether the instance can carry new work now: it is ready, the latest list shows it as running, and it can be reached.
func (i *Instance) Usable() bool {
	return i.State == record.Ready && i.Listed == ListedRunning && !i.Unreachable
}

// Each calls f for every live lease, in ascending order of slot.
func (i *Instance) Each(f func(record.Lease)) {
	for n := range i.slots {
		if s := &i.slots[n]; s.used {
			f(record.Lease{Key: s.key, Slot: n, At: s.at, Use: s.use})
		}
	}
}

// take returns the lowest free slot below limit, adding one if needed; −1: there is none.
func (i *Instance) take(limit int) int {
	for n := 0; n < len(i.slots) && n < limit; n++ {
		if !i.slots[n].used {
			return n
		}
	}
	if n := len(i.slots); n < limit {
		i.slots = append(i.slots, slot{})
		return n
	}
	return -1
}

// trim drops free slots at the end that are beyond limit, after a reload lowered the capacity.
func (i *Instance) trim(limit int) {
	n := len(i.slots)
	for n > limit && !i.slots[n-1].used {
		n--
	}
	i.slots = i.slots[:n]
}

// link is the place of an instance in one intrusive list.
type link struct {
	prev, next *Instance
	on         bool
}

// list is an intrusive doubly linked list: inserting and removing cost O(1) and do not allocate.
type list struct {
	head, tail *Instance
	of         func(*Instance) *link
}

func idleLink(i *Instance) *link { return &i.idle }
func openLink(i *Instance) *link { return &i.inOpen }

// insertAfter inserts i after at, or at the front when at is nil.
func (l *list) insertAfter(at, i *Instance) {
	k := l.of(i)
	k.on, k.prev = true, at
	if at == nil {
		k.next, l.head = l.head, i
	} else {
		a := l.of(at)
		k.next, a.next = a.next, i
	}
	if k.next == nil {
		l.tail = i
	} else {
		l.of(k.next).prev = i
	}
}

func (l *list) remove(i *Instance) {
	k := l.of(i)
	if k.prev == nil {
		l.head = k.next
	} else {
		l.of(k.prev).next = k.next
	}
	if k.next == nil {
		l.tail = k.prev
	} else {
		l.of(k.next).prev = k.prev
	}
	*k = link{}
}
