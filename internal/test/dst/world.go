package dst

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// Decider is what the world drives: a *scaler.Core, or in tests a core that misbehaves.
type Decider interface {
	Step(now scaler.Time, ev scaler.Event)
	Take() *scaler.Batch
	Check() error
	Summary() scaler.Summary
	Lease(key record.Key) (id record.ID, slot int, ok bool)
}

// runOptions say which schedule to run and what to leave out of it.
type runOptions struct {
	seed       uint64
	small      bool
	crashAt    int // small worlds: the commit at which to crash, from 1; 0: none
	crashPoint Fault
	calmFrom   int // the faults and the load end after this number of steps; 0: the default
	dropFaults map[occurrence]bool
	dropJobs   map[int32]bool
	keep       bool // record which faults occurred
	trace      bool
	journal    bool                            // record, replay, and compare digests
	wrap       func(core *scaler.Core) Decider // for tests: a core that misbehaves; nil: the core itself
	tamper     func(w *world)                  // for tests: corrupt the model before each batch is judged; nil: nothing
}

// world is one run of one schedule.
type world struct {
	opts   runOptions
	dice   dice
	setup  setup
	cfg    scaler.Config // the current configuration
	faulty bool          // faults may occur
	likely [numFaults]float64

	chances [numFaults]uint64
	counts  [numStreams - streamConfig]uint64

	core  Decider
	real  *scaler.Core
	saved record.Saved
	now   scaler.Time
	life  uint32
	known bool
	agenda

	cloud
	observer
	callers
	books
	recorder

	wakeAt    time.Duration // time of the next wake-up; 0: none
	lastStep  time.Duration
	expecting bool
	over      uint8 // a shutdown is in progress
	deletes   bool  // it deletes the instances
	drained   bool
	undrained uint64 // the batch in which the last drain ended
	stepped   bool   // something was stepped since the last batch
	listsFail bool   // the latest list that the manager was told of failed
	went      int    // machines that the latest batch retires, loses, or no longer expects

	failedBoots int  // failed boots that the latest batch counts
	endLife     bool // a shutdown reached its time limit
	loseState   bool // the next life finds an empty store
	forgotten   bool // some life found an empty store

	cover    *coverage
	occurred []occurrence
	steps    int
	commits  int
	broken   *Violation
	lines    []string
}

// Violation is a broken invariant.
type Violation struct {
	Invariant string        // its number in design.md, or a word if it has no number
	What      string        // what was observed
	Step      int           // step of the world
	At        time.Duration // since the world began
}

// Error says what was violated, and when.
func (v *Violation) Error() string {
	return fmt.Sprintf("invariant %s at step %d (+%v): %s", v.Invariant, v.Step, v.At.Round(time.Millisecond), v.What)
}

const began = time.Hour // Mono at the beginning of every world

// fail records the first violation, which ends the world.
func (w *world) fail(invariant, format string, args ...any) {
	if w.broken == nil {
		w.broken = &Violation{Invariant: invariant, What: fmt.Sprintf(format, args...), Step: w.steps, At: w.now.Mono - began}
	}
}

// roll selects the next draws of s.
func (w *world) roll(s stream) *dice {
	n := &w.counts[s-streamConfig]
	*n++
	return w.dice.at(s, *n)
}

// The sizes of a world: steps with faults, and the maximum number of steps to settle.
const (
	defaultSteps = 520
	smallSteps   = 40
	settleSteps  = 60000
)

// run plays the world to its end or to the first violation.
func (w *world) run() {
	w.faulty = true
	w.now = scaler.Time{Mono: began, Wall: w.setup.wall}
	w.cfg = w.setup.cfg
	w.populate()
	w.start()
	w.plans()
	limit := w.opts.calmFrom
	if limit == 0 {
		limit = defaultSteps
		if w.opts.small {
			limit = smallSteps
		}
	}
	for w.steps < limit && w.broken == nil && len(w.heap) > 0 && !w.smallDone() {
		w.round()
	}
	if w.broken == nil {
		w.settle()
	}
	if w.broken == nil {
		w.verify()
	}
}

