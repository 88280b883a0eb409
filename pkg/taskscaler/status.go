package taskscaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Status is what a manager knows at one moment. Its lists have a stable order. Causes and states are the words of record.Cause and
// record.State; a Sentence says the same in English.
type Status struct {
	Name         string    `json:"name"`                    // Config.Name
	At           time.Time `json:"at"`                      // the moment, wall clock
	Ready        bool      `json:"ready"`                   // whether Taskscaler.Ready returns nil
	NotReady     string    `json:"not_ready,omitempty"`     // why Ready is false
	Started      bool      `json:"started"`                 // the provider's first list was processed
	Draining     bool      `json:"draining,omitempty"`      // after Drain: no new work
	ShuttingDown bool      `json:"shutting_down,omitempty"` // after Shutdown was called
	Paused       bool      `json:"paused,omitempty"`        // another manager seems to use the group: creates are paused, and deletes of what this manager did not create
	// Stale: the last commit failed. Counts describe the time before it, and Instances, Waiters and Intents are empty.
	Stale bool `json:"stale,omitempty"`

	Group     GroupStatus      `json:"group"`
	Policy    PolicyStatus     `json:"policy"`
	Sizing    SizingStatus     `json:"sizing"`
	Counts    Counts           `json:"counts"`
	Waiting   WaitingStatus    `json:"waiting"`
	Hold      *HoldStatus      `json:"hold,omitempty"`    // nil: no needed instance is held back
	Backoff   *BackoffStatus   `json:"backoff,omitempty"` // nil: no back-off
	Breaker   *BreakerStatus   `json:"breaker,omitempty"` // nil: the runaway breaker is closed
	Plugin    PluginStatus     `json:"plugin"`
	Lists     ListsStatus      `json:"lists"`
	Failing   []FailingStatus  `json:"failing,omitempty"` // calls and connections that fail now, by Call and Instance; lists have their own field
	Commit    CommitStatus     `json:"commit"`
	Intents   []IntentStatus   `json:"intents"`   // unfinished creates, oldest first
	Instances []InstanceStatus `json:"instances"` // ascending by ID; gone and lost instances are included while they are remembered
	// MoreInstances counts the instances that were left out of Instances; see Taskscaler.StatusOf.
	MoreInstances int          `json:"more_instances,omitempty"`
	Waiters       []WaitStatus `json:"waiters"` // in the order in which they get slots
}

// GroupStatus describes the provider's group and its limits.
type GroupStatus struct {
	ID           string   `json:"id"`                      // ProviderInfo.ID
	MaxSize      int      `json:"max_size,omitempty"`      // the provider's limit on instances; 0: none is known
	Version      string   `json:"version,omitempty"`       // version of the plugin
	BuildInfo    string   `json:"build_info,omitempty"`    // build of the plugin
	Capabilities []string `json:"capabilities,omitempty"`  // optional features of the provider
	MaxInstances int      `json:"max_instances,omitempty"` // Config.MaxInstances; 0: no limit
	Capacity     int      `json:"capacity_per_instance"`   // Config.CapacityPerInstance
	MaxUses      int      `json:"max_use_count,omitempty"` // Config.MaxUseCount; 0: no limit
}

// PolicyStatus is the policy that is active now; see policy.Settings for its fields.
type PolicyStatus struct {
	Position         int           `json:"position"` // in the configuration, starting at 1; 0: no policy matches
	IdleCount        int           `json:"idle_count"`
	IdleTime         time.Duration `json:"idle_time_ns"` // nanoseconds
	ScaleFactor      float64       `json:"scale_factor,omitempty"`
	ScaleFactorLimit int           `json:"scale_factor_limit,omitempty"`
	ScaleFactorMode  string        `json:"scale_factor_mode,omitempty"`
	Preemptive       bool          `json:"preemptive_mode,omitempty"`
}

// SizingStatus is the latest sizing decision.
type SizingStatus struct {
	Sentence string          `json:"sentence"` // the decision in words
	Decision policy.Decision `json:"decision"` // the wanted size and every number used to compute it
}

// Counts are the numbers of instances, leases and callers.
type Counts struct {
	Creating     int `json:"creating"`     // instances in this state; see record.State
	Preparing    int `json:"preparing"`    // instances in this state
	ReadyCount   int `json:"ready"`        // instances in this state, with or without leases
	Draining     int `json:"draining"`     // instances in this state
	Deleting     int `json:"deleting"`     // instances in this state
	Unclaimed    int `json:"unclaimed"`    // instances in this state
	Idle         int `json:"idle"`         // ready instances without a lease
	Requested    int `json:"requested"`    // instances that were requested and have not appeared yet
	Doubt        int `json:"doubt"`        // instances that are no longer expected, but may still appear
	Leases       int `json:"leases"`       // leases
	Waiters      int `json:"waiters"`      // callers that wait for a slot
	Reservations int `json:"reservations"` // reservations
	Free         int `json:"free"`         // slots that can be leased now
}

// Existing returns the number of instances that the provider has, as far as the manager knows.
func (c Counts) Existing() int {
	return c.Creating + c.Preparing + c.ReadyCount + c.Draining + c.Deleting + c.Unclaimed
}

// Capacity is the largest size that a manager can reach.
type Capacity struct {
	PerInstance int `json:"capacity_per_instance"` // slots of one instance
	Instances   int `json:"instances,omitempty"`   // limit on instances: the lower one of MaxInstances and the provider's limit; 0: none is known
	Slots       int `json:"slots,omitempty"`       // limit on slots: Instances × PerInstance; 0: none is known
}

