package policy

import "math"

// Limits are the fixed limits of a group.
type Limits struct {
	Capacity     int // slots per instance; below 1: 1
	MaxInstances int // the operator's limit on instances; below 1: no limit
	ProviderMax  int // the provider's limit on instances, possibly math.MaxInt; below 1: no limit
	MaxUses      int // leases that an instance may serve in its life; below 1: no limit
}

// Demand is what exists and is needed now. Negative numbers count as 0.
type Demand struct {
	Leases   int // live leases, on instances in any state
	Waiters  int // acquires without a slot
	Free     int // free slots of usable instances, plus those that booting and expected instances will bring
	Existing int // instances that exist or may still appear, in any state
}

// Allowance is how many creates are allowed at this moment.
type Allowance struct {
	Throttle int  // creates that the throttle allows now; below 0: no throttle
	Blocked  bool // a back-off or a pause is in force: create nothing now
	Breaker  bool // the runaway breaker is open
	Canaries int  // creates that the open breaker allows now
}

// Size is the sizing rule for growth. L is the number of leases, W of waiters, F of free slots, and C' the slots that a new instance
// brings:
//
//	idle target  I = idle_count                                       without a scale factor
//	             I = max(idle_count, min(⌈factor × (L+W)⌉, limit))    in mode max
//	             I = idle_count + min(⌈factor × (L+W)⌉, limit)        in mode add
//	needed       N = L + W + I
//	supply       S = L + F
//	grow         ⌈(N − S) / C'⌉ if positive, limited by MaxInstances, ProviderMax and the allowance
//
// Sums and products saturate at the largest int. A factor that is negative, zero or NaN asks for nothing.
func Size(s Settings, l Limits, d Demand, a Allowance) (out Decision) {
	out.Leases, out.Waiters, out.Free, out.Existing = max(d.Leases, 0), max(d.Waiters, 0), max(d.Free, 0), max(d.Existing, 0)
	out.Factor = factorPart(&s, add(out.Leases, out.Waiters))
	out.IdleTarget = idleTarget(&s, out.Factor)
	out.Needed = add(add(out.Leases, out.Waiters), out.IdleTarget)
	out.Supply = add(out.Leases, out.Free)
	out.Missing = max(add(out.Waiters, out.IdleTarget)-out.Free, 0) // N − S; L is left out of both, because adding it could saturate
	out.PerInstance = perInstance(l)
	if out.Missing > 0 {
		out.Wanted = (out.Missing-1)/out.PerInstance + 1
	}
	out.Room, out.Allowed, out.Blocked = -1, max(a.Throttle, -1), a.Blocked
	if a.Breaker {
		out.Breaker, out.Canaries = true, max(a.Canaries, 0)
	}
	out.bound(l)
	return out
}

// bound fills Room, Grow and BoundBy. Of equal bounds it names the most permanent one, because that is the one to change.
func (d *Decision) bound(l Limits) {
	d.Grow = d.Wanted
	if l.MaxInstances > 0 {
		d.Room, d.RoomBy = max(l.MaxInstances-d.Existing, 0), BoundMaxInstances
	}
	if l.ProviderMax > 0 {
		if room := max(l.ProviderMax-d.Existing, 0); d.Room < 0 || room < d.Room {
			d.Room, d.RoomBy = room, BoundProviderMax
		}
	}
	if d.Room >= 0 && d.Room < d.Grow {
		d.Grow, d.BoundBy = d.Room, d.RoomBy
	}
	if d.Allowed >= 0 && d.Allowed < d.Grow {
		d.Grow, d.BoundBy = d.Allowed, BoundThrottle
	}
	if d.Breaker && d.Canaries < d.Grow {
		d.Grow, d.BoundBy = d.Canaries, BoundBreaker
	}
	if d.Blocked && d.Grow > 0 {
		d.Grow, d.BoundBy = 0, BoundBlocked
	}
}

// IdleTarget returns the slots to keep free at this demand: I of the sizing rule. See [Size].
func IdleTarget(s Settings, leases, waiters int) int {
	return idleTarget(&s, factorPart(&s, add(max(leases, 0), max(waiters, 0))))
}

func idleTarget(s *Settings, part int) int {
	if s.ScaleFactorMode == FactorAdd {
		return add(max(s.IdleCount, 0), part)
	}
	return max(s.IdleCount, part, 0)
}

// factorPart is min(⌈factor × (L+W)⌉, limit). A decimal factor is only approximated in binary: 1.1 × 50 gives slightly more than 55. So a
// product within the rounding error of a whole number counts as that number.
func factorPart(s *Settings, demand int) int {
	if demand == 0 || !(s.ScaleFactor > 0) { // also false for NaN
		return 0
	}
	limit := math.MaxInt
	if s.ScaleFactorLimit > 0 {
		limit = s.ScaleFactorLimit
	}
	product := s.ScaleFactor * float64(demand) // the assignment rounds: no machine fuses the product with the next operation
	if product >= float64(limit) {
		return limit
	}
	part := int(product)
	if below := float64(part); product-below > below*0x1p-51 {
		part++
	}
	return part
}

// perInstance is C': the slots that a new instance brings, limited by max_use_count.
func perInstance(l Limits) int {
	c := max(l.Capacity, 1)
	if l.MaxUses > 0 {
		c = min(c, l.MaxUses)
	}
	return c
}

// add returns the sum of two non-negative numbers, at most the largest int.
func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}