// smallDone ends the faults of a small world when its jobs are done.
func (w *world) smallDone() bool { return w.opts.small && w.nextJob >= w.jobLimit && w.active == 0 }

// advance lets time pass until mono is at.
func (w *world) advance(at time.Duration) {
	if d := at - w.now.Mono; d > 0 {
		w.now.Mono = at
		w.now.Wall = w.now.Wall.Add(d)
	}
}

// round handles what is due next, with everything else that is due when the loop looks, and handles the batch.
func (w *world) round() {
	it := w.pop()
	w.advance(it.at)
	if w.faulty {
		if d := w.roll(streamLoop); d.below(12) == 0 { // the loop was busy: what came in the meantime is one group
			w.advance(w.now.Mono + d.skewed(0, 3*time.Second))
		}
		w.mishaps()
	}
	w.handle(&it)
	for n := 0; len(w.heap) > 0 && w.heap[0].at <= w.now.Mono && n < 40 && w.broken == nil; n++ {
		next := w.pop()
		w.handle(&next)
	}
	w.commit()
}

// later adds an item for this life of the manager.
func (w *world) later(d time.Duration, kind itemKind, n int, act uint8) {
	w.add(item{at: w.now.Mono + d, kind: kind, n: int32(n), act: act, ev: -1, life: w.life})
}

// reply schedules the result of a command.
func (w *world) reply(d time.Duration, ev *scaler.Event) {
	w.add(item{at: w.now.Mono + d, kind: itemReply, ev: w.agenda.keep(ev), life: w.life})
}

// handle handles an item that is due. Items of an earlier life of the manager are void; jobs and machines live on.
func (w *world) handle(it *item) {
	stale := it.life != w.life
	switch it.kind {
	case itemReply:
		if ev := w.agenda.take(it.ev); !stale {
			w.step(ev)
		}
	case itemListAsk:
		if !stale && uint64(it.n) == w.listNo {
			w.askList()
		}
	case itemListAnswer:
		if !stale {
			w.answerList()
		}
	case itemWake:
		if !stale && it.at == w.wakeAt {
			w.wakeAt = 0
			w.step(scaler.Event{Kind: scaler.EvWake})
		}
	case itemJob:
		w.act(&w.jobs[it.n], action(it.act))
	case itemArrival:
		w.arrive()
	case itemPoller:
		w.poll(int(it.n), it.act)
	case itemConnect:
		if j := &w.jobs[it.n]; !stale && j.on != nil {
			w.step(scaler.Event{Kind: scaler.EvUnhealthy, ID: j.on.id, Serial: j.serial, Cause: record.CauseUnhealthy,
				Failure: failure.Failure{Kind: failure.Unhealthy, Message: "connect info: planted"}})
			w.overtake(j)
		}
	case itemRise:
		w.rise(w.machines[it.n], uint64(it.act))
	case itemHeal:
		w.heal(it)
	case itemPatience:
		if !stale {
			w.step(scaler.Event{Kind: scaler.EvRevokeAll, Cause: record.CauseShutdown})
		}
	case itemEnd:
		if !stale {
			w.endLife = true
		}
	}
}

// step gives the core an event and verifies the register.
func (w *world) step(ev scaler.Event) {
	if w.broken != nil {
		return
	}
	w.steps++
	w.stepped = true
	w.lastStep = w.now.Mono
	if w.opts.trace {
		w.sayEvent(&ev)
	}
	if w.opts.journal {
		w.record(&ev)
	}
	w.noteEvent(&ev)
	w.core.Step(w.now, ev)
	if w.opts.journal {
		w.copyMidway()
	}
	if err := w.core.Check(); err != nil {
		w.fail("books", "after %s: %v", w.describe(&ev), err)
	}
}

// arm schedules the next wake-up: the one that the core asked for, or the shell's recheck of the wall clock.
func (w *world) arm(wake time.Duration) {
	due := wake
	if recheck := w.lastStep + 30*time.Second; w.faulty && (due == 0 || recheck < due) {
		due = recheck
	}
	if due == 0 || due == w.wakeAt {
		w.wakeAt = due
		return
	}
	w.wakeAt = due
	w.add(item{at: due, kind: itemWake, ev: -1, life: w.life})
}
