package dst

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// The seed of a schedule is the seed of a random world. With smallBit, it is the seed of a small world with the commit and the point of its
// crash.
const (
	smallBit   = uint64(1) << 40
	worldShift = 16
	pointShift = 12
	commitMask = 1<<pointShift - 1
)

// smallPoints are the points at which each commit of a small world is crashed.
var smallPoints = [...]Fault{FaultCrashBeforeCommit, FaultCrashMidGrants, FaultCrashAfterDispatch}

// smallSeed is the seed of a small world that crashes at a commit (from 1; 0: never) and a point.
func smallSeed(world, commit, point int) uint64 {
	return smallBit | uint64(world)<<worldShift | uint64(point)<<pointShift | uint64(commit)
}

// optionsOf returns the options of the schedule with this seed.
func optionsOf(seed uint64) runOptions {
	o := runOptions{seed: seed}
	if seed&smallBit != 0 {
		o.small = true
		o.crashAt = int(seed & commitMask)
		o.crashPoint = smallPoints[min(int(seed>>pointShift&0xf), len(smallPoints)-1)]
		o.seed = seed &^ (1<<worldShift - 1)
	}
	return o
}

// name is the inverse of optionsOf: the seed for o.
func (o *runOptions) name() uint64 {
	if !o.small {
		return o.seed
	}
	return smallSeed(int(o.seed&^smallBit>>worldShift), o.crashAt, max(slices.Index(smallPoints[:], o.crashPoint), 0))
}

// outcome is the result of one schedule.
type outcome struct {
	seed     uint64
	broken   *Violation
	steps    int
	commits  int
	digest   uint64
	cover    coverage
	occurred []occurrence
	jobs     int
	lines    []string
}

// stage is what a worker reuses from one schedule to the next, so that a world needs few allocations.
type stage struct {
	w     world
	seed  atomic.Uint64 // seed of the current schedule
	since atomic.Int64  // start of the current schedule, Unix nanoseconds; 0: none
}

// play runs one schedule. A panic of the core or of the world is a violation.
func (s *stage) play(o runOptions) (out outcome) {
	w := &s.w
	s.seed.Store(o.name())
	s.since.Store(time.Now().UnixNano())
	w.wipe(o)
	defer func() {
		s.since.Store(0)
		if p := recover(); p != nil {
			w.broken = nil
			w.fail("panic", "%v\n%s", p, debug.Stack())
		}
		out.broken, out.steps, out.commits, out.digest, out.cover = w.broken, w.steps, w.commits, w.digest, *w.cover
		out.occurred, out.jobs, out.lines = w.occurred, w.nextJob, w.lines
		w.occurred, w.lines = nil, nil
	}()
	w.draw()
	w.swarm()
	if o.trace {
		w.lines = append(w.lines, w.opening())
	}
	w.run()
	if o.journal && w.broken == nil {
		w.replay()
	}
	if o.trace && w.broken != nil {
		w.say("VIOLATED", "invariant %s: %s", w.broken.Invariant, w.broken.What)
	}
	return out
}

// wipe resets the world and keeps its memory.
func (w *world) wipe(o runOptions) {
	w.agenda.reset()
	if w.byID == nil {
		w.cloud.byID = map[record.ID]*machine{}
	}
	w.cloud.reset()
	w.callers.reset()
	w.books.reset()
	if w.cover == nil {
		w.cover = &coverage{}
	}
	*w.cover = coverage{}
	*w = world{opts: o, dice: dice{seed: o.seed}, agenda: w.agenda, cloud: w.cloud, callers: w.callers, books: w.books, cover: w.cover,
		recorder: recorder{journal: w.journal[:0]}}
}

// Command is the command that replays a schedule.
func Command(seed uint64) string { return fmt.Sprintf("make dst SEED=%d", seed) }
