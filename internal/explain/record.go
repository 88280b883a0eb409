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
	KindCreate    Kind = "create"      // instances were asked for
	KindHold      Kind = "hold"        // instances that are needed were not asked for
	KindBackoff   Kind = "back_off"    // a create failed or a boot came to nothing: nothing is created for a while
	KindBreaker   Kind = "breaker"     // the runaway breaker opened or closed
	KindDelete    Kind = "delete"      // an instance was retired, or a delete of one was begun
	KindRevoke    Kind = "revoke"      // a lease was ended against its holder's will
	KindDeny      Kind = "deny"        // a caller was refused, or gave up
	KindLost      Kind = "lost"        // an instance is gone without our asking
	KindReturned  Kind = "returned"    // a lost or deleted instance is listed again
	KindPolicy    Kind = "policy"      // another policy holds
	KindReload    Kind = "reload"      // another configuration holds
	KindPause     Kind = "pause"       // another manager seems to be at work, or no more
	KindAdopt     Kind = "adopt"       // an instance was taken in
	KindUnclaimed Kind = "unclaimed"   // an instance is held, because nobody knows whose it is
	KindAlarm     Kind = "alarm"       // a delete takes far too long
	KindList      Kind = "list_failed" // the provider's list could not be had
	KindOperator  Kind = "operator"    // a drain, its end, or a shutdown
	KindStart     Kind = "start"       // a manager began
	KindGap       Kind = "gap"         // rounds are missing here
)

// Role is the place of a Link in a chain of causes.
type Role string

// The roles.
const (
	RoleTrigger  Role = "trigger"  // what brought the decision about
	RoleDecision Role = "decision" // the decision
	RoleThen     Role = "then"     // what became of it
)

// Link is one link of a chain of causes, or one moment of a life.
type Link struct {
	Time     time.Time `json:"time"`
	Role     Role      `json:"role,omitempty"` // empty in a life
	Sentence string    `json:"sentence"`
}

// Record is one decision, or something that happened to the group, with its causes. The names of its JSON fields are stable.
type Record struct {
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`
	Instance string    `json:"instance,omitempty"` // the subject: an instance,
	Key      string    `json:"key,omitempty"`      // a caller's key,
	Create   uint64    `json:"create,omitempty"`   // or a create, by its number; none of them: the group
	Cause    string    `json:"cause,omitempty"`    // a name of record.Cause
	Count    int       `json:"count,omitempty"`    // instances; callers of a deny; failures in a row of a back_off
	Sentence string    `json:"sentence"`           // the decision and its reason
	Outcome  string    `json:"outcome,omitempty"`  // what has become of it so far
	Chain    []Link    `json:"chain"`              // from the trigger over the decision to what followed, in order of time
	Sizing   *Sizing   `json:"sizing,omitempty"`   // the numbers of that moment
	Policy   *Policy   `json:"policy,omitempty"`   // the policy that held

	until    time.Time // of the last of several that are one record
	same     string    // what the next one must share to be counted into this one
	creation *creation // of a KindCreate
	removal  *removal  // of a KindDelete
}

// Sizing is the arithmetic of a moment.
type Sizing struct {
	Leased      int  `json:"leased"`
	Waiting     int  `json:"waiting"`
	IdleTarget  int  `json:"idle_target"`
	Needed      int  `json:"needed"` // leased + waiting + idle_target
	Supply      int  `json:"supply"`
	Free        int  `json:"free"`              // the part of supply that is not leased, there or on its way
	Existing    int  `json:"existing"`          // instances that exist or may yet appear
	Missing     int  `json:"missing"`           // needed − supply
	PerInstance int  `json:"slots_an_instance"` // that a new instance brings
	Wanted      int  `json:"wanted"`            // instances, before bounds
	Room        *int `json:"room,omitempty"`    // instances that max_instances and the provider's limit leave; absent: no limit
	// RoomBy says which of the two leaves less.
	RoomBy          string `json:"room_by,omitempty"`
	ThrottleAllowed *int   `json:"throttle_allowed,omitempty"` // creates; absent: it was not asked, or there is none
	ThrottleBurst   int    `json:"throttle_burst,omitempty"`
	Blocked         bool   `json:"blocked,omitempty"`  // a back-off or a pause
	Canaries        *int   `json:"canaries,omitempty"` // creates that the open runaway breaker allows; absent: it is closed
	Grow            int    `json:"grow"`               // instances to create
	BoundBy         string `json:"bound_by,omitempty"` // what made grow smaller than wanted
	Peak            *int   `json:"peak,omitempty"`     // of a delete for idleness: the most needed at once in the last idle_time
	Left            *int   `json:"left,omitempty"`     // of a delete for idleness: the supply without the instance
}

// Policy is the policy that held.
type Policy struct {
	Position    int      `json:"position"` // in the configuration, from 1; 0: none matched
	Periods     []string `json:"periods,omitempty"`
	Timezone    string   `json:"timezone,omitempty"`
	IdleCount   int      `json:"idle_count"`
	IdleTime    float64  `json:"idle_time_seconds"`
	ScaleFactor float64  `json:"scale_factor,omitempty"`
	Preemptive  bool     `json:"preemptive_mode,omitempty"`
	Name        string   `json:"name"` // as it stands in sentences
}

func sizingOf(of *policy.Decision, burst int) *Sizing {
	d := *of // the numbers that are pointed to are the record's own
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

// burst is the throttle's in force; 0: there is none.
func (h *History) burst() int {
	if t := h.core.Throttle(); !math.IsInf(t.Limit, 1) {
		return t.Burst
	}
	return 0
}

// policyNow is the policy in force.
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
