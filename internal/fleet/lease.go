package fleet

import "github.com/taskscaler/taskscaler/pkg/record"

// Reservation is a promise of a slot, made before a job is accepted. It lives in memory only: after a restart its caller is gone.
type Reservation struct {
	Key   record.Key
	Claim *Instance // whose free slot it holds (preemptive mode); nil: none
	Owner any       // bookkeeping of whoever decides
}

// Lease gives key the lowest free slot of i and counts a use, for good. It is refused when i is not usable, has no free slot beyond
// those claimed by others, or key has a lease already. A claim of key's own on i is to be dropped first.
func (r *Register) Lease(i *Instance, key record.Key, at Stamp) (slotNo, use int, err error) {
	if _, dup := r.leases[key]; dup || i.open <= 0 {
		return 0, 0, &IllegalMove{ID: i.ID, From: i.State, Move: "lease"}
	}
	n := i.take(r.capacity)
	if n < 0 {
		return 0, 0, &IllegalMove{ID: i.ID, From: i.State, Move: "lease without a slot"}
	}
	i.slots[n] = slot{key: key, at: at.Wall, used: true}
	i.leased++
	i.Uses++
	r.leased++
	r.leases[key] = lease{on: i, slot: n}
	r.touch(i)
	r.refresh(i)
	return n, i.Uses, nil
}

// End ends key's lease and returns its instance and slot; nil when it has none.
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

// LeaseOf returns the instance and slot of key's lease; nil when it has none.
func (r *Register) LeaseOf(key record.Key) (*Instance, int) {
	l := r.leases[key]
	return l.on, l.slot
}

// Reserve enters a reservation; claim may be nil. It is refused when key has one, or claim has no open slot.
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

// Unclaim lets a reservation's slot go; the reservation stands.
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

// Reservations is the number of reservations.
func (r *Register) Reservations() int { return len(r.reservations) }

// UnclaimAll makes every reservation that claimed a slot of i let it go.
func (r *Register) UnclaimAll(i *Instance) {
	for _, res := range r.reservations { //archtest:unordered each loses the same claim, whatever the order
		if res.Claim == i {
			r.Unclaim(res)
		}
	}
}
