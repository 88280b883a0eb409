package fleet

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Register is the register of one group. It is not safe for concurrent use.
type Register struct {
	Meta record.Meta // call TouchMeta after writing it

	capacity, maxUses int
	byID              map[record.ID]*Instance
	leases            map[record.Key]lease
	round             uint64 // of changes: TakeChanges ends it
	reservations      map[record.Key]*Reservation
	intents           []*Intent // ascending by Op

	idle     list   // usable instances without a lease, longest idle first
	open     []list // usable instances with an open slot, by slots taken
	openBits []uint64

	counts                          [record.Unclaimed + 1]int
	leased, supply, pending, claims int
	openSlots, idleCount            int
	intentExpected, intentDoubt     int

	dirty       []*Instance
	dropped     []record.ID
	arena       []record.Lease
	dirtyIntent []*Intent
	lostIntents []uint64
	metaDirty   bool
	metaOut     record.Meta
}

type lease struct {
	on    *Instance
	slot  int
	since uint64 // the round in which it began
}

// NewRegister returns an empty register for instances with this capacity (slots, at least 1) and maximum number of uses (0: no limit).
func NewRegister(capacity, maxUses int) *Register {
	r := &Register{byID: map[record.ID]*Instance{}, leases: map[record.Key]lease{}, reservations: map[record.Key]*Reservation{}, idle: list{of: idleLink}, round: 1}
	r.setLimits(capacity, maxUses)
	return r
}

func (r *Register) setLimits(capacity, maxUses int) {
	r.capacity, r.maxUses = max(capacity, 1), max(maxUses, 0)
	for len(r.open) < r.capacity {
		r.open = append(r.open, list{of: openLink})
	}
	for len(r.openBits)*64 < len(r.open) {
		r.openBits = append(r.openBits, 0)
	}
}

// SetLimits changes the capacity and the maximum number of uses. Leases stay, even those beyond the new limits. It costs O(fleet).
func (r *Register) SetLimits(capacity, maxUses int) {
	r.setLimits(capacity, maxUses)
	for _, i := range r.sorted() {
		i.trim(r.capacity)
		r.refresh(i)
	}
}

// Get returns the instance with this ID, or nil. It also finds gone and lost instances that are still remembered.
func (r *Register) Get(id record.ID) *Instance { return r.byID[id] }

// Len returns the number of instances in the register, including remembered ones.
func (r *Register) Len() int { return len(r.byID) }

// Count returns the number of instances in state s.
func (r *Register) Count(s record.State) int { return r.counts[s] }

// Exists returns the number of instances that the provider has, as far as we know, including unclaimed ones.
func (r *Register) Exists() int {
	n := r.counts[record.Unclaimed]
	for s := record.Creating; s <= record.Deleting; s++ {
		n += r.counts[s]
	}
	return n
}

// Existing returns Exists plus every instance that may still appear. This is what counts against max_instances.
func (r *Register) Existing() int { return r.Exists() + r.intentExpected + r.intentDoubt }

// Leased returns the number of live leases, on instances in any state.
func (r *Register) Leased() int { return r.leased }

// Supply returns the free slots of all ready and booting instances, without those that intents expect.
func (r *Register) Supply() int { return r.supply }

// Pending returns the part of Supply that is still booting.
func (r *Register) Pending() int { return r.pending }

// OpenSlots returns the number of slots that any caller can lease now.
func (r *Register) OpenSlots() int { return r.openSlots }

// ClaimedSlots returns the number of slots that reservations hold.
func (r *Register) ClaimedSlots() int { return r.claims }

// IdleCount returns the number of usable instances without a lease.
func (r *Register) IdleCount() int { return r.idleCount }

// PerInstance is C' of the sizing rule: the slots that a new instance offers.
func (r *Register) PerInstance() int {
	if r.maxUses > 0 {
		return min(r.capacity, r.maxUses)
	}
	return r.capacity
}

// Capacity returns the slots per instance.
func (r *Register) Capacity() int { return r.capacity }

// Each calls f for every instance in the register, in ascending order of ID, until f returns false.
func (r *Register) Each(f func(*Instance) bool) {
	for _, i := range r.sorted() {
		if !f(i) {
			return
		}
	}
}

