package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// prepareRetry is how a failed preparation is tried again, until the deadline.
var prepareRetry = pace{first: time.Second, last: 30 * time.Second}

// running: the list says that m runs.
func (c *Core) running(m *machine) {
	switch m.State {
	case record.Creating:
		if !c.must(c.reg.Prepare(m.Instance, c.stamp)) {
			return
		}
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.PreparingDeadline))
		c.prepare(m)
	case record.Preparing:
		if m.op == 0 && m.retry.pos == 0 { // restored: the command of the last life is forgotten
			c.prepare(m)
		}
	case record.Ready:
		c.timers.stop(&m.boot)
		if c.cfg.Heartbeat && m.op == 0 && m.retry.pos == 0 {
			c.nextBeat(m)
		}
	}
}

func (c *Core) prepare(m *machine) {
	m.op = c.nextOp()
	m.tries++
	c.command(Command{Kind: CmdPrepare, Op: m.op, ID: m.ID, Serial: m.Serial, Timeout: max(m.boot.at-c.now.Mono, time.Second)})
}

// current returns the machine that a result is for, or nil when the result is stale.
func (c *Core) current(ev *Event) *machine {
	i := c.reg.Get(ev.ID)
	if i == nil || i.Serial != ev.Serial {
		return nil
	}
	m := own(i)
	if m.op != ev.Op || m.op == 0 {
		return nil
	}
	m.op = 0
	return m
}

// prepared takes the outcome of a preparation. A failure that says nothing about the machine is tried again until the deadline; any other
// means that this machine will not do.
func (c *Core) prepared(ev *Event) {
	m := c.current(ev)
	if m == nil || m.State != record.Preparing {
		return
	}
	f := ev.Failure
	switch {
	case !f.Failed():
		c.ready(m)
	case ev.Away || f.Kind == failure.Transient || f.Kind == failure.Throttled:
		c.fact(Fact{Kind: FactPrepare, ID: m.ID, Failure: f, Count: m.tries})
		c.timers.set(&m.retry, c.now.Mono+max(prepareRetry.after(m.tries), f.RetryAfter))
	default:
		c.fact(Fact{Kind: FactPrepare, ID: m.ID, Failure: f, Count: m.tries})
		c.fruitless(m, record.CausePrepareFailed)
		c.retire(m, record.CausePrepareFailed)
	}
}

func (c *Core) ready(m *machine) {
	c.stop(m)
	if !c.must(c.reg.Ready(m.Instance, c.stamp)) {
		return
	}
	c.booted(m)
	c.fact(Fact{Kind: FactReady, ID: m.ID, Took: c.now.Mono - m.Created.Mono})
	if c.reg.UsedUp(m.Instance) { // it was lost and came back: its uses stay counted, and nobody can have it
		c.retire(m, record.CauseUsedUp)
		return
	}
	if c.cfg.Heartbeat {
		c.nextBeat(m)
	}
}

// overdue is due when a machine has been in its state for too long.
func (c *Core) overdue(m *machine) {
	switch m.State {
	case record.Creating:
		c.fruitless(m, record.CauseBootOverdue)
		c.retire(m, record.CauseBootOverdue)
	case record.Preparing:
		c.fruitless(m, record.CausePrepareOverdue)
		c.retire(m, record.CausePrepareOverdue)
	case record.Ready:
		if m.strayed > 0 {
			c.unhealthy(m, record.CauseUnhealthy)
		}
	}
}

// retry is due for what failed before.
func (c *Core) retry(m *machine) {
	switch m.State {
	case record.Preparing:
		if m.op == 0 {
			c.prepare(m)
		}
	case record.Ready:
		c.sendBeat(m)
	case record.Draining:
		if m.Leased() == 0 {
			c.startDelete(m)
		} else {
			c.sendBeat(m)
		}
	case record.Deleting:
		if m.op == 0 {
			c.sendDelete(m)
		}
	}
}

func (c *Core) sendBeat(m *machine) {
	if m.op == 0 {
		m.op = c.nextOp()
		c.command(Command{Kind: CmdHeartbeat, Op: m.op, ID: m.ID, Serial: m.Serial})
	}
}

// nextBeat arms the next heartbeat, rounded up to whole seconds so that a large fleet wakes the manager once a second and not once an instance.
func (c *Core) nextBeat(m *machine) {
	at := c.now.Mono + c.cfg.UpdateInterval
	c.timers.set(&m.retry, (at+time.Second-1)/time.Second*time.Second)
}

// beat takes the outcome of a heartbeat. Only the provider's word that it is unhealthy counts at once; other failures count in a row, and
// the plugin's absence not at all.
func (c *Core) beat(ev *Event) {
	m := c.current(ev)
	if m == nil || m.State != record.Ready && m.State != record.Draining {
		return
	}
	f := ev.Failure
	switch {
	case f.Kind == failure.Unhealthy:
		c.unhealthy(m, record.CauseUnhealthy)
		return
	case !f.Failed():
		m.beatFail = 0
	case !ev.Away && f.Kind != failure.Throttled:
		if m.beatFail++; m.beatFail >= c.cfg.FailureThreshold {
			c.unhealthy(m, record.CauseUnhealthy)
			return
		}
	}
	c.nextBeat(m)
}

// unhealthy ends the leases of a machine that must not be used any more, first, and retires it.
func (c *Core) unhealthy(m *machine, why record.Cause) {
	if m.State < record.Creating || m.State > record.Draining {
		return
	}
	c.unfit(m, why)
	c.retire(m, why) // first, so that the end of its last use does not name another cause; it is deleted when the last lease has ended
	c.revokeLeases(m, why)
}