// WaitingStatus says why callers wait for a slot.
type WaitingStatus struct {
	Cause    string `json:"cause,omitempty"`    // why, for waiters without a booting instance; empty: no caller waits
	Booting  int    `json:"booting,omitempty"`  // waiters for whom an instance is booting
	Sentence string `json:"sentence,omitempty"` // both in words
}

// HoldStatus says that instances are needed and are not created.
type HoldStatus struct {
	Count    int    `json:"count"`    // instances that are not created
	Cause    string `json:"cause"`    // why
	Sentence string `json:"sentence"` // such as "3 of 5 instances that are needed, because max_instances is reached"
}

// BreakerStatus says that the runaway breaker is open: boots failed one after the other, so the manager creates one instance at a time until
// one works.
type BreakerStatus struct {
	Failures int    `json:"failures"`         // consecutive failed boots and early failures
	Latest   string `json:"latest,omitempty"` // message of the latest failed create or preparation
}

// BackoffStatus says that no instance is created for a while.
type BackoffStatus struct {
	Until  time.Time `json:"until"`            // when the next create is allowed
	Cause  string    `json:"cause"`            // why
	Latest string    `json:"latest,omitempty"` // message of the latest failed create or preparation
}

// PluginStatus says whether the plugin answers. An in-process group always does.
type PluginStatus struct {
	Away  bool   `json:"away"`            // the last call did not reach the plugin, because its process is gone or hangs
	Error string `json:"error,omitempty"` // error of that call
	// Unanswered are calls that do not return although their time-outs have passed. Empty: none.
	Unanswered []UnansweredStatus `json:"unanswered,omitempty"`
}

// ListsStatus says whether the provider's lists fail. While they do, no instance can be seen to boot, and none to be gone.
type ListsStatus struct {
	Failing  bool       `json:"failing"`            // the last list failed, or was not complete
	Since    *time.Time `json:"since,omitempty"`    // first of the consecutive failures
	Failures int        `json:"failures,omitempty"` // consecutive failures
	Error    string     `json:"error,omitempty"`    // message of the last one
}

// FailingStatus is a call to the provider, or a connection to an instance or to the jump host, that failed and is tried again.
type FailingStatus struct {
	Call     string    `json:"call"`               // Increase, Decrease, Heartbeat, ConnectInfo; connect: a connection to the instance; or jump host: a connection to that
	Instance string    `json:"instance,omitempty"` // empty: the call concerns the group
	Since    time.Time `json:"since"`              // first of the consecutive failures
	Failures int       `json:"failures"`           // consecutive failures
	Error    string    `json:"error"`              // message of the last one
}

// CommitStatus says whether the state can be stored. While it cannot, no lease is granted and nothing is created or deleted.
type CommitStatus struct {
	Failing  bool       `json:"failing"`            // the last commit failed
	Since    *time.Time `json:"since,omitempty"`    // first of the consecutive failures
	Failures int        `json:"failures,omitempty"` // consecutive failures
	Error    string     `json:"error,omitempty"`    // error of the last one
}

// InstanceStatus is one instance. A time that is nil means never or not now.
type InstanceStatus struct {
	ID     string `json:"id"`     // the provider's name
	State  string `json:"state"`  // see record.State
	Listed string `json:"listed"` // state in the provider's latest list
	Origin string `json:"origin"` // see record.Origin
	// Unreachable: it gets no new lease, because the provider cannot say how to reach it.
	Unreachable bool          `json:"unreachable,omitempty"`
	Uses        int           `json:"uses"`               // leases granted so far, including ended ones
	Claims      int           `json:"claims,omitempty"`   // slots that reservations claim
	Cause       string        `json:"cause,omitempty"`    // why it is draining, deleting, gone or lost
	Created     *time.Time    `json:"created,omitempty"`  // when it was first listed
	Since       *time.Time    `json:"since,omitempty"`    // when it entered State
	Ready       *time.Time    `json:"ready_at,omitempty"` // when it first became ready
	Idle        *time.Time    `json:"idle,omitempty"`     // since when it is ready without a lease
	Leases      []LeaseStatus `json:"leases"`             // ascending by slot
}

// LeaseStatus is one lease of an instance.
type LeaseStatus struct {
	Key      string    `json:"key"`
	Slot     int       `json:"slot"`               // starting at 0
	Since    time.Time `json:"since"`              // when it was granted
	Detached bool      `json:"detached,omitempty"` // it waits for a Reattach, after Detach or a restart of the manager
}

// WaitStatus is one waiter.
type WaitStatus struct {
	Key      string        `json:"key"`
	Position int           `json:"position"`  // in the queue, starting at 1
	Waited   time.Duration `json:"waited_ns"` // so far, in nanoseconds
	Cause    string        `json:"cause"`     // why; see record.Cause
	Sentence string        `json:"sentence"`  // such as "waiting for an instance to boot"
}

// IntentStatus is a create that is not finished.
type IntentStatus struct {
	Asked    int       `json:"asked"`           // instances requested
	Open     int       `json:"open"`            // instances still expected
	Doubt    int       `json:"doubt,omitempty"` // instances no longer expected, but they may still appear
	Since    time.Time `json:"since"`           // when they were requested
	Answered bool      `json:"answered"`        // the provider has answered the request
}
