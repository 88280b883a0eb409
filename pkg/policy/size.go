package policy

import "math"

// Limits are the bounds of a group. Those on instances bound its creates.
type Limits struct {
	Capacity     int // slots of an instance; below 1 means 1
	MaxInstances int // the operator's limit on instances; below 1 means none
	ProviderMax  int // the provider's limit on instances, perhaps math.MaxInt; below 1 means none
	MaxUses      int // leases that an instance may serve in its life; below 1 means no limit
}

// Demand is what there is now. Negative numbers count as 0.
type Demand struct {
	Leases   int // live leases, on instances in any state
	Waiters  int // acquires without a slot
	Free     int // free slots over usable instances, and what open intents will bring
	Existing int // instances that exist or may yet appear, in any state
}

// Allowance is how many creates the moment allows.
type Allowance struct {
	Throttle int  // creates that the throttle allows now; below 0: there is no throttle
	Blocked  bool // a back-off or a pause: create nothing now
	Breaker  bool // the runaway breaker is open
	Canaries int  // creates that it allows now, where it is open
}

// Size is the sizing rule for growth. With L leases, W waiters, F free slots and C' slots that a new instance brings:
//
//	idle target  I = idle_count                                       without a scale factor
//	             I = max(idle_count, min(⌈factor × (L+W)⌉, limit))    in mode max
//	             I = idle_count + min(⌈factor × (L+W)⌉, limit)        in mode add
//	needed       N = L + W + I
//	supply       S = L + F
//	grow         ⌈(N − S) / C'⌉ if positive, at most what MaxInstances, ProviderMax and the allowance leave
//
// Sums and products saturate at the largest int. A factor that is negative, zero or no number asks for nothing.
func Size(s Settings, l Limits, d Demand, a Allowance) (out Decision) {
	out.Leases, out.Waiters, out.Free, out.Existing = max(d.Leases, 0), max(d.Waiters, 0), max(d.Free, 0), max(d.Existing, 0)
	out.Factor = factorPart(&s, add(out.Leases, out.Waiters))
	out.IdleTarget = idleTarget(&s, out.Factor)
	out.Needed = add(add(out.Leases, out.Waiters), out.IdleTarget)
	out.Supply = add(out.Leases, out.Free)
	out.Missing = max(add(out.Waiters, out.IdleTarget)-out.Free, 0) // N − S without the leases in both, which could saturate
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

// bound fills Room, Grow and what bounded it. Of equal bounds the most lasting is named: it is the one to change.
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

// IdleTarget is the slots to keep free at this demand: I of the sizing rule at [Size].
func IdleTarget(s Settings, leases, waiters int) int {
	return idleTarget(&s, factorPart(&s, add(max(leases, 0), max(waiters, 0))))
}

func idleTarget(s *Settings, part int) int {
	if s.ScaleFactorMode == FactorAdd {
		return add(max(s.IdleCount, 0), part)
	}
	return max(s.IdleCount, part, 0)
}

// factorPart is min(⌈factor × (L+W)⌉, limit). A factor is a decimal that somebody wrote and that binary fractions only come near to:
// 1.1 × 50 gives a little more than 55. A product within the rounding error of a whole number is that number.
func factorPart(s *Settings, demand int) int {
	if demand == 0 || !(s.ScaleFactor > 0) { // what is no number is not above 0 either
		return 0
	}
	limit := math.MaxInt
	if s.ScaleFactorLimit > 0 {
		limit = s.ScaleFactorLimit
	}
	product := s.ScaleFactor * float64(demand) // assigned, hence rounded: no machine fuses it with what follows
	if product >= float64(limit) {
		return limit
	}
	part := int(product)
	if below := float64(part); product-below > below*0x1p-51 {
		part++
	}
	return part
}

// perInstance is C': the slots that a new instance brings, which its uses may cut.
func perInstance(l Limits) int {
	c := max(l.Capacity, 1)
	if l.MaxUses > 0 {
		c = min(c, l.MaxUses)
	}
	return c
}

// add is the sum of two numbers that are not negative, at most the largest int.
func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}
