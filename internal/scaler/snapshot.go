package scaler

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Snapshot is the complete state of a [Core] as plain data. It shares nothing with the core that can change. A core that [Resume] makes of
// it gives the same batches as the original, byte for byte. What can be computed from the rest is left out: the active policy, the throttle
// in force, sums and positions. The order of slices is fixed, and empty slices are nil.
type Snapshot struct {
	Form         int // version of the contents, see Reduce
	Config       Config
	Now          Time // of the last step; Wall in UTC
	Register     fleet.Snapshot
	Machines     []MachineSnapshot // one for each of Register.Instances
	Creates      []CreateSnapshot  // one for each of Register.Intents
	Reservations []TimerSnapshot   // one for each of Register.Reservations: its deadline
	Waiters      []WaiterSnapshot  // in order of service
	Orphans      []OrphanSnapshot  // detached leases, ascending by Key
	TimerSeq     uint64            // the last sequence number that a timer got
	Window       WindowSnapshot
	Evaluated    time.Time // when the schedule was last evaluated, wall time in UTC
	Decision     policy.Decision
	Bucket       BucketSnapshot
	Lists        ListsSnapshot
	BackoffUntil time.Duration
	BackoffCause record.Cause
	Breaker      BreakerSnapshot
	Foreign      []time.Duration
	ForeignIDs   []record.ID // one for each of Foreign
	Unknown      UnknownsSnapshot
	Debts        []DebtSnapshot
	Names        NamesSnapshot
	Paused       bool
	Above        time.Duration
	Repairs      int // the number of Debts; the only thing that older versions wrote of them
	Waiting      record.Cause
	Held         record.Cause
	Known        bool
	Unfinished   bool
	Draining     bool
	Shutdown     bool
	Deleting     bool
	Batch        BatchSnapshot
}

// TimerSnapshot is one deadline. Seq orders deadlines of the same moment. Seq 0: not armed.
type TimerSnapshot struct {
	At  time.Duration
	Seq uint64
}

// UnknownsSnapshot counts instances of unknown owner that are not remembered, and those of which the facts have yet to tell.
type UnknownsSnapshot struct{ Excess, Named, Unnamed int }

// NamesSnapshot is what the core knows about names that the provider uses again.
type NamesSnapshot struct {
	Again, Held time.Duration
	Clear       int
}

// DebtSnapshot is an instance that went without our doing, at At, and has no replacement yet.
type DebtSnapshot struct {
	ID record.ID
	At time.Duration
}

// MachineSnapshot is what the core keeps about one instance.
type MachineSnapshot struct {
	Boot, Retry               TimerSnapshot
	Forget                    bool // Boot is the time at which it is forgotten
	Op                        uint64
	Tries, BeatFail           int
	Accepted, GaveUp, Alarmed bool
	Strayed                   time.Duration
	AbsentAt                  time.Duration
	AbsentSeq, AbsentMul      int
	AcceptedAt                time.Duration
}

// CreateSnapshot is what the core keeps about one unfinished create.
type CreateSnapshot struct {
	Timer             TimerSnapshot
	Confirm, Restored bool
	Reused            bool
	Since, Asked      time.Duration
	Seen              int
	Late              bool
}

// WaiterSnapshot is one acquire that has no slot yet.
type WaiterSnapshot struct {
	Key      record.Key
	Ticket   uint64
	Not      record.ID
	Since    time.Duration
	Deadline TimerSnapshot
}

// OrphanSnapshot is one detached lease: its caller has not reattached yet.
type OrphanSnapshot struct {
	Key   record.Key
	Timer TimerSnapshot
}

// WindowSnapshot is what N̂ is the maximum of: the current value and earlier ones.
type WindowSnapshot struct {
	Current int
	Since   time.Duration
	Values  []int
	Ends    []time.Duration // when each of Values ended
}

// BucketSnapshot is the throttle's bucket: either full, or as if it was emptied at Emptied (on Time.Mono).
type BucketSnapshot struct {
	Full    bool
	Emptied time.Duration
}

// ListsSnapshot is what the core knows about the provider's lists.
type ListsSnapshot struct {
	Started, Away                bool
	Seq, Failed, Present, Missed int
	Absent                       []record.ID // in the order in which they are judged
}

