package record

import (
	"slices"
	"strings"
)

// ID is the provider's name of an instance. The core treats it as opaque.
type ID string

// Key is a caller's name for its reservation, wait or lease: a job, usually. One key has at most one of these at a time.
type Key string

// State is where an instance is in its life.
type State uint8

// The states, in the order of a life. A create that has not shown an instance yet ("requested") is an intent, not an instance.
//
//	                 Unclaimed ──► (Preparing, or Draining)
//	Creating ─► Preparing ─► Ready ─► Draining ─► Deleting ─► Gone
//	    └───────────┴──────────┴─────────┴──► Lost
//
// Ready with leases is "leased", Ready without is "idle": both are views, not states. Lost and Gone records are remembered for a
// while, because an instance can come back.
const (
	Creating  State = iota + 1 // the provider lists it, it does not run yet
	Preparing                  // it runs; connect info and the ready command are under way
	Ready                      // it may be leased
	Draining                   // it gets no new lease; it is deleted when the last one ends
	Deleting                   // the provider was, or is being, asked to delete it
	Gone                       // deleted, and the provider no longer lists it
	Lost                       // gone without our asking
	Unclaimed                  // found beside an empty or foreign store: counted, never leased, never deleted
)

var stateNames = [...]string{"", "creating", "preparing", "ready", "draining", "deleting", "gone", "lost", "unclaimed"}

// String is the state's name as it stands in facts and in status.
func (s State) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return "invalid"
}

// Exists reports whether an instance in this state is a machine that the provider has, as far as we know: it counts against
// max_instances.
func (s State) Exists() bool { return s >= Creating && s <= Deleting || s == Unclaimed }

// Origin is how an instance came to us.
type Origin uint8

// The origins.
const (
	Created     Origin = iota + 1 // we asked for it
	Adopted                       // it appeared, and an open or expired intent, or a loss, explains it
	Preexisting                   // found at start without a record
)

// String is the origin's name.
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

// Lease is a lease as it is stored with its instance.
type Lease struct {
	Key  Key
	Slot int
	At   int64 // wall time of the grant, Unix nanoseconds
}

// Instance is an instance as it is stored: everything that a restart needs, and no secret. Stamps are wall time in Unix
// nanoseconds; 0 means never.
type Instance struct {
	ID          ID
	Serial      uint64 // distinguishes two machines that bear the same ID one after the other
	State       State
	Origin      Origin
	Uses        int   // grants so far, those of ended leases included
	CreatedAt   int64 // first seen
	StateAt     int64 // last change of State
	ReadyAt     int64 // first became Ready
	IdleAt      int64 // last became free of leases
	Cause       Cause // why it is Draining, Deleting, Gone or Lost
	DeleteAsked bool  // a delete was sent, or is about to be: the record is committed first
	Leases      []Lease
}

// Intent is a create that is not finished: n instances were, or are about to be, asked for. The counts say what may still come.
type Intent struct {
	Op       uint64 // number of the create
	Asked    int    // instances asked for
	Open     int    // expected: they are supply
	Doubt    int    // not expected, but they may still appear: they count against max_instances only
	Faded    int    // given up; an instance that appears all the same is still adopted
	At       int64  // when it was asked, wall time in Unix nanoseconds
	Answered bool   // the provider has answered
}

// Meta is the state of a group that belongs to no instance.
type Meta struct {
	Group          string  // ProviderInfo.ID that this state is bound to; empty before the first Init
	LastSerial     uint64  // last Instance.Serial given
	LastOp         uint64  // last command number given
	ThrottleTokens float64 // tokens in the bucket at ThrottleAt
	ThrottleAt     int64   // wall time, Unix nanoseconds; 0: the bucket was never used and is full
	Fruitless      int     // boots in a row that came to nothing
	YoungSince     int64   // when the first of DiedYoung was first seen, wall time in Unix nanoseconds
	DiedYoung      int     // machines in a row that were ready and fell ill or went before they had done anything
	Trials         int     // tries in a row that failed: boots that were under way together are one
	Refusals       int     // creates in a row that the provider refused
	BackoffUntil   int64   // no create before this wall time, Unix nanoseconds
	BackoffCause   Cause   // why
}

// Saved is a group's state at rest.
type Saved struct {
	Meta      Meta
	Instances []Instance // ascending by ID
	Intents   []Intent   // ascending by Op
}

// Empty reports whether nothing was ever saved.
func (s *Saved) Empty() bool {
	return s.Meta.LastOp == 0 && s.Meta.LastSerial == 0 && len(s.Instances) == 0 && len(s.Intents) == 0
}

// Changes is everything that one batch changes, as whole records: applying it twice is applying it once. It is data for one
// transaction. A batch's Changes are valid until the next Step of the core that made them.
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

// Apply makes s what it is after c. It copies what it keeps. It is the reference for stores, which do the same record by record.
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
