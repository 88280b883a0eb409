package dst

import (
	"math"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// judgeCreate checks a committed create against invariants 2, 6 and, for its intent, 5.
func (w *world) judgeCreate(cmd *scaler.Command) {
	w.moved = w.now.Mono
	found := false
	for i := range w.saved.Intents {
		found = found || w.saved.Intents[i].Op == cmd.Op && w.saved.Intents[i].Asked >= cmd.Count
	}
	if !found {
		w.fail("5", "create %d of %d leaves without a committed intent", cmd.Op, cmd.Count)
	}
	if !w.first {
		w.fail("9", "create %d of %d before the first list", cmd.Op, cmd.Count)
	}
	w.judgeRoom(cmd.Count)
	w.judgeThrottle(cmd.Count)
}

// judgeRoom checks invariant 2: the provider's machines and the requested ones fit into max_instances. A machine that three lists left out,
// or one with an accepted delete that a list left out, may count as gone. Another manager's machine counts once it is listed.
func (w *world) judgeRoom(n int) {
	if w.limit == math.MaxInt {
		return
	}
	s := w.core.Summary()
	books := s.Creating + s.Preparing + s.Ready + s.Draining + s.Deleting + s.Unclaimed + s.Requested + s.Doubt
	if books > w.limit+w.arrived {
		w.fail("2", "a create of %d makes %d in the books, max_instances %d", n, books, w.limit)
	}
	truth := n
	for _, m := range w.machines {
		if m.exists(w.now.Mono) && w.counts2(m) {
			truth++
		}
	}
	if truth > w.limit+w.arrived {
		w.fail("2", "a create of %d makes %d machines at the provider, max_instances %d", n, truth, w.limit)
	}
}

func (w *world) counts2(m *machine) bool {
	switch {
	case m.shown == fleet.ListedDeleted || (m.foreign || m.replaces) && w.standsIn(m):
		return false
	case m.shown != fleet.ListedAbsent:
		return true
	case m.late || m.foreign || m.replaces || w.confused || w.forgotten:
		return false
	}
	return m.missed < w.cfg.MissingLists && !(m.accepted && m.missed > 0)
}

// standsIn reports whether the manager took m, which it did not ask for, for an instance of its create. Nothing tells them apart. So one that the
// create did make counts as asked for by nobody, until a list shows it.
func (w *world) standsIn(m *machine) bool {
	rec := w.recordOf(m.id)
	return rec != nil && rec.Origin == record.Created
}

// anotherStandsIn reports whether a machine that the group started by itself was taken for one of a create. Then the manager knows nothing of the one that the
// create did make, and after a restart it takes it for one that was there before.
func (w *world) anotherStandsIn() bool {
	return slices.ContainsFunc(w.machines, func(m *machine) bool { return m.replaces && w.standsIn(m) })
}

// inForce is the current throttle, with its defaults.
func (w *world) inForce() throttled {
	t := w.cfg.Throttle
	if p := w.cfg.Schedule.At(w.now.Wall).Settings.Throttle; p != nil {
		t = *p
	}
	out := throttled{from: w.now.Mono, limit: t.Limit, burst: float64(t.Burst)}
	switch {
	case t.Limit < 0:
		out.limit = math.Inf(1)
	case t.Limit == 0:
		out.limit = 100
	}
	if out.burst <= 0 {
		out.burst = float64(w.cfg.MaxInstances)
	}
	if out.burst <= 0 {
		out.burst = math.Ceil(out.limit)
	}
	out.burst = max(out.burst, 1)
	return out
}

// throttleChanged notes the current throttle if it has changed.
func (w *world) throttleChanged() {
	t := w.inForce()
	if n := len(w.throttles); n > 0 && w.throttles[n-1].limit == t.limit && w.throttles[n-1].burst == t.burst {
		return
	}
	w.throttles = append(w.throttles, t)
	w.limitedAt = w.now.Mono
}

// wallJumped notes a jump of the wall clock. The time between two lives is read from the wall clock. So a jump between the last create and
// a restart looks like time in which tokens were added, at most one full bucket (ADR 22).
func (w *world) wallJumped(by time.Duration) { w.drift += by }

func (w *world) throttleRestarted() {
	w.throttleChanged()
	w.limitedAt = w.now.Mono
	if jump := w.drift - w.spentDrift; jump > 0 && len(w.creates) > 0 {
		t := w.throttles[len(w.throttles)-1]
		w.minted = append(w.minted, creation{w.now.Mono, min(t.burst, t.limit*jump.Seconds())})
	}
}

// judgeThrottle checks invariant 6: in any window t there are at most burst + limit × t creates, with the largest values in force in the
// window, across restarts. The time of a create is the time of its decision: a failing commit delays it (ADR 21) while the bucket fills.
func (w *world) judgeThrottle(n int) {
	now := w.lastStep
	w.creates = append(w.creates, creation{now, float64(n)})
	w.spentDrift = w.drift
	seg, mint := len(w.throttles)-1, len(w.minted)-1
	limit, burst := w.throttles[seg].limit, w.throttles[seg].burst
	sum, extra := 0.0, 0.0
	for i := len(w.creates) - 1; i >= 0 && !math.IsInf(limit, 1); i-- {
		c := w.creates[i]
		sum += c.n
		for ; seg > 0 && w.throttles[seg].from >= c.at; seg-- {
			limit, burst = max(limit, w.throttles[seg-1].limit), max(burst, w.throttles[seg-1].burst)
		}
		for ; mint >= 0 && w.minted[mint].at >= c.at; mint-- {
			extra += w.minted[mint].n
		}
		span := (now - c.at).Seconds()
		if sum > burst+limit*span+extra+0.01 {
			w.fail("6", "%v creates in %.2f s, limit %v a second, burst %v", sum, span, limit, burst)
			return
		}
		if len(w.creates)-i > 60 {
			return
		}
	}
}

// judgeDelete checks invariant 3, and that the record says that a delete was asked for before the delete is sent.
func (w *world) judgeDelete(cmd *scaler.Command) {
	w.moved = w.now.Mono
	m, rec := w.byID[cmd.ID], w.recordOf(cmd.ID)
	switch {
	case m == nil || rec == nil:
		w.fail("5", "%s is to be deleted, but has no committed record", cmd.ID)
		return
	case m.held > 0:
		w.fail("3", "%s is to be deleted while %s was told that it holds a slot of it", cmd.ID, w.holderOf(m))
	case len(rec.Leases) > 0:
		w.fail("3", "%s is to be deleted with a committed lease of %s", cmd.ID, rec.Leases[0].Key)
	case !rec.DeleteAsked || rec.State != record.Deleting || rec.Serial != cmd.Serial:
		w.fail("5", "%s is to be deleted, and its committed record is %s (delete asked: %v)", cmd.ID, rec.State, rec.DeleteAsked)
	}
	m.deletedSerial = m.serial
}

func (w *world) holderOf(m *machine) record.Key {
	for _, no := range m.slots {
		if no != 0 {
			return w.jobs[no-1].key
		}
	}
	return ""
}

// judgeFact checks that an instance with an unknown state is never called idle.
func (w *world) judgeFact(f *scaler.Fact) {
	w.cover.fact(f)
	if f.Kind == scaler.FactLost {
		w.judgeLost(w.byID[f.ID])
	}
	if f.Kind == scaler.FactRefused || f.Kind == scaler.FactFruitless {
		w.judgeRest(f)
	}
	if f.Kind != scaler.FactRetire || w.judgeRetired(f) || f.Cause != record.CauseIdle {
		return
	}
	m := w.byID[f.ID]
	switch {
	case m.shown != fleet.ListedRunning && m.ran != w.batchNo:
		w.fail("9", "%s is retired as idle, and the last list does not show it running but %s", f.ID, m.shown)
	case m.held > 0:
		w.fail("9", "%s is retired as idle while %s was told that it holds a slot of it", f.ID, w.holderOf(m))
	case w.lastStep-m.idleAt < min(w.idleTime, w.cfg.Schedule.At(w.now.Wall).Settings.IdleTime) && m.idleDrift == w.drift && m.prepared:
		w.fail("7", "%s is retired as idle after %v", f.ID, w.lastStep-m.idleAt)
	}
}
