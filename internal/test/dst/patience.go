package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// judgeLost: an instance is given up only when enough complete lists of this life, over enough time, lacked it (ADR 16).
func (w *world) judgeLost(m *machine) {
	if m == nil {
		return
	}
	if m.lacked < w.cfg.MissingLists || w.lastStep-m.lackedAt < 2*w.cfg.UpdateInterval {
		w.fail("9", "%s is lost after %d lists and %v without it", m.id, m.lacked, w.lastStep-m.lackedAt)
	}
}

// judgeAbandoned: a caller that is there is never called gone, and one that is away has its time to come back.
func (w *world) judgeAbandoned(j *job, g *scaler.Grant) {
	if g.Cause != record.CauseAbandoned {
		return
	}
	switch {
	case j.away == 0:
		w.fail("4", "the lease of %s is revoked as abandoned, and its caller is there", j.key)
	case w.lastStep-j.away < j.patience && !j.late:
		w.fail("4", "the lease of %s is revoked as abandoned %v after its caller went, which has %v", j.key, w.lastStep-j.away, j.patience)
	}
}

// judgeOrphan: a caller that does not come back in time loses its lease.
func (w *world) judgeOrphan(j *job) {
	if j.away != 0 && w.lastStep-j.away > j.patience+time.Second {
		w.fail("5", "%s went %v ago, had %v to come back, and still has its lease", j.key, w.lastStep-j.away, j.patience)
	}
}

// noteAnswer and judgeDoubt: what a create may have made, though its answer was an error of which nobody knows the outcome, stays supply until
// lists rule it out (ADR 4). Judged where the answer is alone in its batch.
func (w *world) noteAnswer(ev *scaler.Event) {
	w.doubtful = 0
	if ev.Failure.Kind != failure.Transient {
		return
	}
	for i := range w.saved.Intents {
		if in := &w.saved.Intents[i]; in.Op == ev.Op && ev.Count < in.Asked {
			w.doubtful, w.doubtOf = ev.Op, in.Open
		}
	}
}

func (w *world) judgeDoubt() {
	if w.doubtful == 0 || w.fed != 1 {
		return
	}
	open := 0
	for i := range w.saved.Intents {
		if w.saved.Intents[i].Op == w.doubtful {
			open = w.saved.Intents[i].Open
		}
	}
	if open != w.doubtOf {
		w.fail("2", "nobody knows what became of create %d, and of the %d that were expected of it %d still are", w.doubtful, w.doubtOf, open)
	}
}

// judgeSupply is the sizing rule's S, from what is committed and listed: instances that lists lack may count or not.
func (w *world) judgeSupply() {
	if w.fed != 1 {
		return
	}
	per := w.cfg.Capacity
	if w.cfg.MaxUses > 0 {
		per = min(per, w.cfg.MaxUses)
	}
	least, most := 0, 0
	for i := range w.saved.Instances {
		rec := &w.saved.Instances[i]
		free := w.cfg.Capacity - len(rec.Leases)
		if w.cfg.MaxUses > 0 {
			free = min(free, w.cfg.MaxUses-rec.Uses)
		}
		free = max(free, 0)
		m := w.byID[rec.ID]
		least, most = least+len(rec.Leases), most+len(rec.Leases)
		switch {
		case rec.State == record.Ready && m.shown == fleet.ListedRunning:
			least, most = least+free, most+free
		case m.shown == fleet.ListedAbsent && rec.State >= record.Creating && rec.State <= record.Ready:
			most += free
		case rec.State == record.Creating || rec.State == record.Preparing:
			least, most = least+free, most+free
		}
	}
	for i := range w.saved.Intents {
		open := w.saved.Intents[i].Open * per
		least, most = least+open, most+open
	}
	if s := w.core.Summary(); s.Supply < least || s.Supply > most {
		w.fail("sizing", "the supply is said to be %d; what is committed and listed gives %d to %d", s.Supply, least, most)
	}
}
