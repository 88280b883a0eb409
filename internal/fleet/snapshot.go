package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// Snapshot is the complete state of a [Register] as plain data. It shares nothing with the register. Sums are left out. The order of slices
// is fixed, and empty slices are nil, so that the same register always gives the same snapshot.
type Snapshot struct {
	Meta              record.Meta
	Capacity, MaxUses int
	Instances         []InstanceSnapshot    // ascending by ID
	Idle              []record.ID           // usable instances without a lease, longest idle first
	Open              []record.ID           // instances with an open slot: emptiest first, among equals in the order of hand-out
	Reservations      []ReservationSnapshot // ascending by Key
	Intents           []IntentSnapshot      // ascending by Op

	// What the next TakeChanges returns: empty directly after a call of it.
	Dirty        []record.ID
	Dropped      []record.ID
	DirtyIntents []uint64
	LostIntents  []uint64
	MetaDirty    bool
	Untold       []record.Key // ascending: leases that began since the last call of it
}

// InstanceSnapshot is one instance.
type InstanceSnapshot struct {
	ID                              record.ID
	Serial                          uint64
	State                           record.State
	Listed                          Listed
	Origin                          record.Origin
	Cause                           record.Cause
	DeleteAsked, Suspect            bool
	Unreachable                     bool
	Uses                            int
	Created, Since, ReadyAt, IdleAt Stamp
	Leases                          []record.Lease // ascending by Slot
}

// ReservationSnapshot is one reservation.
type ReservationSnapshot struct {
	Key     record.Key
	Claimed bool
	Claim   record.ID // the instance whose slot it holds, if Claimed
}

// IntentSnapshot is one unfinished create.
type IntentSnapshot struct {
	IntentRecord record.Intent
	Unsure       int
}

// Limits of what [Restore] accepts. A manipulated snapshot cannot make it allocate without bound.
const (
	maxCapacity = 1 << 20
	maxSlots    = 1 << 22 // of all instances
	maxAsked    = 1 << 40 // of one intent
)

// Snapshot copies the register's state. Owner fields are not part of it.
func (r *Register) Snapshot() Snapshot {
	s := Snapshot{Meta: r.Meta, Capacity: r.capacity, MaxUses: r.maxUses, MetaDirty: r.metaDirty}
	all := r.sorted()
	for _, i := range all {
		rec := InstanceSnapshot{
			ID: i.ID, Serial: i.Serial, State: i.State, Listed: i.Listed, Origin: i.Origin, Cause: i.Cause, DeleteAsked: i.DeleteAsked,
			Suspect: i.Suspect, Unreachable: i.Unreachable, Uses: i.Uses, Created: i.Created, Since: i.Since, ReadyAt: i.ReadyAt, IdleAt: i.IdleAt,
		}
		if i.leased > 0 {
			rec.Leases = make([]record.Lease, 0, i.leased)
			i.Each(func(l record.Lease) { rec.Leases = append(rec.Leases, l) })
		}
		s.Instances = append(s.Instances, rec)
	}
	for i := r.idle.head; i != nil; i = i.idle.next {
		s.Idle = append(s.Idle, i.ID)
	}
	for b := range r.open {
		for i := r.open[b].head; i != nil; i = i.inOpen.next {
			s.Open = append(s.Open, i.ID)
		}
	}
	for _, res := range r.SortedReservations() {
		rec := ReservationSnapshot{Key: res.Key}
		if res.Claim != nil {
			rec.Claimed, rec.Claim = true, res.Claim.ID
		}
		s.Reservations = append(s.Reservations, rec)
	}
	for _, in := range r.intents {
		s.Intents = append(s.Intents, IntentSnapshot{IntentRecord: in.Intent, Unsure: in.Unsure})
	}
	r.snapshotDirty(&s)
	return s
}

