package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// answer gives a caller the core's answer, and checks that the caller may get it.
func (w *world) answer(g *scaler.Grant) {
	if w.opts.trace {
		w.sayGrant(g)
	}
	if g.Ticket>>56 != 0 {
		w.answerPoller(g)
		return
	}
	if g.Ticket != 0 {
		if no := int64(g.Ticket>>16) - 1; no < 0 || no >= int64(len(w.jobs)) || w.jobs[no].key != g.Key {
			w.fail("answers", "%s answers ticket %x, but there was no such request", g.Key, g.Ticket)
			return
		}
		j := &w.jobs[g.Ticket>>16-1]
		at := slices.IndexFunc(j.requests, func(r request) bool { return r.ticket == g.Ticket })
		if at < 0 {
			w.fail("answers", "ticket %x of %s is answered twice, or there was no such request", g.Ticket, g.Key)
			return
		}
		kind, blames := j.requests[at].kind, j.requests[at].blames
		if g.Kind == scaler.GrantReleased {
			w.blamed(g, blames)
		}
		j.requests = slices.Delete(j.requests, at, at+1)
		w.unqueues(g.Ticket)
		w.answered(j, kind, g)
		return
	}
	if g.Kind != scaler.GrantRevoked {
		w.fail("answers", "a grant of kind %d for %s answers no request", g.Kind, g.Key)
		return
	}
	w.revoked(g)
}

func (w *world) answerPoller(g *scaler.Grant) {
	n := int(g.Ticket>>56) - 1
	if n >= len(w.pollKeys) || w.pollAsk[n] != g.Ticket {
		w.fail("answers", "ticket %x of %s is answered twice, or there was no such request", g.Ticket, g.Key)
		return
	}
	w.pollAsk[n] = 0
	switch g.Kind {
	case scaler.GrantReserved:
		w.judgeAdmitted(g)
	case scaler.GrantDenied:
		w.polling[n] = false
		w.denial(g)
	default:
		w.fail("answers", "%s asked for a reservation and got grant kind %d", g.Key, g.Kind)
	}
}

// answered takes the answer to one of j's requests.
func (w *world) answered(j *job, kind scaler.EventKind, g *scaler.Grant) {
	w.judgeAdmitted(g)
	switch g.Kind {
	case scaler.GrantReserved:
		if j.state == jobReserving {
			w.reserved(j)
		}
	case scaler.GrantLease:
		w.leased(j, g)
	case scaler.GrantReattached:
		w.reattached(j, g)
	case scaler.GrantReleased:
		w.released(j, kind, g)
	case scaler.GrantDenied:
		w.denial(g)
		w.denied(j, kind, g)
	default:
		w.fail("answers", "%s got a grant of kind %d", j.key, g.Kind)
	}
	if j.state == jobReleasing && len(j.requests) == 0 {
		w.done(j)
	}
}

// reserved decides what a caller does with its reservation.
func (w *world) reserved(j *job) {
	j.state, j.promised = jobReserved, w.lastStep+w.cfg.ReservationDeadline
	d := w.dice.at(streamJob, uint64(j.no)|1<<42)
	way, think := d.below(5), d.skewed(0, time.Minute)
	switch {
	case w.hitAt(FaultUnreserveRace, uint64(j.no)):
		w.plan(j, think, actRace)
	case way == 0:
		w.plan(j, think, actUnreserve)
	case way == 1: // possibly after the reservation's deadline
		w.plan(j, think+2*time.Minute, actAcquire)
	default:
		w.plan(j, think, actAcquire)
	}
}

// leased handles that j got a slot. It runs its job, or returns the slot at once if the grant comes too late.
func (w *world) leased(j *job, g *scaler.Grant) {
	w.judgeLease(j, g)
	if w.broken != nil {
		return
	}
	w.occupy(j, g)
	w.there(j, g)
	if w.broken == nil && w.hitAt(FaultConnectInfo, uint64(j.no)) {
		w.later(w.roll(streamLatency).span(10*time.Millisecond, 20*time.Second), itemConnect, int(j.no), 0)
	}
	if j.state == jobDone || j.given {
		if j.state == jobDone {
			w.active++
		}
		j.state = jobHolding
		w.plan(j, time.Second, actEnd)
		w.relist(j)
		return
	}
	j.state = jobHolding
	w.runs(j)
}

// relist adds an active job to the live ones again.
func (w *world) relist(j *job) {
	if !j.listed {
		j.listed = true
		w.live = append(w.live, j.no)
	}
}

