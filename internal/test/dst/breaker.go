package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// breakerRestarted checks that a restart does not close the breaker.
func (w *world) breakerRestarted() {
	if open := w.core.Summary().Breaker; w.openBreaker && !open {
		w.fail("breaker", "the runaway breaker was open, and a restart has closed it")
	} else if open && !w.openBreaker {
		w.openBreaker = true
	}
}

// breakerMoves follows the facts of a committed batch.
func (w *world) breakerMoves(b *scaler.Batch) {
	for i := range b.Facts {
		if f := &b.Facts[i]; f.Kind == scaler.FactBreaker {
			w.openBreaker = f.On
		}
	}
}

// judgeBreaker checks that an open runaway breaker lets only one machine try at a time. It applies if the breaker was open before the batch
// and is open after it. It uses what lists have shown: a machine that a create made while its answer said that it did not is not counted.
func (w *world) judgeBreaker(b *scaler.Batch, cmd *scaler.Command) {
	if !w.openBreaker || w.arrived > 0 {
		return
	}
	for i := range b.Facts {
		if b.Facts[i].Kind == scaler.FactBreaker {
			return
		}
	}
	w.cover.judged[oracleBreaker]++
	if cmd.Count > 1 {
		w.fail("breaker", "%d machines are asked for while the runaway breaker is open", cmd.Count)
	}
	if s := w.core.Summary(); s.Requested > 1 {
		w.fail("breaker", "%d machines are expected while the runaway breaker is open", s.Requested)
	}
	for _, m := range w.machines {
		if m.prior == record.Unclaimed && m.stateAt == w.lastStep { // it was taken in later in this batch
			continue
		}
		if m.shown != fleet.ListedAbsent && (m.state == record.Creating || m.state == record.Preparing) {
			w.fail("breaker", "a machine is asked for while the runaway breaker is open and %s is %s", m.id, m.state)
			return
		}
	}
}

// lastsFor is how long a ready machine must last before its first job is done, or else it is an early failure. Lists must have the time to show its end.
func (w *world) lastsFor() time.Duration { return max(2*time.Minute, 2*w.cfg.UpdateInterval) }

// noteYoung notes that this batch ends the service of a machine which is ready, and which no job has left, within its youth. from is its committed
// record before. A time that was read from a wall clock which has jumped since is not known.
func (w *world) noteYoung(m *machine, from, to *record.Instance) {
	if from.State != record.Ready || to.State != record.Draining && to.State != record.Deleting && to.State != record.Lost ||
		from.Serial != to.Serial || from.Uses != len(from.Leases) || m.readyDrift != w.drift {
		return
	}
	went := w.lastStep
	if to.State == record.Lost {
		went = m.lackedAt
	}
	if went-m.readyAt < w.lastsFor() {
		w.young = append(w.young, m)
	}
}

// judgeYoung checks that the breaker hears of each early failure: of a machine that went bad or vanished young, before a job has left it. What ends its
// service first counts: one that is retired for another reason is no failure any more.
func (w *world) judgeYoung(b *scaler.Batch, f *scaler.Fact) {
	ends := func(o scaler.Fact) bool {
		return o.ID == f.ID && (o.Kind == scaler.FactRetire || o.Kind == scaler.FactLost)
	}
	if at := slices.IndexFunc(b.Facts, ends); at < 0 || &b.Facts[at] != f {
		return
	}
	switch f.Cause {
	case record.CauseMissing, record.CauseProviderDeleting, record.CauseProviderTimeout, record.CauseUnhealthy, record.CauseChangedHostKey:
	default:
		return
	}
	m := w.byID[f.ID]
	if !slices.Contains(w.young, m) || w.replaced || slices.ContainsFunc(b.Grants, func(g scaler.Grant) bool {
		return g.ID == f.ID && (g.Kind == scaler.GrantReleased && w.fed > 1 || g.Kind == scaler.GrantRevoked && g.Cause != f.Cause)
	}) {
		return // or a job left it earlier in this batch
	}
	if f.Kind == scaler.FactRetire && w.lastStep-m.readyAt >= w.lastsFor() {
		return // it was lost too, and lists lacked it when it was young; but it was retired first, and later
	}
	w.cover.judged[oracleYoung]++
	if !tells(b, scaler.FactFruitless, func(o *scaler.Fact) bool { return o.ID == f.ID && o.On }) {
		w.fail("young", "%s went (%s) before a job had left it, %v after it was ready, and it does not count as an early failure", f.ID, f.Cause, w.lastStep-m.readyAt)
	}
}