// BreakerSnapshot is the state of the runaway breaker.
type BreakerSnapshot struct {
	Open          bool
	Judged, Since time.Duration
	Young, Unseen []TrialSnapshot // instances that have yet to prove that they work
}

// TrialSnapshot is an instance on trial. Ready is when it became ready.
type TrialSnapshot struct {
	ID    record.ID
	Ready time.Duration
}

// BatchSnapshot is what the next Take returns, apart from the register's changes. It is empty directly after a Take, when a running manager
// takes snapshots. Directly after New it is not empty.
type BatchSnapshot struct {
	Commands []Command
	Grants   []Grant
	Facts    []Fact
	Create   uint64 // the intent of the batch's create; 0: none
	CreateAt int    // its place in Commands
	Event    int    // index of the last event in the batch; -1: none
}

// Snapshot copies the core's state. It may be called at any time, except after a refused move (Batch.Bug). It also changes the core's own
// token bucket to the form that is copied. This may remove a few nanoseconds' worth of tokens and never adds any, so the core and its copy
// continue with exactly the same tokens.
func (c *Core) Snapshot() Snapshot {
	s := Snapshot{
		Form: snapshotForm, Config: c.cfg, Now: utc(c.now), Register: c.reg.Snapshot(), TimerSeq: c.timers.seq, Evaluated: c.evaluated.Round(0).UTC(),
		Decision: c.decision, Bucket: c.settleBucket(), BackoffUntil: c.backoff.until, BackoffCause: c.backoff.cause,
		Names:   NamesSnapshot{Again: c.names.again, Held: c.names.held, Clear: c.names.clear},
		Unknown: UnknownsSnapshot{c.unknown.excess, c.unknown.named, c.unknown.unnamed}, Paused: c.paused, Above: c.above, Repairs: len(c.debts), Waiting: c.waiting, Held: c.held, Known: c.known,
		Unfinished: c.unfinished, Draining: c.draining, Shutdown: c.shutdown, Deleting: c.deleting,
		Lists: ListsSnapshot{Started: c.lists.started, Away: c.lists.away, Seq: c.lists.seq, Failed: c.lists.failed, Present: c.lists.present, Missed: c.lists.missed},
	}
	for _, a := range c.foreign {
		s.Foreign, s.ForeignIDs = append(s.Foreign, a.at), append(s.ForeignIDs, a.id)
	}
	for _, d := range c.debts {
		s.Debts = append(s.Debts, DebtSnapshot{d.id, d.at})
	}
	c.reg.Each(func(i *fleet.Instance) bool {
		s.Machines = append(s.Machines, machineOf(i).snapshot())
		return true
	})
	for _, in := range c.reg.Intents() {
		w := in.Attached.(*intent)
		s.Creates = append(s.Creates, CreateSnapshot{
			Timer: w.timer.snapshot(), Confirm: w.confirm, Restored: w.restored, Reused: w.reused, Since: w.since, Asked: w.asked, Seen: w.seen,
			Late: w.late,
		})
	}
	for _, res := range c.reg.SortedReservations() {
		s.Reservations = append(s.Reservations, res.Attached.(*timer).snapshot())
	}
	for w := c.queue.head; w != nil; w = w.next {
		s.Waiters = append(s.Waiters, WaiterSnapshot{Key: w.key, Ticket: w.ticket, Not: w.not, Since: w.since, Deadline: w.deadline.snapshot()})
	}
	for _, key := range slices.Sorted(maps.Keys(c.orphans)) {
		s.Orphans = append(s.Orphans, OrphanSnapshot{Key: key, Timer: c.orphans[key].snapshot()})
	}
	for _, m := range c.lists.absent {
		s.Lists.Absent = append(s.Lists.Absent, m.ID)
	}
	c.tidyTrials()
	s.Breaker = BreakerSnapshot{Open: c.breaker.open, Judged: c.breaker.judged, Since: c.breaker.since}
	for _, t := range c.breaker.young {
		s.Breaker.Young = append(s.Breaker.Young, TrialSnapshot{t.m.ID, t.ready})
	}
	for _, t := range c.breaker.unseen {
		s.Breaker.Unseen = append(s.Breaker.Unseen, TrialSnapshot{t.m.ID, t.ready})
	}
	s.Window = c.window.snapshot()
	s.Batch = c.batchSnapshot()
	return s
}

