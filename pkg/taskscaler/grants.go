package taskscaler

import (
	"context"
	"errors"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// errTakenOver ends a *Lease when another caller reattaches its key.
var errTakenOver = errors.New("another caller reattached the lease under the same key")

// answer passes a grant to its caller. The batch of the grant is committed, so a crash cannot undo it.
func (l *loop) answer(g *scaler.Grant, b *scaler.Batch) {
	if g.Kind == scaler.GrantRevoked {
		l.endLease(g.Key, &RevokedError{Key: string(g.Key), Instance: string(g.ID), Cause: g.Cause, Sentence: revocation(g, b)})
		return
	}
	a := answer{kind: g.Kind, cause: g.Cause, waited: g.Waited}
	w := l.waiters.take(g.Ticket)
	if w != nil && !w.claim() {
		w = nil
		if l.giveBack(g) {
			return
		}
	}
	switch g.Kind {
	case scaler.GrantLease, scaler.GrantReattached:
		a.lease = newLease(l.t, g)
		if old := l.leases[g.Key]; old != nil {
			old.end(errTakenOver)
		}
		l.leases[g.Key] = a.lease
	case scaler.GrantReleased:
		l.endLease(g.Key, context.Canceled)
	}
	if w == nil {
		return
	}
	if g.Kind == scaler.GrantDenied {
		l.explain(w, g, &a)
	}
	w.send(a)
}

// revocation says why a lease was revoked. It includes the message of the failure if the batch has one for this lease.
func revocation(g *scaler.Grant, b *scaler.Batch) string {
	for i := range b.Facts {
		if f := &b.Facts[i]; f.Kind == scaler.FactRevoke && f.Key == g.Key && f.ID == g.ID {
			return observe.Revoked(f)
		}
	}
	return observe.Revoke(g.Cause)
}

// explain adds the details that a denied caller needs: the counts for a Reserve, and the reason for waiting for a wait that ended.
func (l *loop) explain(w *waiter, g *scaler.Grant, a *answer) {
	if w.kind == scaler.EvReserve {
		c := l.core.Summary()
		a.counts = &NoCapacityError{Key: string(g.Key), Cause: g.Cause, Sentence: observe.Denial(g.Cause), Idle: c.OpenSlots, Acquired: c.Leases, Unavailable: c.Draining + c.Deleting,
			Unhealthy: c.Unclaimed, Unready: c.Creating + c.Preparing + c.Requested}
	}
	if g.Cause == record.CauseDeadline || g.Cause == record.CauseCancelled {
		if a.why = l.core.Summary().WaitCause; a.why == record.CauseNone { // it was the last waiter, so the reason is in the summary before
			a.why = l.before.WaitCause
		}
		a.latest = l.behind(a.why)
		if a.waited == 0 {
			a.waited = l.last - w.since
		}
	}
}

// behind returns the words of the failure that a wait for cause follows from; "" if there is none, or its words are not known.
func (l *loop) behind(cause record.Cause) string {
	switch cause {
	case record.CauseBackoff, record.CauseBreaker, record.CauseQuota, record.CauseStockOut, record.CauseConfig, record.CauseThrottledAPI:
		return l.core.Summary().Latest
	case record.CauseBoot:
		return l.t.failing.ofBoot()
	case record.CauseLists:
		if u := l.t.health.lists.Load(); u != nil {
			return u.told
		}
	case record.CauseStore:
		return l.t.health.storeWords()
	case record.CausePlugin:
		if away := l.t.health.away.Load(); away != nil {
			return (*away).Error()
		}
	}
	return ""
}

// giveBack undoes a grant whose caller no longer waits. It reports whether everything is then as before the call.
func (l *loop) giveBack(g *scaler.Grant) bool {
	switch g.Kind {
	case scaler.GrantLease:
		l.t.inbox.put(&scaler.Event{Kind: scaler.EvRelease, Key: g.Key, Serial: g.Serial, Op: uint64(g.Use)}, l.t.spare.get(scaler.EvRelease, g.Key))
	case scaler.GrantReserved:
		l.t.inbox.put(&scaler.Event{Kind: scaler.EvUnreserve, Key: g.Key}, nil)
	case scaler.GrantReattached: // its job may be running: the lease keeps the caller that it had
		l.detachAgain(g.Key)
		return true
	}
	return false
}

// detachAgain undoes a Reattach. If the lease has no caller, one has time again to reattach.
func (l *loop) detachAgain(key record.Key) {
	ev := scaler.Event{Kind: scaler.EvDetach, Key: key}
	switch lease := l.leases[key]; {
	case lease == nil: // there was no caller since the start of the manager
		ev.Deadline = l.t.clock.Mono() + l.t.config().ReattachAfterRestart
	case !lease.detached:
		return
	}
	l.t.inbox.put(&ev, nil)
}

func (l *loop) endLease(key record.Key, cause error) {
	if lease := l.leases[key]; lease != nil {
		delete(l.leases, key)
		lease.end(cause)
	}
}

// settleMoved ends the *Lease that a Replace released. If the core refused the Replace at once, the lease stays.
func (l *loop) settleMoved(lease *Lease, b *scaler.Batch) {
	for i := range b.Grants {
		g := &b.Grants[i]
		if g.Key != lease.key {
			continue
		}
		// Refused: the lease stays. Revoked before: it ends when that is answered, with the cause.
		if g.Kind == scaler.GrantDenied && l.holds(lease) || g.Kind == scaler.GrantRevoked && g.Serial == lease.serial {
			return
		}
	}
	if l.leases[lease.key] == lease {
		l.endLease(lease.key, context.Canceled)
	}
}

// holds reports whether the core still has the lease.
func (l *loop) holds(lease *Lease) bool {
	id, slot, ok := l.core.Lease(lease.key)
	return ok && id == lease.id && slot == lease.slot
}
