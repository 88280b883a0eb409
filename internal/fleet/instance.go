package fleet

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Stamp is a moment on both clocks: Mono is what decisions compare, Wall (Unix nanoseconds) is what is stored and shown.
type Stamp struct {
	Mono time.Duration
	Wall int64
}

// IllegalMove is a refused mutation: a bug of the caller, never the world's doing.
type IllegalMove struct {
	ID   record.ID
	From record.State
	Move string
}

// Error says which move was refused.
func (e *IllegalMove) Error() string {
	return fmt.Sprintf("fleet: illegal move %q of instance %q in state %s", e.Move, e.ID, e.From)
}

// slot is one place on an instance. A free slot has no key.
type slot struct {
	key  record.Key
	at   int64
	used bool
}

// Instance is one machine in the register. Its fields are read by whoever decides; only the Register's methods write them.
type Instance struct {
	ID          record.ID
	Serial      uint64
	State       record.State
	Listed      Listed // the provider's word of it in the latest list
	Origin      record.Origin
	Cause       record.Cause
	DeleteAsked bool
	Suspect     bool // absent from so many lists that it is no supply, though not yet confirmed missing
	Uses        int
	Created     Stamp
	Since       Stamp // of State
	ReadyAt     Stamp // Wall 0: never
	IdleAt      Stamp // last became free of leases

	Owner any // bookkeeping of whoever decides; the register never reads it

	slots   []slot
	leased  int
	claims  int
	supply  int
	pending int // the part of supply that is still booting
	open    int
	bucket  int // index into Register.open, −1 outside
	idle    link
	inOpen  link
	dirty   bool
}

// Leased is the number of its live leases.
func (i *Instance) Leased() int { return i.leased }

// Claims is the number of reservations that hold one of its free slots.
func (i *Instance) Claims() int { return i.claims }

// Supply is what it adds to the fleet's free slots, now or once it has booted.
func (i *Instance) Supply() int { return i.supply }

// Open is the number of its slots that can be leased at this moment.
func (i *Instance) Open() int { return i.open }

// Usable reports whether it can carry work now: ready, and running by the provider's latest word.
func (i *Instance) Usable() bool { return i.State == record.Ready && i.Listed == ListedRunning }

// Each calls f for every live lease, in order of slots.
func (i *Instance) Each(f func(record.Lease)) {
	for n := range i.slots {
		if s := &i.slots[n]; s.used {
			f(record.Lease{Key: s.key, Slot: n, At: s.at})
		}
	}
}

// take finds the lowest free slot, growing the list up to limit; −1 when there is none.
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

// trim drops free slots at the end that are beyond limit (the capacity was lowered by a reload).
func (i *Instance) trim(limit int) {
	n := len(i.slots)
	for n > limit && !i.slots[n-1].used {
		n--
	}
	i.slots = i.slots[:n]
}

// link is an instance's place in one intrusive list.
type link struct {
	prev, next *Instance
	on         bool
}

// list is an intrusive doubly linked list: joining and leaving cost O(1) and allocate nothing.
type list struct {
	head, tail *Instance
	of         func(*Instance) *link
}

func idleLink(i *Instance) *link { return &i.idle }
func openLink(i *Instance) *link { return &i.inOpen }

// insertAfter puts i behind at; a nil at means the front.
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
