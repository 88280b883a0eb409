package record

import (
	"slices"
	"strings"
)

// ID is the provider's name for an instance. taskscaler does not interpret it.
type ID string

// Key is a caller's name for its reservation, wait or lease; usually it names a job. One key has at most one of these at a time.
type Key string

// State is the stage of an instance's life.
type State uint8

// The states, in the order of an instance's life. A create that has not shown an instance yet ("requested") is an Intent, not an Instance.
//
//	                 Unclaimed ──► (Creating, or Draining)
//	Creating ─► Preparing ─► Ready ─► Draining ─► Deleting ─► Gone
//	    └───────────┴──────────┴─────────┴──► Lost
//
// Status calls a Ready instance "leased" if it has a lease and "idle" if not; these are not states. Lost and Gone records are kept for a
// while, because the provider may list the instance again.
const (
	Creating  State = iota + 1 // the provider lists it, but it is not running yet
	Preparing                  // it is running; we get its connect info and run the ready command
	Ready                      // it can be leased
	Draining                   // it gets no new lease, and is deleted when its last lease ends
	Deleting                   // the provider is asked to delete it
	Gone                       // it is deleted, and the provider no longer lists it
	Lost                       // it vanished although we did not delete it
	Unclaimed                  // found beside an empty or foreign store: counted, never leased, never deleted
)

var stateNames = [...]string{"", "creating", "preparing", "ready", "draining", "deleting", "gone", "lost", "unclaimed"}

// String returns the state's name as facts and status show it.
func (s State) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return "invalid"
}

// Exists reports whether the provider has the instance, as far as we know. Such an instance counts against max_instances.
func (s State) Exists() bool { return s >= Creating && s <= Deleting || s == Unclaimed }

// Origin says where an instance came from.
type Origin uint8

// The origins.
const (
	Created     Origin = iota + 1 // we created it
	Adopted                       // it appeared unexpectedly, and an open or expired intent, or the loss of another instance, explains it
	Preexisting                   // found at start without a record
)

// String returns the origin's name.
func (o Origin) String() string {
	switch o {
	case Created:
		return "created"
	case Adopted:
		return "adopted"
	case Preexisting:
		return "preexisting"
	}
	return "invalid"
}

// Lease is one lease, as it is stored with its instance.
type Lease struct {
	Key  Key
	Slot int
	At   int64 // wall time of the grant, Unix nanoseconds
	Use  int   // the ordinal of this use of the instance, starting at 1; 0: an earlier release stored the lease
}

// Instance is one instance as it is stored: everything that a restart needs, without secrets. Times are wall time in Unix nanoseconds; 0
// means never.
type Instance struct {
	ID          ID
	Serial      uint64 // distinguishes instances that had the same ID one after the other
	State       State
	Origin      Origin
	Uses        int   // leases granted so far, including ended ones
	CreatedAt   int64 // first seen
	StateAt     int64 // last change of State
	ReadyAt     int64 // first became Ready
	IdleAt      int64 // last time at which its last lease ended
	Cause       Cause // why it is Draining, Deleting, Gone or Lost
	DeleteAsked bool  // a delete was sent, or will be: this record is committed before it
	Leases      []Lease
}

// Intent is a create that is not finished. Asked instances were requested, or will be after the commit. The other counts say what may still
// appear.
type Intent struct {
	Op       uint64 // command number of the create
	Asked    int    // instances asked for
	Open     int    // expected: they count as supply
	Doubt    int    // no longer expected, but they may still appear: they count against max_instances only
	Faded    int    // given up; an instance that appears nevertheless is still adopted
	At       int64  // wall time of the request, Unix nanoseconds
	Answered bool   // the provider has answered
}

// Meta is the state of a group apart from its instances.
type Meta struct {
	Group          string  // ProviderInfo.ID that this state belongs to; empty before the first Init
	LastSerial     uint64  // last Instance.Serial used
	LastOp         uint64  // last command number used
	ThrottleTokens float64 // tokens in the bucket at ThrottleAt
	ThrottleAt     int64   // wall time, Unix nanoseconds; 0: the bucket was never used, so it is full
	Fruitless      int     // consecutive failed boots
	YoungSince     int64   // when the first of the DiedYoung instances was first listed, wall time in Unix nanoseconds
	DiedYoung      int     // consecutive early failures: instances that became unhealthy or vanished soon after they were ready
	Trials         int     // consecutive failed tries; boots that were under way together count as one try
	Refusals       int     // consecutive creates that the provider refused
	BackoffUntil   int64   // no create before this wall time, Unix nanoseconds
	BackoffCause   Cause   // the reason for BackoffUntil
	Latest         string  // message of the latest failed create or preparation, shortened
}

// Saved is the complete stored state of a group.
type Saved struct {
	Meta      Meta
	Instances []Instance // ascending by ID
	Intents   []Intent   // ascending by Op
}

// Empty reports whether nothing was ever stored.
func (s *Saved) Empty() bool {
	return s.Meta.LastOp == 0 && s.Meta.LastSerial == 0 && len(s.Instances) == 0 && len(s.Intents) == 0
}

// Changes is everything that one batch changes, as whole records. It is committed in one transaction; applying it twice has the same result
// as once. It is valid until the next Step of the core that made it.
type Changes struct {
	Put         []Instance // each ID at most once
	Drop        []ID       // forget these instances
	PutIntents  []Intent
	DropIntents []uint64
	Meta        *Meta // nil: unchanged
}

// Empty reports whether there is nothing to commit.
func (c *Changes) Empty() bool {
	return len(c.Put) == 0 && len(c.Drop) == 0 && len(c.PutIntents) == 0 && len(c.DropIntents) == 0 && c.Meta == nil
}

// Apply applies c to s. It copies what it keeps. Stores do the same record by record; this is the reference for them.
func (s *Saved) Apply(c *Changes) {
	for i := range c.Put {
		rec := c.Put[i]
		rec.Leases = slices.Clone(rec.Leases)
		at, found := s.find(rec.ID)
		if found {
			s.Instances[at] = rec
		} else {
			s.Instances = slices.Insert(s.Instances, at, rec)
		}
	}
	for _, id := range c.Drop {
		if at, found := s.find(id); found {
			s.Instances = slices.Delete(s.Instances, at, at+1)
		}
	}
	for _, in := range c.PutIntents {
		if at, found := s.findIntent(in.Op); found {
			s.Intents[at] = in
		} else {
			s.Intents = slices.Insert(s.Intents, at, in)
		}
	}
	for _, op := range c.DropIntents {
		if at, found := s.findIntent(op); found {
			s.Intents = slices.Delete(s.Intents, at, at+1)
		}
	}
	if c.Meta != nil {
		s.Meta = *c.Meta
	}
}

func (s *Saved) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(s.Instances, id, func(r Instance, id ID) int { return strings.Compare(string(r.ID), string(id)) })
}

func (s *Saved) findIntent(op uint64) (int, bool) {
	return slices.BinarySearchFunc(s.Intents, op, func(r Intent, op uint64) int {
		switch {
		case r.Op < op:
			return -1
		case r.Op > op:
			return 1
		}
		return 0
	})
}