func utc(t Time) Time { return Time{Mono: t.Mono, Wall: t.Wall.Round(0).UTC()} }

// copied returns a copy of s; nil when s is empty.
func copied[T any](s []T) []T { return append([]T(nil), s...) }

func (t *timer) snapshot() TimerSnapshot {
	if t.pos == 0 {
		return TimerSnapshot{}
	}
	return TimerSnapshot{At: t.at, Seq: t.seq}
}

func (m *machine) snapshot() MachineSnapshot {
	return MachineSnapshot{
		Boot: m.boot.snapshot(), Retry: m.retry.snapshot(), Forget: m.boot.kind == timerForget, Op: m.op, Tries: m.tries, BeatFail: m.beatFail,
		Accepted: m.accepted, GaveUp: m.gaveUp, Alarmed: m.alarmed, Strayed: m.strayed, AbsentAt: m.absentAt, AbsentSeq: m.absentSeq,
		AbsentMul: m.absentMul, AcceptedAt: m.acceptedAt,
	}
}

func (w *window) snapshot() WindowSnapshot {
	s := WindowSnapshot{Current: w.current, Since: w.since}
	for _, h := range w.past[w.head:] {
		s.Values, s.Ends = append(s.Values, h.value), append(s.Ends, h.end)
	}
	return s
}

func (c *Core) batchSnapshot() BatchSnapshot {
	if c.taken {
		return BatchSnapshot{Event: -1}
	}
	s := BatchSnapshot{Event: c.event, Commands: copied(c.batch.Commands), Grants: copied(c.batch.Grants), Facts: copied(c.batch.Facts)}
	for i := range s.Facts {
		s.Facts[i].At = utc(s.Facts[i].At)
	}
	if c.batchCreate != nil {
		s.Create, s.CreateAt = c.batchCreate.Op, c.batchCreateAt
	}
	return s
}

// Resume makes a core from s. It trusts nothing: the error says what in s is contradictory. The core uses the slices of s.Batch as its own;
// it keeps nothing else of s.
func Resume(s *Snapshot) (*Core, error) {
	if err := s.plausible(); err != nil {
		return nil, err
	}
	reg, err := fleet.Restore(&s.Register)
	if err != nil {
		return nil, errors.Join(errors.New("scaler: the snapshot cannot be used"), err)
	}
	c := &Core{
		cfg: s.Config.WithDefaults(), reg: reg, now: s.Now, stamp: stampOf(s.Now), orphans: map[record.Key]*timer{}, evaluated: s.Evaluated,
		decision: s.Decision, backoff: backoff{until: s.BackoffUntil, cause: s.BackoffCause}, names: names{again: s.Names.Again, held: s.Names.Held, clear: s.Names.Clear}, unknown: unknowns{s.Unknown.Excess, s.Unknown.Named, s.Unknown.Unnamed}, paused: s.Paused, above: s.Above,
		waiting: s.Waiting, held: s.Held, event: s.Batch.Event, known: s.Known, unfinished: s.Unfinished, draining: s.Draining, shutdown: s.Shutdown,
		deleting: s.Deleting, batchCreateAt: -1,
		lists: lists{started: s.Lists.Started, away: s.Lists.Away, seq: s.Lists.Seq, failed: s.Lists.Failed, present: s.Lists.Present, missed: s.Lists.Missed},
	}
	c.queue.byKey = map[record.Key]*waiter{}
	c.nextEdge, c.hasEdge = c.cfg.Schedule.NextChange(c.evaluated)
	c.active = c.cfg.Schedule.At(c.evaluated)
	c.throttled = c.throttleNow()
	c.resumeBucket(s.Bucket)
	c.resumeWindow(&s.Window)
	c.resumeStrangers(s)
	r := resumption{c: c, s: s}
	for _, step := range []func() error{r.machines, r.creates, r.reservations, r.waiters, r.orphans, r.timers, r.absent, r.breaker, r.batch} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// bySeq orders timers by sequence number.
func bySeq(a, b *timer) int { return cmp.Compare(a.seq, b.seq) }