func (r *Register) snapshotDirty(s *Snapshot) {
	for _, i := range r.dirty {
		if r.byID[i.ID] == i {
			s.Dirty = append(s.Dirty, i.ID)
		}
	}
	for _, id := range r.dropped {
		if r.byID[id] == nil {
			s.Dropped = append(s.Dropped, id)
		}
	}
	for _, in := range r.dirtyIntent {
		if !in.closed {
			s.DirtyIntents = append(s.DirtyIntents, in.Op)
		}
	}
	s.LostIntents = append(s.LostIntents, r.lostIntents...)
	for key, l := range r.leases { //archtest:unordered sorted below
		if l.since == r.round {
			s.Untold = append(s.Untold, key)
		}
	}
	slices.Sort(s.Untold)
}

// SortedReservations returns the reservations in ascending order of key.
func (r *Register) SortedReservations() []*Reservation {
	all := make([]*Reservation, 0, len(r.reservations))
	for _, res := range r.reservations { //archtest:unordered sorted below
		all = append(all, res)
	}
	slices.SortFunc(all, func(a, b *Reservation) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// Restore makes a register from s, without Owner fields. It trusts nothing: a contradictory snapshot is an error.
func Restore(s *Snapshot) (*Register, error) {
	if s.Capacity < 1 || s.Capacity > maxCapacity || s.MaxUses < 0 {
		return nil, fmt.Errorf("fleet: the snapshot's capacity %d or max uses %d is out of range", s.Capacity, s.MaxUses)
	}
	r := NewRegister(s.Capacity, s.MaxUses)
	r.Meta, r.metaDirty = s.Meta, s.MetaDirty
	slots := 0
	for n := range s.Instances {
		rec := &s.Instances[n]
		if n > 0 && s.Instances[n-1].ID >= rec.ID {
			return nil, fmt.Errorf("fleet: the snapshot's instances are not in order at %q", rec.ID)
		}
		if err := r.restoreInstance(rec, &slots); err != nil {
			return nil, err
		}
	}
	for _, step := range []func(*Snapshot) error{r.restoreReservations, r.restoreIntents, r.restoreLists, r.restoreDirty} {
		if err := step(s); err != nil {
			return nil, err
		}
	}
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("fleet: the snapshot is contradictory: %w", err)
	}
	return r, nil
}

func (r *Register) restoreInstance(rec *InstanceSnapshot, slots *int) error {
	bad := func(what string) error { return fmt.Errorf("fleet: instance %q of the snapshot: %s", rec.ID, what) }
	if rec.State < record.Creating || rec.State > record.Unclaimed || rec.Listed > ListedDeleted {
		return bad("unknown state")
	}
	i := &Instance{
		ID: rec.ID, Serial: rec.Serial, State: rec.State, Listed: rec.Listed, Origin: rec.Origin, Cause: rec.Cause, DeleteAsked: rec.DeleteAsked,
		Suspect: rec.Suspect, Unreachable: rec.Unreachable, Uses: rec.Uses, Created: rec.Created, Since: rec.Since, ReadyAt: rec.ReadyAt, IdleAt: rec.IdleAt, bucket: -1,
	}
	if n := len(rec.Leases); n > 0 {
		last := rec.Leases[n-1].Slot
		if last < 0 || last >= maxCapacity || *slots+last >= maxSlots {
			return bad("its slots are out of range")
		}
		*slots += last + 1
		i.slots = make([]slot, last+1)
	}
	for n, l := range rec.Leases {
		if l.Slot < 0 || l.Slot >= len(i.slots) || n > 0 && rec.Leases[n-1].Slot >= l.Slot {
			return bad("its leases are not in order")
		}
		if _, dup := r.leases[l.Key]; dup {
			return bad("a key has two leases")
		}
		i.slots[l.Slot] = slot{key: l.Key, at: l.At, use: l.Use, used: true}
		i.leased++
		r.leased++
		r.leases[l.Key] = lease{on: i, slot: l.Slot}
	}
	r.byID[i.ID] = i
	r.counts[i.State]++
	return nil
}

// restoreReservations also computes the sums and lists for the first time, because claims are part of them.
func (r *Register) restoreReservations(s *Snapshot) error {
	for n, rec := range s.Reservations {
		if n > 0 && s.Reservations[n-1].Key >= rec.Key {
			return fmt.Errorf("fleet: the snapshot's reservations are not in order at %q", rec.Key)
		}
		res := &Reservation{Key: rec.Key}
		if rec.Claimed {
			if res.Claim = r.byID[rec.Claim]; res.Claim == nil {
				return fmt.Errorf("fleet: the snapshot's reservation %q claims a slot of %q, which does not exist", rec.Key, rec.Claim)
			}
			res.Claim.claims++
			r.claims++
		}
		r.reservations[rec.Key] = res
	}
	for n := range s.Instances {
		r.refresh(r.byID[s.Instances[n].ID])
	}
	return nil
}

func (r *Register) restoreIntents(s *Snapshot) error {
	for n, rec := range s.Intents {
		if n > 0 && s.Intents[n-1].IntentRecord.Op >= rec.IntentRecord.Op {
			return fmt.Errorf("fleet: the snapshot's intents are not in order at %d", rec.IntentRecord.Op)
		}
		if in := &rec.IntentRecord; in.Asked > maxAsked || max(in.Open, in.Doubt, in.Faded) > in.Asked { // their sums must not overflow
			return fmt.Errorf("fleet: the snapshot's intent %d is out of range", in.Op)
		}
		r.intents = append(r.intents, &Intent{Intent: rec.IntentRecord, Unsure: rec.Unsure})
		r.intentExpected += rec.IntentRecord.Open
		r.intentDoubt += rec.IntentRecord.Doubt
	}
	return nil
}

// restoreLists puts the two lists into their order. Which instances are in them is computed already.
func (r *Register) restoreLists(s *Snapshot) error {
	if len(s.Idle) != r.idleCount {
		return fmt.Errorf("fleet: the snapshot names %d of %d idle instances", len(s.Idle), r.idleCount)
	}
	moved := make(map[record.ID]bool, len(s.Open))
	for _, id := range s.Idle {
		i := r.byID[id]
		if i == nil || !i.idle.on || moved[id] {
			return fmt.Errorf("fleet: the snapshot's idle list names %q, which is not idle, or twice", id)
		}
		moved[id] = true
		r.idle.remove(i)
		r.idle.insertAfter(r.idle.tail, i)
	}
	clear(moved)
	open, bucket := 0, 0
	for b := range r.open {
		for i := r.open[b].head; i != nil; i = i.inOpen.next {
			open++
		}
	}
	if len(s.Open) != open {
		return fmt.Errorf("fleet: the snapshot names %d of %d open instances", len(s.Open), open)
	}
	for _, id := range s.Open {
		i := r.byID[id]
		if i == nil || i.bucket < bucket || moved[id] {
			return fmt.Errorf("fleet: the snapshot's open list names %q, which is not open, or out of order", id)
		}
		moved[id] = true
		bucket = i.bucket
		r.open[bucket].remove(i)
		r.open[bucket].insertAfter(r.open[bucket].tail, i)
	}
	return nil
}

func (r *Register) restoreDirty(s *Snapshot) error {
	for _, id := range s.Dirty {
		i := r.byID[id]
		if i == nil || i.dirty {
			return fmt.Errorf("fleet: the snapshot names %q as changed, but it does not exist, or twice", id)
		}
		r.touch(i)
	}
	for _, id := range s.Dropped {
		if r.byID[id] != nil {
			return fmt.Errorf("fleet: the snapshot names %q as dropped, but it exists", id)
		}
	}
	r.dropped = append(r.dropped, s.Dropped...)
	for _, op := range s.DirtyIntents {
		in := r.Intent(op)
		if in == nil || in.dirty {
			return fmt.Errorf("fleet: the snapshot names intent %d as changed, but it does not exist, or twice", op)
		}
		r.touchIntent(in)
	}
	r.lostIntents = append(r.lostIntents, s.LostIntents...)
	for n, key := range s.Untold {
		l, ok := r.leases[key]
		if !ok || n > 0 && s.Untold[n-1] >= key {
			return fmt.Errorf("fleet: the snapshot says that the lease of %q is new, but there is none, or the keys are not in order", key)
		}
		l.since = r.round
		r.leases[key] = l
	}
	return nil
}