// runs plans what the job does while it holds its lease.
func (w *world) runs(j *job) {
	k := uint64(j.no)
	hold := j.hold
	if w.closing {
		hold = min(hold, time.Minute)
	}
	if w.hitAt(FaultAbandons, k) {
		w.plan(j, hold/2, actGone)
		return
	}
	if !j.moving && w.hitAt(FaultReplaces, k) {
		w.plan(j, hold/2, actReplace)
		return
	}
	if w.hitAt(FaultDetaches, k) {
		d := &w.dice
		w.plan(j, hold/3, actDetach)
		w.plan(j, hold/3+d.skewed(time.Second, 2*time.Minute), actReattach)
		hold += 3 * time.Minute
	}
	j.ends = true
	w.plan(j, hold, actEnd)
}

// there notes that the manager knows that j is connected, unless j's connection was lost after the request that this grant answers.
func (w *world) there(j *job, g *scaler.Grant) {
	if g.Ticket&0xffff > j.lost {
		j.away = 0
	}
}

// released handles the answer to a release. If request and grant were in one group, j learns only now of the lease that it returned.
func (w *world) released(j *job, kind scaler.EventKind, g *scaler.Grant) {
	switch {
	case j.on == nil:
	case kind != scaler.EvRelease || g.ID != j.on.id:
		w.fail("answers", "%s was told that it released a slot of %s; it holds one of %s", j.key, g.ID, j.on.id)
	default:
		w.leave(j, w.lastStep)
		w.done(j)
	}
}

func (w *world) reattached(j *job, g *scaler.Grant) {
	w.there(j, g)
	if j.state == jobReleasing || j.state == jobWaiting { // it has already returned the lease that it asked for
		return
	}
	w.judgeReattach(j, g)
	if w.broken != nil {
		return
	}
	if j.on == nil {
		w.occupy(j, g)
	}
	if j.state == jobDone {
		w.active++
		w.relist(j)
	}
	j.state = jobHolding
	w.plan(j, min(j.hold, time.Minute), actEnd)
}

// denied handles a refusal of j's request.
func (w *world) denied(j *job, kind scaler.EventKind, g *scaler.Grant) {
	switch kind {
	case scaler.EvReserve:
		if j.state == jobReserving {
			w.done(j)
		}
	case scaler.EvReattach:
		w.unknown(j)
	case scaler.EvReplace:
		if id, slot, ok := w.core.Lease(j.key); ok && (g.Cause == record.CauseDraining || g.Cause == record.CauseShutdown) {
			w.occupy(j, &scaler.Grant{Key: j.key, ID: id, Slot: slot, Serial: w.byID[id].serial, Use: j.use}) // refused: j keeps the lease
			j.state = jobHolding
			w.plan(j, j.hold, actEnd)
			return
		}
		if j.state == jobWaiting {
			w.done(j)
		}
	case scaler.EvAcquire:
		switch {
		case g.Ticket != j.ticket || j.state != jobWaiting: // the answer to the second of two requests
		case g.Cause == record.CauseDuplicate: // the grant of an earlier life, or the wait, exists
			j.state, j.was = jobReturning, jobWaiting
			w.plan(j, time.Second, actRestart)
		default:
			w.done(j)
		}
	}
}

// unknown handles the answer that j has no lease.
func (w *world) unknown(j *job) {
	switch {
	case j.on != nil && j.toldIn == w.batchNo: // another of its requests got a lease of the same key in this batch
	case j.on != nil:
		w.fail("4", "%s was told that it holds slot %d of %s, and is now told that there is no such lease", j.key, j.slot, j.on.id)
	case j.state == jobReturning && j.was == jobWaiting && !j.given && !w.closing:
		j.state = jobWaiting
		w.plan(j, 0, actRestart)
	case j.state == jobReturning || j.state == jobHolding:
		w.done(j)
	}
}

// revoked handles a lease that the core ended without a request from the caller.
func (w *world) revoked(g *scaler.Grant) {
	w.cover.revokes[g.Cause]++
	if g.Cause == record.CauseNone {
		w.fail("3", "the lease of %s was revoked without a cause", g.Key)
		return
	}
	w.judgeRevoked(g)
	for _, no := range w.live {
		j := &w.jobs[no]
		if j.key != g.Key {
			continue
		}
		if j.on != nil {
			w.judgeAbandoned(j, g)
			w.leave(j, w.lastStep)
		}
		j.away = 0 // what its caller waits for now is another lease
		if j.state == jobHolding || j.state == jobReturning {
			w.done(j)
		}
	}
}
