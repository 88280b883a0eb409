package policy

import "strconv"

// Bound is what kept a decision below what it wanted.
type Bound uint8

// The bounds, the most lasting first.
const (
	BoundNone         Bound = iota
	BoundMaxInstances       // max_instances is reached
	BoundProviderMax        // the provider's own limit is reached
	BoundThrottle           // scale_throttle: more in a moment
	BoundBreaker            // the runaway breaker lets one machine at a time try
	BoundBlocked            // back-off or a pause
)

var boundNames = [...]string{"none", "max_instances", "provider_max", "throttle", "breaker", "blocked"}

// String is the bound as it stands in records and metrics.
func (b Bound) String() string {
	if int(b) < len(boundNames) {
		return boundNames[b]
	}
	return "bound(" + strconv.Itoa(int(b)) + ")"
}

// Decision is the outcome of [Size] with every number it used. Slots and instances are counted apart.
type Decision struct {
	IdleTarget  int   // slots to keep free
	Factor      int   // the scale factor's part, before it met idle_count
	Leases      int   // live leases
	Waiters     int   // acquires without a slot
	Free        int   // free slots, there or on their way
	Existing    int   // instances that exist or may yet appear
	Needed      int   // slots: leases + waiters + idle target
	Supply      int   // slots: leases + free
	Missing     int   // slots: needed − supply, not below 0
	PerInstance int   // slots that a new instance brings
	Wanted      int   // instances before bounds
	Room        int   // instances that max_instances and the provider's limit leave; -1: no limit
	RoomBy      Bound // which of the two gave Room; BoundNone: no limit
	Allowed     int   // creates that the throttle allowed; -1: no throttle
	Blocked     bool  // creates were paused
	Breaker     bool  // the runaway breaker was open
	Canaries    int   // creates that it allowed
	Grow        int   // instances to create now
	BoundBy     Bound // the tightest bound that made Grow smaller than Wanted
}

// String says the decision in one line, such as "needed 17 = leased 9 + waiting 4 + idle target 4; supply 14; missing 3 = 3 instances of
// 1; max_instances leaves 6; throttle allowed 2; grow 2, bound by throttle".
func (d Decision) String() string {
	b := make([]byte, 0, 192)
	num := func(label string, n int) {
		b = append(b, label...)
		b = strconv.AppendInt(b, int64(n), 10)
	}
	num("needed ", d.Needed)
	num(" = leased ", d.Leases)
	num(" + waiting ", d.Waiters)
	num(" + idle target ", d.IdleTarget)
	num("; supply ", d.Supply)
	if d.Missing == 0 {
		return string(append(b, "; nothing to create"...))
	}
	num("; missing ", d.Missing)
	num(" = ", d.Wanted)
	if d.Wanted == 1 {
		num(" instance of ", d.PerInstance)
	} else {
		num(" instances of ", d.PerInstance)
	}
	if d.Room >= 0 {
		num("; "+d.RoomBy.String()+" leaves ", d.Room)
	}
	if d.Allowed >= 0 {
		num("; throttle allowed ", d.Allowed)
	}
	if d.Breaker {
		num("; the runaway breaker allowed ", d.Canaries)
	}
	if d.Blocked {
		b = append(b, "; creates are paused"...)
	}
	num("; grow ", d.Grow)
	if d.BoundBy != BoundNone {
		b = append(b, ", bound by "+d.BoundBy.String()...)
	}
	return string(b)
}
