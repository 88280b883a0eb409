package policy

import "strconv"

// Bound is the limit that made a decision create fewer instances than wanted.
type Bound uint8

// The bounds, from the most permanent to the most temporary.
const (
	BoundNone         Bound = iota
	BoundMaxInstances       // max_instances is reached
	BoundProviderMax        // the provider's own limit is reached
	BoundThrottle           // scale_throttle: more creates are allowed soon
	BoundBreaker            // the runaway breaker allows one instance at a time
	BoundBlocked            // a back-off or a pause
)

var boundNames = [...]string{"none", "max_instances", "provider_max", "throttle", "breaker", "blocked"}

// String returns the bound's name as records and metrics show it.
func (b Bound) String() string {
	if int(b) < len(boundNames) {
		return boundNames[b]
	}
	return "bound(" + strconv.Itoa(int(b)) + ")"
}

// Decision is the result of [Size], with every number used to compute it. Some numbers count slots, others instances.
type Decision struct {
	IdleTarget  int   // slots to keep free
	Factor      int   // slots that the scale factor asks for, before idle_count is considered
	Leases      int   // live leases
	Waiters     int   // acquires without a slot
	Free        int   // free slots of existing, booting and expected instances
	Existing    int   // instances that exist or may still appear
	Needed      int   // slots: leases + waiters + idle target
	Supply      int   // slots: leases + free
	Missing     int   // slots: needed − supply, at least 0
	PerInstance int   // slots that a new instance brings
	Wanted      int   // instances to create, before bounds
	Room        int   // instances that max_instances and the provider's limit still allow; -1: no limit
	RoomBy      Bound // which of the two limits Room; BoundNone: no limit
	Allowed     int   // creates that the throttle allowed; -1: no throttle
	Blocked     bool  // creates were blocked by a back-off or a pause
	Breaker     bool  // the runaway breaker was open
	Canaries    int   // creates that the open breaker allowed
	Grow        int   // instances to create now
	BoundBy     Bound // the tightest bound that made Grow smaller than Wanted
}

// String returns the decision in one line, such as "needed 17 = leased 9 + waiting 4 + idle target 4; supply 14; missing 3 = 3 instances of
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
