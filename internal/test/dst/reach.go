package dst

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// unreached is a time in which the provider cannot say how to reach a ready machine. It ends when the provider can, when the machine is prepared
// again, and with the life of the manager.
type unreached struct {
	serial uint64 // 0: it can be reached
	life   uint32
	batch  uint64        // the batch in which the manager was told
	vague  bool          // it was not ready by its committed record: it may have become ready in the batch of that word
	since  time.Duration // when the machine entered the state that it had then
}

// unreach tells the manager that nobody can say how to reach m, and for a while nobody can.
func (w *world) unreach(m *machine) {
	m.unreached = unreached{serial: m.serial, life: w.life, batch: w.batchNo, vague: m.state != record.Ready, since: m.stateAt}
	span := w.dice.skewed(time.Second, 10*time.Minute)
	if w.dice.below(3) == 0 { // lists lose it too: it is prepared again when they show it, and nobody takes that word back
		m.hidden, span = w.now.Mono+time.Duration(w.cfg.MissingLists)*w.cfg.UpdateInterval+w.dice.span(0, 5*time.Minute), 24*time.Hour
	}
	w.later(span, itemHeal, m.no, healReach)
	w.step(scaler.Event{Kind: scaler.EvUnreachable, ID: m.id, Serial: m.serial, On: true, Failure: failure.Failure{Kind: failure.Transient, Message: "planted"}})
}

// reach tells the manager that m can be reached again.
func (w *world) reach(m *machine) {
	m.unreached = unreached{}
	w.step(scaler.Event{Kind: scaler.EvUnreachable, ID: m.id, Serial: m.serial})
}

// unreachable reports whether the manager was told, about this machine in this state, that nobody can say how to reach it.
func (w *world) unreachable(m *machine) bool {
	u := &m.unreached
	return u.serial == m.serial && u.life == w.life && !u.vague && u.since == m.stateAt && m.state == record.Ready
}

// judgeReach fails for a lease on a machine that nobody can reach.
func (w *world) judgeReach(m *machine, g *scaler.Grant) {
	if m == nil {
		return
	}
	if m.serial == g.Serial && m.unreached.batch < w.batchNo && w.unreachable(m) {
		w.fail("9", "%s was leased %s, which nobody can say how to reach", g.Key, g.ID)
	}
}
