package policy

import (
	"fmt"
	"strconv"
)

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

// MarshalText returns String, so that JSON has the name of the bound.
func (b Bound) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a name that String returns.
func (b *Bound) UnmarshalText(text []byte) error {
	for i, name := range boundNames {
		if name == string(text) {
			*b = Bound(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not the name of a bound", text)
}

// Decision is the result of [Size], with every number used to compute it. Some numbers count slots, others instances.
type Decision struct {
	IdleTarget  int   `json:"idle_target"`       // slots to keep free
	Factor      int   `json:"factor"`            // slots that the scale factor asks for, before idle_count is considered
	Leases      int   `json:"leased"`            // live leases
	Waiters     int   `json:"waiting"`           // acquires without a slot
	Free        int   `json:"free"`              // free slots of existing, booting and expected instances
	Existing    int   `json:"existing"`          // instances that exist or may still appear
	Needed      int   `json:"needed"`            // slots: leases + waiters + idle target
	Supply      int   `json:"supply"`            // slots: leases + free
	Missing     int   `json:"missing"`           // slots: needed − supply, at least 0
	PerInstance int   `json:"slots_an_instance"` // slots that a new instance brings
	Wanted      int   `json:"wanted"`            // instances to create, before bounds
	Room        int   `json:"room"`              // instances that max_instances and the provider's limit still allow; -1: no limit
	RoomBy      Bound `json:"room_by"`           // which of the two limits Room; BoundNone: no limit
	Allowed     int   `json:"throttle_allowed"`  // creates that the throttle allowed; -1: no throttle
	Blocked     bool  `json:"blocked"`           // creates were blocked by a back-off or a pause
	Breaker     bool  `json:"breaker"`           // the runaway breaker was open
	Canaries    int   `json:"canaries"`          // creates that the open breaker allowed
	Grow        int   `json:"grow"`              // instances to create now
	BoundBy     Bound `json:"bound_by"`          // the tightest bound that made Grow smaller than Wanted
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