func (r *Register) sorted() []*Instance {
	all := make([]*Instance, 0, len(r.byID))
	for _, i := range r.byID { //archtest:unordered sorted below
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Instance) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// LongestIdle returns the usable instance that has been without a lease for the longest time, or nil.
func (r *Register) LongestIdle() *Instance { return r.idle.head }

// NextIdle returns the instance that became idle next after i, or nil.
func (r *Register) NextIdle(i *Instance) *Instance { return i.idle.next }

// Fullest returns the usable instance that has an open slot and the most slots taken, so that other instances become idle. Among equals it
// returns the last one that got there. It skips the instance with ID not. nil: there is none.
func (r *Register) Fullest(not record.ID) *Instance {
	for w := len(r.openBits) - 1; w >= 0; w-- {
		for word := r.openBits[w]; word != 0; {
			b := 63 - bits.LeadingZeros64(word)
			for i := r.open[w*64+b].head; i != nil; i = i.inOpen.next {
				if i.ID != not || not == "" {
					return i
				}
			}
			word &^= 1 << b
		}
	}
	return nil
}

// free returns how many more leases i could carry at once, by its capacity and its remaining uses.
func (r *Register) free(i *Instance) int {
	n := r.capacity - i.leased
	if r.maxUses > 0 {
		n = min(n, r.maxUses-i.Uses)
	}
	return max(n, 0)
}

// UsedUp reports whether max_use_count forbids another lease on i.
func (r *Register) UsedUp(i *Instance) bool { return r.maxUses > 0 && i.Uses >= r.maxUses }

// worth returns i's part of the supply. By the sizing rule, draining, deleting, lost, unclaimed and suspect instances add nothing. Nor does
// a ready one that the provider lists as not running. A ready one that the latest list lacks still counts: one short list must not double
// the fleet.
func (r *Register) worth(i *Instance) int {
	switch {
	case i.Suspect:
		return 0
	case i.State == record.Creating || i.State == record.Preparing:
		return r.free(i)
	case i.State == record.Ready && (i.Listed == ListedRunning || i.Listed == ListedAbsent):
		return r.free(i)
	}
	return 0
}

// refresh updates every index and sum for i. It is called after each change.
func (r *Register) refresh(i *Instance) {
	supply := r.worth(i)
	r.supply += supply - i.supply
	i.supply = supply
	pending := 0
	if i.State == record.Creating || i.State == record.Preparing {
		pending = supply
	}
	r.pending += pending - i.pending
	i.pending = pending
	usable := i.Usable()
	if idle := usable && i.leased == 0; idle != i.idle.on {
		if idle {
			r.insertIdle(i)
			r.idleCount++
		} else {
			r.idle.remove(i)
			r.idleCount--
		}
	}
	open := 0
	if usable {
		open = max(r.free(i)-i.claims, 0)
	}
	r.openSlots += open - i.open
	i.open = open
	bucket := -1
	if open > 0 {
		bucket = i.leased + i.claims
	}
	if bucket != i.bucket {
		r.rebucket(i, bucket)
	}
}

func (r *Register) rebucket(i *Instance, bucket int) {
	if b := i.bucket; b >= 0 {
		r.open[b].remove(i)
		if r.open[b].head == nil {
			r.openBits[b/64] &^= 1 << (b % 64)
		}
	}
	if i.bucket = bucket; bucket >= 0 {
		r.open[bucket].insertAfter(nil, i)
		r.openBits[bucket/64] |= 1 << (bucket % 64)
	}
}

// insertIdle keeps the list in ascending order of IdleAt. An instance that becomes idle now goes to the end in O(1). Only one that was out
// of the list for another reason (a list that lacked it) has to search its place.
func (r *Register) insertIdle(i *Instance) {
	at := r.idle.tail
	for at != nil && at.IdleAt.Mono > i.IdleAt.Mono {
		at = at.idle.prev
	}
	r.idle.insertAfter(at, i)
}

func (r *Register) touch(i *Instance) {
	if !i.dirty {
		i.dirty = true
		r.dirty = append(r.dirty, i)
	}
}

// TouchMeta marks Meta as changed.
func (r *Register) TouchMeta() { r.metaDirty = true }
