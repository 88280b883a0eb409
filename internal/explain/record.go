package explain

import (
	"math"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Kind says what a Record is about.
type Kind string

// The kinds of records. Their names are stable.
const (
	KindCreate    Kind = "create"      // instances were requested
	KindHold      Kind = "hold"        // needed instances were not requested
	KindBackoff   Kind = "back_off"    // a create or a boot failed: nothing is created for a time
	KindBreaker   Kind = "breaker"     // the runaway breaker opened or closed
	KindDelete    Kind = "delete"      // an instance was retired, or its delete was started
	KindRevoke    Kind = "revoke"      // the manager ended a lease
	KindDeny      Kind = "deny"        // a caller was refused, or stopped waiting
	KindLost      Kind = "lost"        // an instance is gone without our request
	KindReturned  Kind = "returned"    // a lost or deleted instance is listed again
	KindPolicy    Kind = "policy"      // another policy applies
	KindReload    Kind = "reload"      // the configuration was reloaded
	KindPause     Kind = "pause"       // another manager seems to use the group, or no longer
	KindAdopt     Kind = "adopt"       // an instance was adopted
	KindUnclaimed Kind = "unclaimed"   // an instance is unclaimed: the state has no record of it
	KindAlarm     Kind = "alarm"       // a delete takes too long
	KindList      Kind = "list_failed" // the provider's list failed
	// KindUnreachable: an instance gets no new lease because the provider cannot say how to reach it, or gets leases again.
	KindUnreachable Kind = "unreachable"
	KindOperator    Kind = "operator" // a drain, its end, or a shutdown
	KindStart       Kind = "start"    // a manager started
	KindGap         Kind = "gap"      // rounds are missing here
)

// Role says what a Link is in the chain of a decision.
type Role string

// The values of Role.
const (
	RoleTrigger  Role = "trigger"  // what caused the decision
	RoleDecision Role = "decision" // the decision
	RoleThen     Role = "then"     // what became of it
)

// Link is one part of the chain of a decision, or one moment in the history of an instance or key.
type Link struct {
	Time     time.Time `json:"time"`
	Role     Role      `json:"role,omitempty"` // empty in a history
	Sentence string    `json:"sentence"`
}

// Record is one decision, or an event of the group, with its causes. The names of its JSON fields are stable.
type Record struct {
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`
	Instance string    `json:"instance,omitempty"` // the instance that the record is about
	Key      string    `json:"key,omitempty"`      // the caller's key that the record is about
	Create   uint64    `json:"create,omitempty"`   // the number of the create that the record is about
	Cause    string    `json:"cause,omitempty"`    // a name of record.Cause
	Count    int       `json:"count,omitempty"`    // instances; for "deny": callers; for "back_off": failures in a row
	Sentence string    `json:"sentence"`           // the decision and its reason
	Outcome  string    `json:"outcome,omitempty"`  // the result so far
	Chain    []Link    `json:"chain"`              // the triggers, the decision and the consequences, in chronological order
	Sizing   *Sizing   `json:"sizing,omitempty"`   // the numbers at that time
	Policy   *Policy   `json:"policy,omitempty"`   // the policy that applied

	until    time.Time // the time of the last refusal or failure that is part of this record
	same     string    // a refusal with the same value becomes part of this record
	creation *creation // of a KindCreate
	removal  *removal  // of a KindDelete
}

// Sizing holds the numbers of a sizing decision. Slots and instances are counted as named.
type Sizing struct {
	Leased      int  `json:"leased"`
	Waiting     int  `json:"waiting"`
	IdleTarget  int  `json:"idle_target"`
	Needed      int  `json:"needed"` // leased + waiting + idle_target
	Supply      int  `json:"supply"`
	Free        int  `json:"free"`              // the part of supply that is not leased, including instances that are booting
	Existing    int  `json:"existing"`          // instances that exist or may still appear
	Missing     int  `json:"missing"`           // needed − supply
	PerInstance int  `json:"slots_an_instance"` // slots of a new instance
	Wanted      int  `json:"wanted"`            // instances to create, before limits
	Room        *int `json:"room,omitempty"`    // how many more instances max_instances and the provider's limit allow; absent: no limit
	// RoomBy says which of the two limits is lower.
	RoomBy          string `json:"room_by,omitempty"`
	ThrottleAllowed *int   `json:"throttle_allowed,omitempty"` // creates that the throttle allows; absent: not asked, or no throttle
	ThrottleBurst   int    `json:"throttle_burst,omitempty"`
	Blocked         bool   `json:"blocked,omitempty"`  // a back-off or a pause stops creates
	Canaries        *int   `json:"canaries,omitempty"` // creates that the open runaway breaker allows; absent: the breaker is closed
	Grow            int    `json:"grow"`               // instances to create
	BoundBy         string `json:"bound_by,omitempty"` // why grow is less than wanted
	Peak            *int   `json:"peak,omitempty"`     // for an idle instance: the most slots needed at once in the last idle_time
	Left            *int   `json:"left,omitempty"`     // for an idle instance: the supply without it
}

// Policy is the policy that applied.
type Policy struct {
	Position    int      `json:"position"` // in the configuration, starting at 1; 0: no policy applied
	Periods     []string `json:"periods,omitempty"`
	Timezone    string   `json:"timezone,omitempty"`
	IdleCount   int      `json:"idle_count"`
	IdleTime    float64  `json:"idle_time_seconds"`
	ScaleFactor float64  `json:"scale_factor,omitempty"`
	Preemptive  bool     `json:"preemptive_mode,omitempty"`
	Name        string   `json:"name"` // as used in sentences
}

func sizingOf(of *policy.Decision, burst int) *Sizing {
	d := *of // a copy, because the record points to its numbers
	s := &Sizing{
		Leased: d.Leases, Waiting: d.Waiters, IdleTarget: d.IdleTarget, Needed: d.Needed, Supply: d.Supply, Free: d.Free, Existing: d.Existing,
		Missing: d.Missing, PerInstance: d.PerInstance, Wanted: d.Wanted, Blocked: d.Blocked, Grow: d.Grow,
	}
	if d.Room >= 0 {
		s.Room, s.RoomBy = &d.Room, d.RoomBy.String()
	}
	if d.Allowed >= 0 {
		s.ThrottleAllowed, s.ThrottleBurst = &d.Allowed, burst
	}
	if d.Breaker {
		s.Canaries = &d.Canaries
	}
	if d.BoundBy != policy.BoundNone {
		s.BoundBy = d.BoundBy.String()
	}
	return s
}

// burst returns the burst of the current throttle. 0: there is no throttle.
func (h *History) burst() int {
	if t := h.core.Throttle(); !math.IsInf(t.Limit, 1) {
		return t.Burst
	}
	return 0
}

// policyNow returns the policy that applies now.
func (h *History) policyNow() *Policy {
	a := h.sum.Active
	p := &Policy{
		Position: a.Index + 1, IdleCount: a.Settings.IdleCount, IdleTime: a.Settings.IdleTime.Seconds(), ScaleFactor: a.Settings.ScaleFactor,
		Preemptive: a.Settings.Preemptive, Name: h.policyName(a.Index),
	}
	if i := a.Index; i >= 0 && i < len(h.policies) {
		p.Periods, p.Timezone = h.policies[i].Periods, h.policies[i].Timezone
	}
	return p
}

func (h *History) policyName(index int) string { return observe.PolicyName(index, h.policies) }
