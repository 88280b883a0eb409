package fleet

import "github.com/taskscaler/taskscaler/pkg/record"

// Reservation is a promise of a slot, made before a job is accepted. It is kept in memory only: after a restart its caller is gone.
type Reservation struct {
	Key      record.Key
	Claim    *Instance // the instance whose free slot it holds (preemptive mode); nil: none
	Attached any       // the core's data about the reservation
}

// Lease gives key the lowest free slot of i and counts a use; the use is never given back. It is refused when i is not usable, when i has
// no free slot apart from claimed ones, or when key has a lease. Drop key's own claim on i first.
func (r *Register) Lease(i *Instance, key record.Key, at Stamp) (slotNo, use int, err error) {
	if _, dup := r.leases[key]; dup || i.open <= 0 {
		return 0, 0, &IllegalMove{ID: i.ID, From: i.State, Move: "lease"}
	}
	n := i.take(r.capacity)
	if n < 0 {
		return 0, 0, &IllegalMove{ID: i.ID, From: i.State, Move: "lease without a slot"}
	}
	i.Uses++
	i.slots[n] = slot{key: key, at: at.Wall, use: i.Uses, used: true}
	i.leased++
	r.leased++
	r.leases[key] = lease{on: i, slot: n, since: r.round}
	r.touch(i)
	r.refresh(i)
	return n, i.Uses, nil
}

// End ends key's lease and returns its instance and slot; nil when key has no lease.
func (r *Register) End(key record.Key, at Stamp) (*Instance, int) {
	l, ok := r.leases[key]
	if !ok {
		return nil, 0
	}
	delete(r.leases, key)
	l.on.slots[l.slot] = slot{}
	l.on.leased--
	r.leased--
	l.on.trim(r.capacity)
	if l.on.leased == 0 {
		l.on.IdleAt = at
	}
	r.touch(l.on)
	r.refresh(l.on)
	return l.on, l.slot
}

// UseOf returns the ordinal of key's use of its instance, starting at 1. For a lease that was stored without it, this is the number of uses
// so far. It returns 0 when key has no lease.
func (r *Register) UseOf(key record.Key) int {
	l, ok := r.leases[key]
	switch {
	case !ok:
		return 0
	case l.on.slots[l.slot].use > 0:
		return l.on.slots[l.slot].use
	}
	return l.on.Uses
}

// Told returns the instance of key's lease if that began before the latest TakeChanges, else nil: of a later one nobody outside knows yet. If
// serial is not 0, the lease must also be this use of the instance with this serial. One that was stored without its ordinal may be any use.
func (r *Register) Told(key record.Key, serial uint64, use int) *Instance {
	l, ok := r.leases[key]
	if !ok || l.since == r.round {
		return nil
	}
	if stored := l.on.slots[l.slot].use; serial != 0 && (l.on.Serial != serial || stored != use && stored != 0) {
		return nil
	}
	return l.on
}

// LeaseOf returns the instance and slot of key's lease; nil when key has no lease.
func (r *Register) LeaseOf(key record.Key) (*Instance, int) {
	l := r.leases[key]
	return l.on, l.slot
}

// Reserve adds a reservation. claim may be nil. It is refused when key has a reservation, or when claim has no open slot.
func (r *Register) Reserve(key record.Key, claim *Instance) (*Reservation, error) {
	if r.reservations[key] != nil {
		return nil, &IllegalMove{Move: "reserve twice"}
	}
	if claim != nil && claim.open <= 0 {
		return nil, &IllegalMove{ID: claim.ID, From: claim.State, Move: "claim"}
	}
	res := &Reservation{Key: key, Claim: claim}
	r.reservations[key] = res
	if claim != nil {
		claim.claims++
		r.claims++
		r.refresh(claim)
	}
	return res, nil
}

// Unclaim gives up a reservation's claim on a slot; the reservation stays valid.
func (r *Register) Unclaim(res *Reservation) {
	if i := res.Claim; i != nil {
		res.Claim = nil
		i.claims--
		r.claims--
		r.refresh(i)
	}
}

// Unreserve ends a reservation and its claim.
func (r *Register) Unreserve(res *Reservation) {
	r.Unclaim(res)
	delete(r.reservations, res.Key)
}

// Reservation returns key's reservation, or nil.
func (r *Register) Reservation(key record.Key) *Reservation { return r.reservations[key] }

// Reservations returns the number of reservations.
func (r *Register) Reservations() int { return len(r.reservations) }

// UnclaimAll gives up every reservation's claim on a slot of i.
func (r *Register) UnclaimAll(i *Instance) {
	for _, res := range r.reservations { //archtest:unordered each loses the same claim, whatever the order
		if res.Claim == i {
			r.Unclaim(res)
		}
	}
}
