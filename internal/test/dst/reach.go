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
	since  time.Duration // when the machine entered the state that it had then
}

// unreach tells the manager that nobody can say how to reach m, and for a while nobody can.
func (w *world) unreach(m *machine) {
	if m.state == record.Ready {
		m.unreached = unreached{m.serial, w.life, w.batchNo, m.stateAt}
	}
	w.later(w.dice.skewed(time.Second, 10*time.Minute), itemHeal, m.no, healReach)
	w.step(scaler.Event{Kind: scaler.EvUnreachable, ID: m.id, Serial: m.serial, On: true, Failure: failure.Failure{Kind: failure.Transient, Message: "planted"}})
}

// reach tells the manager that m can be reached again.
func (w *world) reach(m *machine) {
	m.unreached = unreached{}
	w.step(scaler.Event{Kind: scaler.EvUnreachable, ID: m.id, Serial: m.serial})
}

// judgeReach fails for a lease on a machine that nobody can reach.
func (w *world) judgeReach(m *machine, g *scaler.Grant) {
	if m == nil {
		return
	}
	u := &m.unreached
	if u.serial == g.Serial && u.life == w.life && u.batch < w.batchNo && u.since == m.stateAt && m.state == record.Ready {
		w.fail("9", "%s was leased %s, which nobody can say how to reach", g.Key, g.ID)
	}
}
