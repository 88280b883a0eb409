package dst

import (
	"slices"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// badWord is the latest report that a machine must not be used, about one of its serials. Of some answers the world cannot know whether the
// manager still waited for them. So it counts the failed heartbeats in a row twice.
type badWord struct {
	serial uint64 // 0: there was none
	cause  record.Cause
	also   record.Cause // of a second report, if it differs
	least  int          // consecutive failed heartbeats in this life of the manager, at least
	most   int          // the same, at most
	maybe  uint64       // serial of which a heartbeat said that it is unhealthy
}

// hears notes what the next event says about the health of a machine. An event about an earlier serial says nothing about this one.
func (w *world) hears(ev *scaler.Event) {
	m := w.byID[ev.ID]
	if ev.Kind == scaler.EvListFailed || ev.Kind == scaler.EvListed {
		if w.listsFail {
			w.blindTo = w.now.Mono
		}
		w.listsFail = ev.Kind == scaler.EvListFailed
	}
	if m == nil || m.serial != ev.Serial {
		return
	}
	switch ev.Kind {
	case scaler.EvUnhealthy:
		if m.state != 0 && m.state != record.Unclaimed {
			w.condemn(m, ev.Cause)
		}
	case scaler.EvBeat:
		// If the machine was lost and came back in between, the manager does not wait for it any more.
		w.beatSays(m, ev, m.state == record.Ready && w.fed == 1 && ev.Op == m.beatOp && m.beatIn == m.stateAt)
	}
}

// beatSays counts the failed heartbeats in a row. sure says that the manager waited for this one.
func (w *world) beatSays(m *machine, ev *scaler.Event, sure bool) {
	switch k := ev.Failure.Kind; {
	case k == failure.None:
		m.bad.least = 0
		if sure {
			m.bad.most = 0
		}
	case k == failure.Unhealthy:
		if m.bad.maybe = m.serial; sure {
			w.condemn(m, record.CauseUnhealthy)
		}
	case !ev.Away && k != failure.Throttled:
		if w.listsFail { // the provider answers nothing, so this says nothing about the machine
			return
		}
		if m.bad.most++; !sure {
			return
		}
		if m.bad.least++; m.bad.least >= w.surelyFailed() {
			w.condemn(m, record.CauseUnhealthy)
		}
	}
}

// surelyFailed is the number of failed heartbeats that certainly condemn a machine now. While most machines fail together, more are needed.
func (w *world) surelyFailed() int {
	watched, failing := 0, 0
	for i := range w.saved.Instances {
		if s := w.saved.Instances[i].State; s == record.Ready || s == record.Draining {
			watched++
			if w.byID[w.saved.Instances[i].ID].bad.most > 0 {
				failing++
			}
		}
	}
	if watched > 2 && failing*2 > watched {
		return 4 * w.cfg.FailureThreshold
	}
	return w.cfg.FailureThreshold
}

// isAbove reports whether more machines may have been standing or expected at some moment of this batch than the limit allows: the committed
// state shows what is left of them, and went counts those that the batch retired, lost, or no longer expects.
func (w *world) isAbove() bool {
	limit, n := maxInstances(&w.cfg), w.went
	for i := range w.saved.Instances {
		if s := w.saved.Instances[i].State; s >= record.Creating && s <= record.Ready {
			n++
		}
	}
	for i := range w.saved.Intents {
		n += w.saved.Intents[i].Open
	}
	return limit > 0 && n > limit
}

// deserves reports whether a serial of m must not be used, or may have been found so.
func (w *world) deserves(m *machine, serial uint64, why record.Cause) bool {
	if m.bad.serial == serial && (m.bad.cause == why || m.bad.also == why) {
		return true
	}
	return why == record.CauseUnhealthy &&
		(m.bad.maybe == serial || m.bad.most >= w.cfg.FailureThreshold || w.lastStep-m.ranBefore >= w.cfg.CreatingDeadline)
}

// condemn notes that m must not be used from now on.
func (w *world) condemn(m *machine, why record.Cause) {
	if m.bad.serial != m.serial {
		m.bad.serial, m.bad.cause, m.bad.also = m.serial, why, record.CauseNone
		w.condemned = append(w.condemned, m)
	} else if m.bad.cause != why {
		m.bad.also = why
	}
}

// blamed notes that a caller returned its lease with a complaint about the machine.
func (w *world) blamed(g *scaler.Grant, why record.Cause) {
	m := w.byID[g.ID]
	switch {
	case why == record.CauseNone || m == nil || m.serial != g.Serial:
	case why == record.CauseDoubtful:
		m.silent = m.serial
		w.silenced = append(w.silenced, m)
	default:
		w.condemn(m, why)
	}
}

// unsaid takes back what a batch that was never committed heard: the manager is gone.
func (w *world) unsaid() {
	for _, m := range w.condemned {
		m.bad.serial, m.bad.cause = 0, record.CauseNone
	}
	for _, m := range w.silenced {
		m.silent = 0
	}
	w.condemned, w.silenced = w.condemned[:0], w.silenced[:0]
	w.restUntil = w.restWas
}

// judgeUnfit checks that a bad word about a machine ends every lease on it in the same batch, and that the verdict is committed.
func (w *world) judgeUnfit() {
	for _, m := range w.condemned {
		w.cover.judged[oracleUnfit]++
		switch {
		case m.bad.serial != m.serial:
		case m.held > 0:
			w.fail("unfit", "%s must not be used (%s), and %s still has its lease on it", m.id, m.bad.cause, w.holderOf(m))
		case m.state >= record.Creating && m.state <= record.Ready:
			w.fail("unfit", "%s must not be used (%s), and its committed record is %s", m.id, m.bad.cause, m.state)
		}
	}
	for _, m := range w.silenced {
		if m.silent == m.serial && m.state >= record.Creating && m.state <= record.Ready {
			w.fail("unfit", "%s did not answer a caller, and its committed record is %s", m.id, m.state)
		}
	}
	w.condemned, w.silenced = w.condemned[:0], w.silenced[:0]
}

// judgeFit checks that no lease starts on a machine after a bad word about it.
func (w *world) judgeFit(m *machine, g *scaler.Grant) {
	if m != nil && m.bad.serial != 0 && m.bad.serial == g.Serial && !w.endedBehind(g) {
		w.fail("unfit", "%s was leased %s, which must not be used (%s)", g.Key, g.ID, m.bad.cause)
	}
}

// judgeRetired checks that a machine is retired for a reason that is true in the world. It reports whether the same was said of it before.
func (w *world) judgeRetired(f *scaler.Fact) (again bool) {
	w.cover.judged[oracleReason]++
	m, c := w.byID[f.ID], &w.cfg
	again = m.retired == m.serial && m.retiredFor == f.Cause // it was lost in between
	m.retired, m.retiredFor = m.serial, f.Cause
	since := w.lastStep - m.priorAt
	exact := m.priorDrift == w.drift // else a restart may have read another time from the wall clock
	ok := false
	switch f.Cause {
	case record.CauseIdle: // see judgeFact
		ok = true
	case record.CauseUsedUp:
		rec := w.recordOf(f.ID)
		ok = w.reloaded || c.MaxUses > 0 && rec != nil && rec.Uses >= c.MaxUses
	case record.CauseBootOverdue:
		ok = !exact || since >= c.CreatingDeadline
	case record.CausePrepareOverdue:
		ok = !exact || since >= c.PreparingDeadline
	case record.CausePrepareFailed:
		ok = m.refused == w.batchNo
	case record.CauseUnhealthy, record.CauseChangedHostKey:
		ok = w.deserves(m, m.serial, f.Cause)
	case record.CauseProviderDeleting, record.CauseProviderTimeout:
		ok = w.removing(m, f.Cause)
	case record.CauseAbandoned:
		ok = slices.ContainsFunc(w.grants, func(g scaler.Grant) bool {
			return g.Kind == scaler.GrantRevoked && g.ID == f.ID && g.Cause == record.CauseAbandoned
		})
	case record.CausePreexisting:
		ok = m.foreign || m.replaces || m.denied || m.late || w.confused || w.forgotten || m.forgot || m.prior == record.Unclaimed || w.anotherStandsIn()
	case record.CauseShutdown:
		ok = w.over > 0 && w.deletes
	case record.CauseOperator:
		ok = w.drained || w.undrained == w.batchNo
	case record.CauseAboveLimit:
		ok = w.reloaded || w.isAbove()
	case record.CauseDoubtful:
		ok = m.silent == m.serial
	}
	if !ok && !again {
		w.fail("reason", "%s is retired as %s, and this is not so (since %v; listed %s; bad word about serial %d: %s, %d failed heartbeats)", f.ID, f.Cause,
			since, m.shown, m.bad.serial, m.bad.cause, m.bad.most)
	}
	return again
}

// judgeRevoked checks that a lease is revoked for a reason that is true in the world.
func (w *world) judgeRevoked(g *scaler.Grant) {
	w.cover.judged[oracleReason]++
	m := w.byID[g.ID]
	if m == nil {
		w.fail("reason", "a lease of %s on %s was revoked, and this machine never existed", g.Key, g.ID)
		return
	}
	ok := true
	switch g.Cause {
	case record.CauseUnhealthy, record.CauseChangedHostKey:
		ok = w.deserves(m, g.Serial, g.Cause)
	case record.CauseProviderDeleting, record.CauseProviderTimeout:
		ok = w.removing(m, g.Cause)
	case record.CauseShutdown:
		ok = w.over > 0
	case record.CauseMissing:
		ok = m.lacked >= w.cfg.MissingLists
	case record.CauseAbandoned: // see judgeAbandoned
	default:
		ok = false
	}
	if !ok {
		w.fail("reason", "the lease of %s on %s is revoked as %s, and this is not so (listed %s; bad word about serial %d: %s)", g.Key, g.ID, g.Cause, m.shown,
			m.bad.serial, m.bad.cause)
	}
}

// removing reports whether the latest list, or the one before its state changed, says that the provider removes m, or gave up on it.
func (w *world) removing(m *machine, why record.Cause) bool {
	if why == record.CauseProviderTimeout {
		return m.shown == fleet.ListedTimeout || m.wasShown == fleet.ListedTimeout
	}
	return m.shown == fleet.ListedDeleting || m.shown == fleet.ListedDeleted || m.wasShown == fleet.ListedDeleting ||
		m.wasShown == fleet.ListedDeleted
}
