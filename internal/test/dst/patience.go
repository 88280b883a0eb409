package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// judgeLost checks that an instance counts as lost only after enough complete lists of this life, over enough time, left it out (ADR 16).
func (w *world) judgeLost(m *machine) {
	if m == nil {
		return
	}
	lists, span := w.cfg.MissingLists, 2*w.cfg.UpdateInterval
	if m.lackedTwice {
		lists, span = 2*lists, 2*span
	}
	if m.lacked < lists || w.lastStep-m.lackedAt < span {
		w.fail("9", "%s is lost after %d lists and %v without it", m.id, m.lacked, w.lastStep-m.lackedAt)
	}
}

// judgeAbandoned checks that a connected caller never counts as gone, and that a disconnected one gets its time to come back.
func (w *world) judgeAbandoned(j *job, g *scaler.Grant) {
	if g.Cause != record.CauseAbandoned {
		return
	}
	switch {
	case j.away == 0:
		w.fail("4", "the lease of %s is revoked as abandoned, but its caller is connected", j.key)
	case w.lastStep-j.away < j.patience && !j.late:
		w.fail("4", "the lease of %s is revoked as abandoned %v after its caller was lost; the caller has %v to come back", j.key, w.lastStep-j.away, j.patience)
	}
}

// judgeOrphan checks that a caller that does not come back in time loses its lease.
func (w *world) judgeOrphan(j *job) {
	if j.away != 0 && w.lastStep-j.away > j.patience+time.Second {
		w.fail("5", "%s was lost %v ago, had %v to come back, and still has its lease", j.key, w.lastStep-j.away, j.patience)
	}
}

// noteAnswer and judgeDoubt check creates whose answer was an error with an unknown outcome: the machines that they may have made remain
// supply until lists rule them out (ADR 4). This is checked if the answer is alone in its batch.
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
		w.fail("2", "the outcome of create %d is unknown, but of the %d instances expected of it only %d still count", w.doubtful, w.doubtOf, open)
	}
}

// judgeSupply computes S of the sizing rule from what is committed and listed. Instances that lists left out may count or not.
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
	w.cover.judged[oracleSizing]++
	if s := w.core.Summary(); s.Supply < least || s.Supply > most {
		w.fail("sizing", "the supply is said to be %d; what is committed and listed gives %d to %d", s.Supply, least, most)
	}
}
