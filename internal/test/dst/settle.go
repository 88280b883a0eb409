package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// The time that a world has to settle, and the time that it must then be quiet.
const (
	settleFor  = 12 * time.Hour
	quietFloor = 12 * time.Minute
)

// settle turns the faults off and lets the callers finish. The world must reach its fixed point and stay there for a long time.
func (w *world) settle() {
	w.faulty, w.closing = false, true
	if w.opts.trace {
		w.say("settle", "the faults end, and no more jobs come")
	}
	w.mend()
	if w.over > 0 { // a shutdown cannot be undone: the next life begins
		w.crash()
	} else {
		if w.drained {
			w.drained, w.undrained = false, w.batchNo
		}
		for _, m := range w.machines {
			if m.unreached.serial != 0 && m.unreached.life == w.life {
				w.reach(m)
			}
		}
		w.step(scaler.Event{Kind: scaler.EvDrain})
		w.commit()
	}
	w.hurryJobs()
	start, looked, quietSince := w.now.Mono, w.now.Mono, w.now.Mono
	w.moved = max(w.moved, w.now.Mono)
	for first := w.steps; w.broken == nil; {
		if len(w.heap) == 0 {
			break
		}
		w.round()
		if w.broken != nil {
			return
		}
		s := w.core.Summary()
		if !w.calm(&s) {
			quietSince = w.now.Mono
		}
		if s.Unclaimed > 0 && w.now.Mono-max(w.moved, looked) > 10*time.Minute { // an operator looks and decides
			looked, w.moved = w.now.Mono, w.now.Mono
			w.operator()
		}
		quiet := max(2*s.Active.Settings.IdleTime+2*time.Minute, quietFloor)
		if w.now.Mono-max(w.moved, quietSince) > quiet && s.Unclaimed == 0 {
			return
		}
		if w.now.Mono-start > settleFor || w.steps-first > settleSteps {
			w.unsettled(&s)
			return
		}
	}
}

// mend ends everything that is wrong at the provider.
func (w *world) mend() {
	now := w.now.Mono
	w.awayUntil, w.noStock, w.quotaTo = 0, 0, 0
	for _, m := range w.machines {
		m.wordTo, m.hidden = min(m.wordTo, now), 0
		if m.stuck && m.gone == never {
			m.gone = now + 20*time.Second
		}
		if m.foreign && m.state == 0 || m.foreign && m.state == record.Unclaimed {
			m.gone = min(m.gone, now) // the other manager deletes its machines
		}
	}
}

// hurryJobs makes every holder of a lease return it soon.
func (w *world) hurryJobs() {
	for _, no := range w.live {
		if j := &w.jobs[no]; j.state == jobHolding {
			w.plan(j, w.roll(streamJob).span(0, 40*time.Second), actEnd)
		}
	}
}

// operator decides about unclaimed instances.
func (w *world) operator() {
	c := w.cfg
	c.Adopt = pick(w.roll(streamReload), scaler.AdoptAll, scaler.AdoptRemove)
	w.configure(c)
	w.commit()
}

// calm reports whether nothing is in progress. What remains must stay as it is.
func (w *world) calm(s *scaler.Summary) bool {
	return w.active == 0 && s.Waiters+s.Leases+s.Creating+s.Preparing+s.Draining+s.Deleting+s.Requested+s.Doubt == 0 && s.BackoffFor <= w.now.Mono-w.lastStep &&
		!s.Paused && s.Started && !w.hangList && !w.real.AwaitsList()
}

// unsettled reports what did not finish.
func (w *world) unsettled(s *scaler.Summary) {
	switch {
	case s.Leases > 0:
		w.fail("4", "%d leases have no holder, %v after the faults ended", s.Leases, settleFor)
	case s.Deleting+s.Draining > 0:
		w.fail("5", "%d are still draining and %d deleting, %v after the faults ended", s.Draining, s.Deleting, settleFor)
	case s.Waiters > 0:
		w.fail("8", "%d still wait (%s), %v after the faults ended", s.Waiters, s.WaitCause, settleFor)
	case w.active > 0:
		for _, no := range w.live {
			if j := &w.jobs[no]; j.state != jobDone {
				w.fail("8", "%d callers are not done, %s among them (state %d, %d requests)", w.active, j.key, j.state, len(j.requests))
			}
		}
		w.fail("model", "%d callers are counted as active, but none is", w.active)
	default:
		w.fail("7", "it does not settle: %d creating, %d preparing, %d ready, %d requested, %d in doubt, %d unclaimed, back-off %v, paused %v; the last "+
			"create or delete was at +%v", s.Creating, s.Preparing, s.Ready, s.Requested, s.Doubt, s.Unclaimed, s.BackoffFor, s.Paused, w.moved-began)
	}
}

// verify checks the final state: nothing leaked, stuck or doubled, and the fleet has the size that the policy asks for.
func (w *world) verify() {
	s := w.core.Summary()
	ready := 0
	for _, m := range w.machines {
		if !m.exists(w.now.Mono) {
			continue
		}
		if m.state != record.Ready {
			w.fail("5", "%s exists at the provider, and its committed record is %s", m.id, m.state)
		}
		ready++
		if m.held > 0 {
			w.fail("4", "%s holds a slot of %s at the end", w.holderOf(m), m.id)
		}
	}
	if ready != s.Ready {
		w.fail("5", "%d machines exist, and %d are ready in the books", ready, s.Ready)
	}
	for i := range w.jobs {
		if j := &w.jobs[i]; len(j.requests) > 0 {
			w.fail("answers", "%s never got an answer to ticket %x", j.key, j.requests[0].ticket)
		}
	}
	w.verifySize(&s)
}

// verifySize checks that, at the fixed point, the fleet has the size of the idle target, within its limits.
func (w *world) verifySize(s *scaler.Summary) {
	target := policy.IdleTarget(w.cfg.Schedule.At(w.now.Wall).Settings, 0, 0)
	per := w.cfg.Capacity
	if w.cfg.MaxUses > 0 {
		per = min(per, w.cfg.MaxUses)
	}
	limit := maxInstances(&w.cfg)
	if limit > 0 && s.Ready > limit {
		w.fail("7", "at rest there are %d instances, and the limit is %d", s.Ready, limit)
	}
	if s.Supply < target && (limit == 0 || s.Ready < limit) {
		w.fail("7", "at rest %d slots are free, the idle target is %d, and %d of %d instances exist", s.Supply, target, s.Ready, limit)
	}
	if s.Supply-per >= target && s.Ready > 0 && s.Reservations == 0 {
		w.fail("7", "at rest %d slots are free on %d instances, the idle target is %d", s.Supply, s.Ready, target)
	}
}
