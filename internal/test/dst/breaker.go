package dst

import (
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
