package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// The longest pauses that a provider can ask for: between two creates, and between two calls for one instance.
const (
	longestRest         = time.Hour
	longestInstanceRest = 10 * time.Minute
)

// restAfter is the pause after a refused create: at least, and at most (docs/guarantees.md).
func restAfter(k failure.Kind, away bool) (least, most time.Duration) {
	switch {
	case away:
		return time.Second, 15 * time.Second
	case k == failure.Capacity:
		return 5 * time.Second, 5 * time.Minute
	case k == failure.Quota:
		return 10 * time.Second, 10 * time.Minute
	case k == failure.Throttled:
		return 2 * time.Second, time.Minute
	case k == failure.Config:
		return 10 * time.Minute, time.Hour
	}
	return time.Second, time.Minute
}

// paces notes how long an answer forbids another call.
func (w *world) paces(ev *scaler.Event) {
	switch ev.Kind {
	case scaler.EvReload:
		w.restUntil = 0
	case scaler.EvIncreased:
		w.pacesCreate(ev)
	case scaler.EvDeleted:
		w.pacesDelete(ev)
	}
}

func (w *world) pacesCreate(ev *scaler.Event) {
	if !ev.Failure.Failed() {
		w.restUntil = 0
		return
	}
	for i := range w.saved.Intents {
		if w.saved.Intents[i].Op == ev.Op && w.fed == 1 {
			rest, _ := restAfter(ev.Failure.Kind, ev.Away)
			if ev.Failure.Kind == failure.Throttled && ev.Failure.RetryAfter > 0 {
				rest = min(ev.Failure.RetryAfter, longestRest)
			}
			w.restUntil = max(w.restUntil, w.now.Mono+rest)
		}
	}
}

// pacesDelete notes when a delete must be confirmed by a list, and when it must be sent again.
func (w *world) pacesDelete(ev *scaler.Event) {
	m := w.byID[ev.ID]
	if m.serial != ev.Serial || m.deleteOp != ev.Op || m.state != record.Deleting {
		return
	}
	if (!ev.Failure.Failed() || ev.Failure.Kind == failure.NotFound) && m.accepts == 0 {
		m.accepts = w.now.Mono
	}
	again := w.cfg.DeletionRetry
	if w.over > 0 {
		again = max(again, w.cfg.ShutdownDeletionRetry)
	}
	m.again = w.now.Mono + max(again, min(ev.Failure.RetryAfter, longestInstanceRest))
	m.notBefore = w.now.Mono + min(ev.Failure.RetryAfter, longestInstanceRest)
}

// judgeDeletePace checks that a delete is not repeated before its answer, or before the time that the provider asked for.
func (w *world) judgeDeletePace(cmd *scaler.Command) {
	m := w.byID[cmd.ID]
	if m == nil {
		return
	}
	if m.deleteLife == w.life && m.deleteSerial == cmd.Serial && w.lastStep < m.notBefore && w.over == 0 && !m.wasGone {
		w.fail("pace", "the delete of %s is repeated %v before the provider's time", m.id, m.notBefore-w.lastStep)
	}
	if m.deleteSerial != cmd.Serial || m.deleteLife != w.life || m.wasGone {
		m.accepts = 0
	}
	m.deleteOp, m.deleteSerial, m.deleteLife, m.again, m.notBefore, m.wasGone = cmd.Op, cmd.Serial, w.life, 0, 0, false
}

// judgePace checks that a create keeps the pause that an earlier one asked for. An instance that works ends a pause of failed boots, and with it
// a shorter one that began meanwhile.
func (w *world) judgePace(cmd *scaler.Command) {
	if w.lastStep < w.restUntil {
		w.fail("pace", "create %d leaves %v before the end of the pause that an earlier one asked for", cmd.Op, w.restUntil-w.lastStep)
	}
}

// judgeRest checks that a pause is not longer than documented.
func (w *world) judgeRest(f *scaler.Fact) {
	w.cover.judged[oraclePace]++
	most := 10 * time.Minute
	if f.Kind == scaler.FactRefused {
		var least time.Duration
		least, most = restAfter(f.Failure.Kind, f.Cause == record.CausePlugin)
		if f.Failure.Kind == failure.Throttled && f.Failure.RetryAfter > 0 { // the provider knows better than the number of refusals
			most = max(least, min(f.Failure.RetryAfter, longestRest))
		}
	}
	if f.Took > most || f.Took < 0 {
		w.fail("pace", "the pause after %s is %v, and may be %v at most", f.Kind, f.Took, most)
	}
}

// pauses follows the committed end of the back-off, and what is published about other managers.
func (w *world) pauses(b *scaler.Batch) {
	if m := b.Changes.Meta; m != nil && m.BackoffUntil != w.backWall {
		from := w.now.Wall.UnixNano()
		for _, at := range w.walls { // the wall clock may have jumped within this batch
			from = min(from, at)
		}
		w.backWall, w.backUntil = m.BackoffUntil, w.now.Mono+max(time.Duration(m.BackoffUntil-from), 0)
	}
	for i := range b.Facts {
		if b.Facts[i].Kind == scaler.FactForeign {
			w.pausedBy, w.pausedTo = b.Facts[i].On, w.lastStep
		}
		w.turns = w.turns || b.Facts[i].Kind == scaler.FactIntent && b.Facts[i].Cause == record.CauseZombie
	}
}
