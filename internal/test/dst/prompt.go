package dst

import (
	"cmp"
	"math"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// prompt is what the oracles of promptness remember.
type prompt struct {
	blindTo   time.Duration // when the latest failed lists ended
	fruitless int           // the committed number of consecutive failed boots before this batch
	listedAt  time.Duration // when the complete list of this batch was asked for; 0: it has none
	pausedBy  bool          // published: another manager seems to work on the group
	turns     bool          // published: ids seem to be used again, so creates and deletes wait for each other, a minute at most (ADR 34)
	heldFrom  time.Duration // since when a create waits although nothing but deletes can hold it back; 0: none does
	pausedTo  time.Duration // when that last changed
	namesAt   time.Duration // when the name of a deleted machine was last listed again; 0: never
	limitedAt time.Duration // when the throttle last changed, or a restart read its tokens from the wall clock
	restUntil time.Duration // a refused create asked for this pause at least
	restWas   time.Duration // the same before this batch
	backUntil time.Duration // the committed end of the back-off, on Mono
	backWall  int64         // the same, as it was committed
}

// judgePrompt checks after a batch that nothing is left undone that could have been done in it.
func (w *world) judgePrompt(b *scaler.Batch) {
	closed := w.over > 0 || w.drained
	waiters := w.waiters()
	expecting := !w.first
	for i := range w.saved.Instances {
		rec := &w.saved.Instances[i]
		m := w.byID[rec.ID]
		switch rec.State {
		case record.Creating:
			expecting = true
			if m.shown == fleet.ListedRunning {
				w.fail("prompt", "%s is listed as running, and is not prepared", rec.ID)
			}
		case record.Ready:
			if waiters > 0 && !closed && m.shown == fleet.ListedRunning && w.freeOn(rec) > 0 && w.promises() == 0 && !w.unreachable(m) && !m.unreached.vague {
				w.fail("prompt", "%d wait while %s has a free slot that is promised to none", waiters, rec.ID)
			}
			w.judgeStray(m)
		case record.Draining:
			if len(rec.Leases) == 0 && !w.pausedBy && !w.mayWaitForTurn(m) {
				w.fail("prompt", "%s is retired and has no lease, and its delete is not sent", rec.ID)
			}
		case record.Deleting:
			expecting = true
			w.judgeDeleting(m)
		}
		expecting = expecting || m.shown == fleet.ListedAbsent && rec.State != record.Gone && rec.State != record.Lost
	}
	for i := range w.saved.Intents {
		expecting = expecting || w.saved.Intents[i].Open+w.saved.Intents[i].Doubt > 0
	}
	if b.Expecting != expecting && !(w.turns && b.Expecting) {
		w.fail("prompt", "the core says that it expects a change of the list: %v; by what is committed and listed: %v", b.Expecting, expecting)
	}
	if closed { // nothing is needed, so nothing waits
		w.heldFrom = 0
	} else {
		w.judgeNeed(waiters)
	}
	w.listedAt = 0
}

// judgeDeleting checks that an accepted delete is confirmed by the first complete list that was asked for later and lacks the machine, and
// that one that was not confirmed is sent again in time.
func (w *world) judgeDeleting(m *machine) {
	if m.accepts != 0 && w.listedAt >= m.accepts && m.shown == fleet.ListedAbsent {
		w.fail("prompt", "the delete of %s was accepted, and a later list lacks it, and it does not count as gone", m.id)
	}
	if late := w.lastStep - max(m.again, w.pausedTo+w.cfg.DeletionRetry); m.again != 0 && late > time.Second && !w.pausedBy && !w.takeTurns() {
		w.fail("prompt", "the delete of %s is not repeated, %v after its time", m.id, late)
	}
}

// takeTurns reports whether creates and deletes may take turns, because names of deleted machines are used again.
func (w *world) takeTurns() bool { return w.namesAt > 0 && w.lastStep < w.namesAt+w.cfg.ForgetAfter }

// turn is how long a delete may wait for creates, with the time until the manager looks again (ADR 34).
const turn = time.Minute + 3*time.Second

// mayWaitForTurn reports whether the delete of a retired machine may wait, because creates have not shown their instances. However many creates
// follow each other, it waits only once.
func (w *world) mayWaitForTurn(m *machine) bool {
	return w.turns && (m.stateDrift != w.drift || w.lastStep < max(m.stateAt, w.lifeStart)+turn)
}

// judgeStray checks that a ready machine that lists show as not running has as long as a boot to run again, in whatever states it is listed
// meanwhile. While lists fail, nothing is late.
func (w *world) judgeStray(m *machine) {
	switch {
	case m.shown != fleet.ListedCreating && m.shown != fleet.ListedSuspended:
	case m.strayTo == 0:
		d := w.cfg.CreatingDeadline
		for n := max(w.fruitless, w.saved.Meta.Fruitless) + w.failedBoots; n > 0 && d < time.Hour; n-- {
			d *= 2
		}
		m.strayTo = w.lastStep + min(d, max(w.cfg.CreatingDeadline, time.Hour))
	case !w.listsFail && w.lastStep > max(m.strayTo, w.blindTo+w.cfg.UpdateInterval)+time.Second:
		w.fail("prompt", "%s is ready and is not listed as running since longer than a boot may take, and it is not retired", m.id)
	}
}

// waiters are the callers that certainly wait, and for any instance.
func (w *world) waiters() (n int) {
	for _, no := range w.live {
		j := &w.jobs[no]
		if j.state != jobWaiting || j.moving || j.given {
			continue
		}
		for _, r := range j.requests {
			if r.ticket == j.ticket {
				n++
			}
		}
	}
	return n
}

// promises are the reservations that may be in force.
func (w *world) promises() (n int) {
	for p := range w.pollKeys {
		if w.polling[p] || w.pollAsk[p] != 0 {
			n++
		}
	}
	for _, no := range w.live {
		if s := w.jobs[no].state; s == jobReserving || s == jobReserved {
			n++
		}
	}
	return n
}

// freeOn is how many more leases an instance can have, by its record.
func (w *world) freeOn(rec *record.Instance) int {
	free := w.cfg.Capacity - len(rec.Leases)
	if w.cfg.MaxUses > 0 {
		free = min(free, w.cfg.MaxUses-rec.Uses)
	}
	return max(free, 0)
}

// judgeNeed checks that a create is asked for as soon as callers wait for whom there is certainly no slot, unless something true holds it
// back: a limit, the throttle, a back-off, the breaker, or another manager.
func (w *world) judgeNeed(waiters int) {
	held := w.heldFrom
	w.heldFrom = 0
	if waiters == 0 || !w.first || w.takeTurns() || w.pausedBy || w.openBreaker || w.lastStep < w.backUntil {
		return
	}
	w.cover.judged[oraclePrompt]++
	exist, free, per := 0, 0, w.cfg.Capacity
	if w.cfg.MaxUses > 0 {
		per = min(per, w.cfg.MaxUses)
	}
	for i := range w.saved.Instances {
		rec := &w.saved.Instances[i]
		if rec.State.Exists() {
			exist++
		}
		if rec.State >= record.Creating && rec.State <= record.Ready {
			free += w.freeOn(rec)
		}
	}
	for i := range w.saved.Intents {
		in := &w.saved.Intents[i]
		exist += in.Open + in.Doubt
		free += in.Open * per
	}
	if limit := maxInstances(&w.cfg); free >= waiters || limit > 0 && exist >= limit {
		return
	}
	if t := w.throttles[len(w.throttles)-1]; !math.IsInf(t.limit, 1) {
		last := w.limitedAt
		if n := len(w.creates); n > 0 {
			last = max(last, w.creates[n-1].at)
		}
		if (w.lastStep - last).Seconds() < 1/t.limit+2 {
			return
		}
	}
	if w.turns {
		w.heldFrom = cmp.Or(held, w.lastStep)
		if w.lastStep-w.heldFrom <= time.Minute+time.Second {
			return
		}
	}
	w.fail("prompt", "%d wait for %d slots at most, %d instances exist or are on their way, nothing holds a create back (%s, says the core), and none is asked for",
		waiters, free, exist, w.core.Summary().Held)
}
