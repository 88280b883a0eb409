package taskscaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Status is what a manager knows at one moment, in a stable order.
type Status struct {
	Name         string    `json:"name"`
	At           time.Time `json:"at"`
	Ready        bool      `json:"ready"`
	NotReady     string    `json:"not_ready,omitempty"` // why not
	Started      bool      `json:"started"`             // the provider's first list was taken in
	Draining     bool      `json:"draining,omitempty"`
	ShuttingDown bool      `json:"shutting_down,omitempty"`
	Paused       bool      `json:"paused,omitempty"` // another manager seems to work on the group
	// Stale: the last commit failed, so Counts are of the time before it and Instances are left out.
	Stale bool `json:"stale,omitempty"`

	Group     GroupStatus      `json:"group"`
	Policy    PolicyStatus     `json:"policy"`
	Sizing    SizingStatus     `json:"sizing"`
	Counts    Counts           `json:"counts"`
	Waiting   WaitingStatus    `json:"waiting"`
	Hold      *HoldStatus      `json:"hold,omitempty"`
	Backoff   *BackoffStatus   `json:"backoff,omitempty"`
	Breaker   *BreakerStatus   `json:"breaker,omitempty"`
	Plugin    PluginStatus     `json:"plugin"`
	Commit    CommitStatus     `json:"commit"`
	Intents   []IntentStatus   `json:"intents"`   // unfinished creates, oldest first
	Instances []InstanceStatus `json:"instances"` // ascending by ID, those remembered included
	Waiters   []WaitStatus     `json:"waiters"`   // in the order in which they will be served
}

// GroupStatus is the provider's group.
type GroupStatus struct {
	ID           string   `json:"id"`                 // ProviderInfo.ID
	MaxSize      int      `json:"max_size,omitempty"` // the provider's limit on instances, 0: unknown
	Version      string   `json:"version,omitempty"`  // the plugin's
	BuildInfo    string   `json:"build_info,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
	MaxInstances int      `json:"max_instances,omitempty"` // ours, 0: none
	Capacity     int      `json:"capacity_per_instance"`
	MaxUses      int      `json:"max_use_count,omitempty"`
}

// PolicyStatus is the policy that holds.
type PolicyStatus struct {
	Index            int           `json:"index"` // position in the configuration counted from 0; -1: none matches
	IdleCount        int           `json:"idle_count"`
	IdleTime         time.Duration `json:"idle_time_ns"`
	ScaleFactor      float64       `json:"scale_factor,omitempty"`
	ScaleFactorLimit int           `json:"scale_factor_limit,omitempty"`
	ScaleFactorMode  string        `json:"scale_factor_mode,omitempty"`
	Preemptive       bool          `json:"preemptive_mode,omitempty"`
}

// SizingStatus is the last sizing: what is wanted, and every number that led there.
type SizingStatus struct {
	Sentence string          `json:"sentence"`
	Decision policy.Decision `json:"decision"`
}

// Counts are how many there are of each.
type Counts struct {
	Creating     int `json:"creating"` // instances by state: see record.State
	Preparing    int `json:"preparing"`
	ReadyCount   int `json:"ready"`
	Draining     int `json:"draining"`
	Deleting     int `json:"deleting"`
	Unclaimed    int `json:"unclaimed"`
	Idle         int `json:"idle"`      // ready instances without a lease
	Requested    int `json:"requested"` // instances asked for that have not appeared
	Doubt        int `json:"doubt"`     // instances that may appear although nobody expects them
	Leases       int `json:"leases"`
	Waiters      int `json:"waiters"`
	Reservations int `json:"reservations"`
	Free         int `json:"free"` // slots that could be leased at once
}

// Existing is the number of instances that the provider has, as far as we know.
func (c Counts) Existing() int {
	return c.Creating + c.Preparing + c.ReadyCount + c.Draining + c.Deleting + c.Unclaimed
}

// Capacity is how much a manager may provide at most.
type Capacity struct {
	PerInstance int `json:"capacity_per_instance"` // slots of one instance
	Instances   int `json:"instances,omitempty"`   // most instances: the lower of MaxInstances and the provider's limit; 0: no limit is known
	Slots       int `json:"slots,omitempty"`       // most slots: Instances × PerInstance; 0: no limit is known
}

// WaitingStatus says why those who wait are waiting.
type WaitingStatus struct {
	Cause    string `json:"cause,omitempty"`   // empty: nobody waits
	Booting  int    `json:"booting,omitempty"` // waiters for whom a machine is on its way
	Sentence string `json:"sentence,omitempty"`
}

// HoldStatus says that instances which are needed are not created.
type HoldStatus struct {
	Count    int    `json:"count"` // instances
	Cause    string `json:"cause"`
	Sentence string `json:"sentence"` // "3 of 5 instances that are needed, because max_instances is reached"
}

// BreakerStatus says that the runaway breaker is open: machines came to nothing, and one at a time is tried until one works.
type BreakerStatus struct {
	Failures int    `json:"failures"`         // machines in a row
	Latest   string `json:"latest,omitempty"` // what a failed create or preparation said last
}

// BackoffStatus says that no instance is created for a while.
type BackoffStatus struct {
	Until  time.Time `json:"until"`
	Cause  string    `json:"cause"`
	Latest string    `json:"latest,omitempty"` // what a failed create or preparation said last
}

// PluginStatus is what became of the last call to the group.
type PluginStatus struct {
	Away  bool   `json:"away"`
	Error string `json:"error,omitempty"` // why, if it is away
}

// CommitStatus is the state of the store.
type CommitStatus struct {
	Failing  bool       `json:"failing"`
	Since    *time.Time `json:"since,omitempty"`
	Failures int        `json:"failures,omitempty"` // in a row
	Error    string     `json:"error,omitempty"`
}

// InstanceStatus is one instance.
type InstanceStatus struct {
	ID      string        `json:"id"`
	State   string        `json:"state"`  // see record.State
	Listed  string        `json:"listed"` // the provider's word
	Origin  string        `json:"origin"`
	Uses    int           `json:"uses"`
	Claims  int           `json:"claims,omitempty"` // slots held by reservations
	Cause   string        `json:"cause,omitempty"`  // why it is on its way out
	Created *time.Time    `json:"created,omitempty"`
	Since   *time.Time    `json:"since,omitempty"` // in this state
	Ready   *time.Time    `json:"ready_at,omitempty"`
	Idle    *time.Time    `json:"idle,omitempty"` // since when it has had no lease
	Leases  []LeaseStatus `json:"leases"`         // ascending by slot
}

// LeaseStatus is one lease.
type LeaseStatus struct {
	Key      string    `json:"key"`
	Slot     int       `json:"slot"`
	Since    time.Time `json:"since"`
	Detached bool      `json:"detached,omitempty"` // its caller's connection was lost, or the manager restarted
}

// WaitStatus is one waiter.
type WaitStatus struct {
	Key      string        `json:"key"`
	Position int           `json:"position"`  // from 1
	Waited   time.Duration `json:"waited_ns"` // so far
	Cause    string        `json:"cause"`     // see record.Cause
	Sentence string        `json:"sentence"`  // "waiting for an instance to boot"
}

// IntentStatus is a create that is not finished.
type IntentStatus struct {
	Asked    int       `json:"asked"` // instances asked for
	Open     int       `json:"open"`  // still expected
	Doubt    int       `json:"doubt,omitempty"`
	Since    time.Time `json:"since"`
	Answered bool      `json:"answered"` // the provider has answered
}
