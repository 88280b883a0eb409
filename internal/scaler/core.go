package scaler

import (
	"errors"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
	"golang.org/x/time/rate"
)

// Core decides for one group. See the package documentation. It is not safe for concurrent use: one goroutine owns it.
type Core struct {
	cfg Config
	reg *fleet.Register

	now   Time
	stamp fleet.Stamp
	batch Batch
	bug   error
	taken bool // the batch was taken: the next step starts a new one

	timers  timers
	queue   queue                 // waiters, first come first served
	orphans map[record.Key]*timer // detached leases
	window  window                // N̂: the largest demand of the last idle_time

	active    policy.Active
	nextEdge  time.Time // wall time at which active may change
	hasEdge   bool
	evaluated time.Time
	decision  policy.Decision

	bucket        *rate.Limiter
	throttled     policy.Throttle // what bucket is configured with
	settled       bool            // bucket is in the form settledAs, and unused since
	settledAs     BucketSnapshot
	batchCreate   *fleet.Intent // the create of this batch, whose command is not dispatched yet
	batchCreateAt int           // index of its command; -1: none

	lists   lists
	backoff backoff
	breaker breaker
	foreign []arrival // instances that appeared in the last foreignWindow although we did not ask for them
	unknown unknowns
	names   names
	paused  bool
	ailing  int             // instances whose latest heartbeat failed
	above   time.Duration   // since when more of our instances exist than the limits allow; 0: they do not
	debts   []debt          // our instances that went without our doing in the last repairWindow and were not replaced yet
	waiting record.Cause    // what the last waiter waits for
	held    record.Cause    // what holds back creates that are needed
	event   int             // index of the current event in this batch
	doing   EventKind       // kind of the event that is being handled; 0: none is
	because failure.Failure // of that event
	known   bool
	// unfinished: a create was open when the manager stopped. In the first list, instances of that create look the same as others.
	unfinished bool
	draining   bool
	shutdown   bool
	deleting   bool // shutdown with delete_instances_on_shutdown
}

// New returns a core that continues from saved. known says that the store held the state of this provider group. If it did not, instances
// that the provider lists are unclaimed until cfg.Adopt says otherwise.
func New(cfg Config, saved record.Saved, known bool, now Time) (*Core, error) {
	c := &Core{cfg: cfg.WithDefaults(), now: now, orphans: map[record.Key]*timer{}, known: known, batchCreateAt: -1, event: -1}
	c.queue.byKey = map[record.Key]*waiter{}
	c.stamp = stampOf(now)
	c.window.since = now.Mono
	c.reg = fleet.NewRegister(c.cfg.Capacity, c.cfg.MaxUses)
	if err := c.reg.Load(&saved, c.stamp); err != nil {
		return nil, errors.Join(errors.New("scaler: the saved state is contradictory"), err)
	}
	if err := c.reg.Check(); err != nil {
		return nil, errors.Join(errors.New("scaler: the saved state is contradictory"), err)
	}
	c.refreshPolicy()
	c.restoreThrottle()
	c.restore()
	return c, nil
}

func stampOf(t Time) fleet.Stamp { return fleet.Stamp{Mono: t.Mono, Wall: t.Wall.UnixNano()} }

// restore takes up the saved state. What a list must show first (deadlines, and what the configuration says about instances that stand idle)
// waits for startClocks.
func (c *Core) restore() {
	c.reg.Each(func(i *fleet.Instance) bool {
		m := c.newMachine(i)
		switch i.State {
		case record.Gone, record.Lost:
			m.boot.kind = timerForget
			return true
		case record.Deleting:
			// It is not known whether the delete was sent. Sending it again is harmless.
			c.timers.set(&m.retry, c.now.Mono)
		case record.Draining:
			if i.Leased() == 0 {
				c.timers.set(&m.retry, c.now.Mono)
			}
		}
		i.Each(func(l record.Lease) { c.orphan(l.Key, c.cfg.ReattachAfterRestart) })
		c.lists.miss(m, c.now.Mono)
		return true
	})
	if n := c.supply(); n > 0 {
		// The recent demand is not stored. Until idle_time has passed, assume that everything that exists was needed: a restart during a
		// dip in the load deletes nothing.
		c.window.past = append(c.window.past, sample{value: n, end: c.now.Mono})
	}
	c.dropSpent()
	c.unfinished = len(c.reg.Intents()) > 0
	for _, in := range c.reg.Intents() {
		w := c.newIntent(in)
		w.restored = true
		w.confirm, w.late = !in.Answered || in.Doubt > 0, in.Doubt > 0
		// The call of the previous run may still be under way: the list that is asked for at this very moment rules nothing out.
		w.since = c.now.Mono + 1
	}
	c.restoreDebts()
	c.restoreBreaker()
	// A pause that only somebody's correction can end is over: like a reload, a start reads the configuration.
	if m := &c.reg.Meta; m.BackoffUntil > 0 && m.BackoffCause != record.CauseConfig && m.BackoffCause != record.CauseBreaker {
		left := time.Duration(m.BackoffUntil - c.stamp.Wall)
		c.backoff.until = c.now.Mono + min(max(left, 0), maxBackoff)
		c.backoff.cause = m.BackoffCause
	}
}

// Step tells the core that ev happened at now. A now.Mono before the last one counts as the last one.
func (c *Core) Step(now Time, ev Event) {
	if now.Mono < c.now.Mono {
		now.Mono = c.now.Mono
	}
	if c.taken {
		c.batch.reset()
		c.taken, c.event = false, -1
	}
	c.event++
	c.now, c.stamp = now, stampOf(now)
	c.refreshPolicy()
	listing := ev.Kind.partOfList()
	if c.paused && !listing && ev.Kind != EvListed { // what a list tells comes first: an instance may be gone
		c.watchForeign()
	}
	c.watchYoung()
	c.fire()
	c.doing, c.because = ev.Kind, ev.Failure
	c.handle(&ev)
	c.doing, c.because = 0, failure.Failure{}
	if c.paused && ev.Kind == EvListed {
		c.watchForeign()
	}
	c.settle(!listing)
}

