package scaler

import (
	"cmp"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// retire stops new leases on m, and deletes it when its last lease ends.
func (c *Core) retire(m *machine, why record.Cause) { c.retireFor(m, why, failure.Failure{}) }

// retireFor retires m like retire. because is the failure behind it, as it was reported.
func (c *Core) retireFor(m *machine, why record.Cause, because failure.Failure) {
	switch m.State {
	case record.Creating, record.Preparing, record.Ready, record.Unclaimed:
	default:
		return
	}
	c.dropClaims(m)
	beatFail := m.beatFail
	c.stop(m)
	if !c.must(c.reg.Drain(m.Instance, why, c.stamp)) {
		return
	}
	f := Fact{Kind: FactRetire, ID: m.ID, Cause: why, Count: m.Leased(), Failure: because}
	if why == record.CauseIdle {
		f.Decision = c.decision
		f.Took = c.now.Mono - m.IdleAt.Mono
		f.Peak, f.Left = c.window.max(), c.supply()
	}
	c.fact(f)
	if m.Leased() == 0 {
		c.startDelete(m)
		return
	}
	c.beatFailed(m, beatFail)
	c.watchHealth(m) // it still matters to the callers that hold a lease
}

// dropClaims takes their slot on m from reservations. The reservations stay valid; their callers wait like others when they acquire.
func (c *Core) dropClaims(m *machine) {
	if m.Claims() > 0 {
		c.reg.UnclaimAll(m.Instance)
	}
}

// startDelete records the delete and sends it. While another manager seems to be at work, only what is certainly ours is deleted.
func (c *Core) startDelete(m *machine) {
	if c.heldBack(m) {
		return
	}
	c.stop(m)
	if c.waitsForTurn(m) {
		c.timers.set(&m.retry, c.now.Mono+takeTurn)
		return
	}
	if c.must(c.reg.Delete(m.Instance, record.CauseNone, c.stamp)) {
		c.sendDelete(m)
		if m.absentPos > 0 && m.Cause != record.CausePreexisting && m.Cause != record.CauseProviderDeleting { // that is owed already
			c.owe(m) // it went before we asked for it
		}
	}
}

// redelete deletes an instance that is listed again after a delete was sent.
func (c *Core) redelete(m *machine, why record.Cause) {
	if c.must(c.reg.Delete(m.Instance, why, c.stamp)) {
		m.alarmed, m.gaveUp, m.accepted = false, false, false
		c.sendDelete(m)
	}
}

func (c *Core) sendDelete(m *machine) {
	if c.heldBack(m) {
		c.timers.set(&m.retry, c.now.Mono+c.cfg.DeletionRetry)
		return
	}
	m.op = c.nextOp()
	m.tries++
	c.command(Command{Kind: CmdDelete, Op: m.op, ID: m.ID, Serial: m.Serial})
	c.fact(Fact{Kind: FactDelete, ID: m.ID, Cause: m.Cause, Count: m.tries})
	if !m.alarmed && m.tries > 1 && c.now.Mono-m.Since.Mono >= c.cfg.DeletingAlarm { // the first request of a life may still help
		m.alarmed = true
		c.fact(Fact{Kind: FactAlarm, ID: m.ID, On: m.accepted, Count: m.tries, Took: c.now.Mono - m.Since.Mono})
	}
}

// deleted handles the answer to a delete. The delete is repeated until the provider no longer lists the instance; only a shutdown gives up.
func (c *Core) deleted(ev *Event) {
	m := c.current(ev)
	if m == nil || m.State != record.Deleting {
		return
	}
	ok := !ev.Failure.Failed() || ev.Failure.Kind == failure.NotFound
	if ok && !m.accepted {
		m.accepted, m.acceptedAt = true, c.now.Mono
	}
	again := c.cfg.DeletionRetry
	if c.shutdown {
		again = c.cfg.ShutdownDeletionRetry
		if ev.Away && m.tries > 0 { // the provider was not asked, so this try does not count
			m.tries--
		}
		m.gaveUp = !ok && !ev.Away && m.tries >= c.cfg.ShutdownDeletionRetries // an accepted delete only takes its time
	}
	if ev.Away {
		again = min(again, 5*time.Second) // the plugin will be back; the provider was not called
	}
	if ok && m.Listed == fleet.ListedDeleted {
		c.gone(m)
		return
	}
	c.timers.set(&m.retry, c.now.Mono+c.rest(again, ev.Failure))
}

// gone records that the delete is confirmed. The instance is remembered for a while, because a list may be out of date.
func (c *Core) gone(m *machine) {
	if c.must(c.reg.Finish(m.Instance, c.stamp)) {
		c.withdraw(m)
		c.fact(Fact{Kind: FactGone, ID: m.ID, Cause: m.Cause, Took: c.now.Mono - m.Created.Mono})
		c.remember(m)
		m.absentSeq = c.lists.seq
		c.names.clear = c.lists.seq + c.cfg.MissingLists
	}
}

// withdraw takes back the delete of m that this batch decided on. Its command is not dispatched yet, m is gone, and by the time of the call its
// name may belong to another instance.
func (c *Core) withdraw(m *machine) {
	b := &c.batch
	at, ok := slices.BinarySearchFunc(b.Commands, m.op, func(cmd Command, op uint64) int { return cmp.Compare(cmd.Op, op) })
	if m.op == 0 || !ok {
		return
	}
	b.Commands = slices.Delete(b.Commands, at, at+1)
	if c.batchCreateAt > at {
		c.batchCreateAt--
	}
	b.Facts = slices.DeleteFunc(b.Facts, func(f Fact) bool { return f.Kind == FactDelete && f.ID == m.ID })
}
