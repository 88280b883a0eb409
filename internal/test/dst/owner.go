package dst

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// owners is what the oracles remember about whose a machine is.
type owners struct {
	losses    []time.Duration // when machines of ours went without our doing, oldest first; those that were made good are left out
	lifeStart time.Duration   // when this life of the manager began
	lossDrift time.Duration   // sum of all jumps of the wall clock at the latest of them
	answered1 bool            // the answer to a create is part of this batch
	creates0  []record.Intent // the committed creates before this batch
}

// repairWindow is how long after a loss another machine can be taken in for it.
const repairWindow = 10 * time.Minute

// judgeFinal checks that no lease starts on a machine whose delete was committed, whatever later lists show.
func (w *world) judgeFinal(m *machine, g *scaler.Grant) {
	if m != nil && m.final && !w.endedBehind(g) {
		w.fail("final", "%s was leased %s, although its delete was sent", g.Key, g.ID)
	}
}

// judgeDeletes checks that a machine is deleted only after it was retired, or because it was deleted before. While the group is paused, because another
// manager seems to work on it, no delete of a machine of that one begins, unless it came in place of one that we asked for. Only a shutdown that deletes
// does not wait.
func (w *world) judgeDeletes(b *scaler.Batch, paused bool) {
	for i := range b.Commands {
		cmd := &b.Commands[i]
		m := w.byID[cmd.ID]
		if cmd.Kind != scaler.CmdDelete || m == nil {
			continue
		}
		if m.retired != cmd.Serial {
			w.fail("final", "%s is to be deleted, but it was not retired", cmd.ID)
		}
		rec := w.recordOf(cmd.ID)
		if paused && m.foreign && !m.final && !(w.over > 0 && w.deletes) && rec != nil && rec.Origin != record.Created {
			w.fail("owner", "%s is another manager's, and it is deleted while the group is paused for that", cmd.ID)
		}
		m.final = true
		w.cover.judged[oracleFinal]++
	}
}

// owes follows the losses of our machines that are published.
func (w *world) owes(f *scaler.Fact) {
	switch {
	case f.Kind == scaler.FactLost, f.Kind == scaler.FactRetire && f.Cause == record.CauseProviderDeleting, w.wentBefore(f):
		w.losses, w.lossDrift = append(w.losses, w.lastStep), w.drift
	case f.Kind == scaler.FactAdopt && f.Cause == record.CauseMissing:
		w.judgeAdopted(f)
	}
}

// wentBefore reports whether lists lacked a machine before its delete began: it went without our doing. It says so once for each life of a machine. A delete
// that is confirmed in the batch that decided on it is not published, so the retirement counts too.
func (w *world) wentBefore(f *scaler.Fact) bool {
	m := w.byID[f.ID]
	begins := f.Kind == scaler.FactRetire || f.Kind == scaler.FactDelete && f.Count == 1
	if !begins || f.Cause == record.CausePreexisting || f.Cause == record.CauseProviderDeleting || m == nil || m.missed == 0 {
		return false
	}
	rec := w.recordOf(f.ID)
	if rec == nil || m.went == rec.Serial {
		return false
	}
	m.went = rec.Serial
	return true
}

// judgeAdopted checks that a machine that nobody asked for is taken in only for a loss that is real and recent. Each loss explains one.
func (w *world) judgeAdopted(f *scaler.Fact) {
	w.cover.judged[oracleOwner]++
	at := slices.IndexFunc(w.losses, func(t time.Duration) bool { return w.lastStep-t <= repairWindow })
	// After a jump, a restart may read a younger age from the wall clock. And it cannot know each loss that was made good before it.
	if restarted := w.life > 1 && w.lastStep-w.lifeStart <= repairWindow; at < 0 && w.drift == w.lossDrift && !restarted {
		w.fail("owner", "%s is taken in for a lost machine, but none was lost in the last %v", f.ID, repairWindow)
	}
	if at >= 0 {
		w.losses = slices.Delete(w.losses, at, at+1)
	}
}

// judgeExplained checks that the oldest create explains a machine that appeared: one that still expects machines comes before one in doubt, and
// that before one that was given up. It looks at the first machine of a batch in which nothing else changed creates.
func (w *world) judgeExplained(b *scaler.Batch) {
	first := -1
	for i := range b.Facts {
		switch f := &b.Facts[i]; {
		case f.Kind == scaler.FactIntent || f.Kind == scaler.FactCreate:
			return
		case f.Kind == scaler.FactAppeared && first < 0:
			first = i
		}
	}
	if first < 0 || w.answered1 {
		return
	}
	w.cover.judged[oracleOwner]++
	want := uint64(0)
	for _, left := range []func(*record.Intent) int{
		func(r *record.Intent) int { return r.Open },
		func(r *record.Intent) int { return r.Doubt },
		func(r *record.Intent) int { return r.Faded },
	} {
		if n := slices.IndexFunc(w.creates0, func(r record.Intent) bool { return left(&r) > 0 }); n >= 0 {
			want = w.creates0[n].Op
			if w.creates0[n].Open+w.creates0[n].Doubt == 0 && slices.Contains(b.Changes.DropIntents, want) {
				return // it may have been forgotten before the machine appeared
			}
			break
		}
	}
	if f := &b.Facts[first]; f.Op != want {
		w.fail("owner", "%s is explained by create %d; the oldest that expects a machine is %d (%+v)", f.ID, f.Op, want, w.creates0)
	}
}

// judgeAdmitted checks that a reservation fits into what can exist: with the leases and waiters that there are, and the provider's limit.
func (w *world) judgeAdmitted(g *scaler.Grant) {
	limit := maxInstances(&w.cfg)
	if g.Kind != scaler.GrantReserved || w.fed != 1 || limit == 0 || w.cfg.Schedule.At(w.now.Wall).Settings.Preemptive {
		return
	}
	w.cover.judged[oracleAdmission]++
	taken := w.waiters()
	for i := range w.saved.Instances {
		taken += len(w.saved.Instances[i].Leases)
	}
	for _, no := range w.live {
		if j := &w.jobs[no]; j.state == jobReserved && j.key != g.Key && w.lastStep < j.promised {
			taken++
		}
	}
	if taken >= limit*w.cfg.Capacity {
		w.fail("admission", "%s has a reservation, and %d slots of %d are taken or promised", g.Key, taken, limit*w.cfg.Capacity)
	}
}