// handle dispatches each kind of event.
func (c *Core) handle(ev *Event) {
	switch ev.Kind {
	case EvReserve:
		c.reserve(ev)
	case EvUnreserve:
		c.unreserve(ev.Key)
	case EvAcquire:
		c.acquire(ev)
	case EvCancel:
		c.cancel(ev)
	case EvRelease:
		c.release(ev)
	case EvReplace:
		c.replace(ev)
	case EvReattach:
		c.reattach(ev)
	case EvDetach:
		c.detach(ev)
	case EvAppeared, EvChanged:
		c.listed(ev)
	case EvMissing:
		c.missing(ev.ID)
	case EvListed:
		c.listDone(ev)
	case EvListFailed:
		c.listFailed(ev)
	case EvIncreased:
		c.increased(ev)
	case EvDeleted:
		c.deleted(ev)
	case EvPrepared:
		c.prepared(ev)
	case EvBeat:
		c.beat(ev)
	case EvUnhealthy:
		if i := c.reg.Get(ev.ID); i != nil && (ev.Serial == 0 || ev.Serial == i.Serial) {
			c.unhealthy(machineOf(i), ev.Cause, ev.Failure)
		}
	case EvUnreachable:
		c.unreachable(ev)
	case EvReload:
		c.reload(ev.Config)
	case EvDrain:
		c.draining = ev.On
	case EvShutdown:
		c.shutDown(ev.On)
	case EvRevokeAll:
		c.revokeAll(ev.Cause)
	}
}

// settle moves the fleet towards what it should be: hand out slots, create, retire. Slots are handed out and idle instances judged only
// here, so an instance that just took a lease is never retired as idle. whole is false within a list: what it has not told yet may be that
// another instance is gone, so nothing is retired as too many before its end.
func (c *Core) settle(whole bool) {
	if c.closed() {
		c.turnAway()
	}
	c.serve()
	c.grow()
	c.watchLimit()
	if whole { // what holds creates back within a list may be over at its end
		c.noteHeld(c.held)
		c.shrink()
	}
	c.explainWaits()
}

// Take returns what was decided in the steps since the last Take. The result is valid until the next Step.
func (c *Core) Take() *Batch {
	b := &c.batch
	c.reg.TakeChanges(&b.Changes)
	b.Wake = c.wake()
	b.Expecting = c.expecting()
	b.Done = c.finished()
	b.Bug = c.bug
	c.batchCreate, c.batchCreateAt = nil, -1
	c.taken = true
	return b
}

// reset empties the batch, at the first step after a Take.
func (b *Batch) reset() {
	b.Commands, b.Grants, b.Facts = b.Commands[:0], b.Grants[:0], b.Facts[:0]
}

// must keeps the first refused move as Batch.Bug. The shell then discards the batch.
func (c *Core) must(err error) bool {
	if err != nil && c.bug == nil {
		c.bug = err
	}
	return err == nil
}

// fire handles every timer that is due.
func (c *Core) fire() {
	for t := c.timers.due(c.now.Mono); t != nil; t = c.timers.due(c.now.Mono) {
		switch t.kind {
		case timerBoot:
			c.overdue(t.of.(*machine))
		case timerRetry:
			c.retry(t.of.(*machine))
		case timerForget:
			c.forget(t.of.(*machine))
		case timerIntent:
			c.intentOverdue(t.of.(*intent))
		case timerWaiter:
			c.timeout(t.of.(*waiter))
		case timerReserve:
			c.expireReservation(t.of.(*fleet.Reservation))
		case timerOrphan:
			c.abandoned(t.of.(record.Key))
		}
	}
}

// wake returns the earliest time after now at which something can change without an event; 0: never.
func (c *Core) wake() time.Duration {
	at, ok := c.timers.next()
	consider := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if c.hasEdge {
		consider(c.now.Mono + max(c.nextEdge.Sub(c.now.Wall), time.Millisecond))
	}
	if t, may := c.growAt(); may {
		consider(t)
	}
	if t, may := c.shrinkAt(); may {
		consider(t)
	}
	if c.paused {
		consider(c.foreign[0].at + foreignWindow)
	}
	if t, may := c.grownUpAt(); may {
		consider(t)
	}
	if !ok {
		return 0
	}
	return max(at, c.now.Mono+1)
}

func (c *Core) expecting() bool {
	r := c.reg
	return !c.lists.started || r.IntentExpected()+r.IntentDoubt() > 0 || r.Count(record.Creating) > 0 || r.Count(record.Deleting) > 0 ||
		len(c.lists.absent) > 0 || c.namesBusy()
}

func (c *Core) fact(f Fact) {
	if f.Cause == record.CauseUnhealthy {
		if f.By = c.doing; !f.Failure.Failed() {
			f.Failure = c.because
		}
	}
	f.At, f.Policy, f.Event = c.now, c.active.Index, c.event
	c.batch.Facts = append(c.batch.Facts, f)
}

func (c *Core) grant(g Grant) { c.batch.Grants = append(c.batch.Grants, g) }

func (c *Core) command(cmd Command) { c.batch.Commands = append(c.batch.Commands, cmd) }

// nextOp numbers a command. A number is committed only with a create, which needs an intent. A restart forgets all other commands, so their
// numbers may be used again.
func (c *Core) nextOp() uint64 {
	c.reg.Meta.LastOp++
	return c.reg.Meta.LastOp
}
