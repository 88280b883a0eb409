package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// prepareRetry is how a failed preparation is retried until the deadline.
var prepareRetry = pace{first: time.Second, last: 30 * time.Second}

// running handles a list that says that m runs.
func (c *Core) running(m *machine) {
	switch m.State {
	case record.Creating:
		if !c.must(c.reg.Prepare(m.Instance, c.stamp)) {
			return
		}
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.PreparingDeadline))
		c.prepare(m)
	case record.Preparing:
		if m.op == 0 && m.retry.pos == 0 { // restored: the command of the previous run of the manager is lost
			if m.boot.pos == 0 {
				c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.PreparingDeadline))
			}
			c.prepare(m)
		}
	case record.Ready:
		c.timers.stop(&m.boot)
		c.watchHealth(m)
	case record.Draining:
		c.watchHealth(m) // restored: its callers still hold their leases
	}
}

func (c *Core) prepare(m *machine) {
	m.op = c.nextOp()
	m.tries++
	c.command(Command{Kind: CmdPrepare, Op: m.op, ID: m.ID, Serial: m.Serial, Timeout: max(m.boot.at-c.now.Mono, time.Second)})
}

// current returns the instance that a command's result belongs to, or nil when the result is stale.
func (c *Core) current(ev *Event) *machine {
	i := c.reg.Get(ev.ID)
	if i == nil || i.Serial != ev.Serial {
		return nil
	}
	m := machineOf(i)
	if m.op != ev.Op || m.op == 0 {
		return nil
	}
	m.op = 0
	return m
}

// prepared handles the result of a preparation. A failure that says nothing about the instance is retried until the deadline. After any
// other failure the instance is retired. While the way to the instances fails, the deadline begins again with each failure: the instance had no chance yet,
// and another instance has none either.
func (c *Core) prepared(ev *Event) {
	m := c.current(ev)
	if m == nil || m.State != record.Preparing {
		return
	}
	f := ev.Failure
	told := !ev.On || Milestone(m.tries) // each instance has the same failure
	if told {
		c.note(f)
	}
	switch {
	case !f.Failed():
		c.ready(m)
	case ev.On:
		if told {
			c.fact(Fact{Kind: FactPrepare, ID: m.ID, Failure: f, Count: m.tries})
		}
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.PreparingDeadline))
		c.timers.set(&m.retry, c.now.Mono+prepareRetry.after(m.tries))
	case ev.Away || f.Kind == failure.Transient || f.Kind == failure.Throttled:
		c.fact(Fact{Kind: FactPrepare, ID: m.ID, Failure: f, Count: m.tries})
		c.timers.set(&m.retry, c.now.Mono+c.rest(prepareRetry.after(m.tries), f))
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
	if m.Origin == record.Created {
		c.replacedByUs(m.Created.Mono)
	}
	c.fact(Fact{Kind: FactReady, ID: m.ID, Took: c.now.Mono - m.Created.Mono})
	if c.reg.UsedUp(m.Instance) { // it was lost and returned: its uses still count, so it cannot be leased again
		c.retire(m, record.CauseUsedUp)
		return
	}
	if c.cfg.Heartbeat {
		c.nextBeat(m)
	}
}

// overdue runs when an instance stayed in its state past the deadline.
func (c *Core) overdue(m *machine) {
	if m.State != record.Preparing && c.blind(&m.boot) {
		return
	}
	switch m.State {
	case record.Creating:
		c.fruitless(m, record.CauseBootOverdue)
		c.retire(m, record.CauseBootOverdue)
	case record.Preparing:
		c.fruitless(m, record.CausePrepareOverdue)
		c.retire(m, record.CausePrepareOverdue)
	case record.Ready:
		if m.strayed > 0 {
			c.doing = EvChanged
			c.unhealthy(m, record.CauseUnhealthy, failure.Failure{})
			c.doing = 0
		}
	}
}

// retry runs when something that failed before is tried again.
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
			c.resend(m)
		}
	}
}

// watchHealth arms the next heartbeat of an instance that is, or may be, leased, unless one is armed or under way. If heartbeats are
// switched off, it disarms the next one.
func (c *Core) watchHealth(m *machine) {
	switch {
	case m.State != record.Ready && (m.State != record.Draining || m.Leased() == 0):
	case !c.cfg.Heartbeat:
		c.timers.stop(&m.retry)
	case m.op == 0 && m.retry.pos == 0 && m.ReadyAt.Wall != 0:
		c.nextBeat(m)
	}
}

func (c *Core) sendBeat(m *machine) {
	if m.op == 0 {
		m.op = c.nextOp()
		c.command(Command{Kind: CmdHeartbeat, Op: m.op, ID: m.ID, Serial: m.Serial})
	}
}

// nextBeat arms the next heartbeat. The time is rounded up to a whole second, so that a large fleet wakes the manager at most once a
// second.
func (c *Core) nextBeat(m *machine) {
	at := c.now.Mono + c.cfg.UpdateInterval
	c.timers.set(&m.retry, (at+time.Second-1)/time.Second*time.Second)
}

// beat handles the result of a heartbeat. failure.Unhealthy retires the instance at once, other failures only after Config.FailureThreshold
// consecutive ones. A throttled call or an absent plugin says nothing about the instance and does not count. Nor does a failure while the
// latest list failed: the provider does not answer, whatever it is asked.
func (c *Core) beat(ev *Event) {
	m := c.current(ev)
	if i := c.reg.Get(ev.ID); m == nil && i != nil && i.Serial == ev.Serial && i.State == record.Draining && i.Leased() > 0 {
		m = machineOf(i) // it was retired while the heartbeat was under way, and callers still hold its leases
	}
	if m == nil || m.State != record.Ready && m.State != record.Draining {
		return
	}
	f := ev.Failure
	switch {
	case f.Kind == failure.Unhealthy:
		c.unhealthy(m, record.CauseUnhealthy, f)
		return
	case !f.Failed():
		c.beatFailed(m, 0)
	case !ev.Away && f.Kind != failure.Throttled && c.lists.failed == 0:
		c.beatFailed(m, m.beatFail+1)
		if m.beatFail >= c.patience() {
			c.unhealthy(m, record.CauseUnhealthy, f)
			return
		}
	}
	c.watchHealth(m)
}

// unreachable stops new leases on a ready instance while the provider cannot say how to reach it. Its leases stay.
func (c *Core) unreachable(ev *Event) {
	i := c.reg.Get(ev.ID)
	if i == nil || ev.Serial != i.Serial || i.State != record.Ready || i.Unreachable == ev.On {
		return
	}
	c.reg.SetUnreachable(i, ev.On)
	c.fact(Fact{Kind: FactUnreachable, ID: i.ID, On: ev.On, Failure: ev.Failure})
}

// beatFailed sets m's number of consecutive failed heartbeats.
func (c *Core) beatFailed(m *machine, n int) {
	switch {
	case m.beatFail == 0 && n > 0:
		c.ailing++
	case m.beatFail > 0 && n == 0:
		c.ailing--
	}
	m.beatFail = n
}

// outagePatience is how many times as many heartbeats must fail in a row while most instances fail at the same time: then more likely the
// check is at fault than all of them.
const outagePatience = 4

// patience returns how many consecutive failed heartbeats make an instance unhealthy now.
func (c *Core) patience() int {
	watched := c.reg.Count(record.Ready) + c.reg.Count(record.Draining)
	if watched > 2 && c.ailing*2 > watched {
		return c.cfg.FailureThreshold * outagePatience
	}
	return c.cfg.FailureThreshold
}

// unhealthy retires an instance that must not be used any more and revokes its leases.
func (c *Core) unhealthy(m *machine, why record.Cause, because failure.Failure) {
	if m.State == record.Lost && m.Cause == record.CauseMissing { // if it is listed again, it is retired: see returned
		c.must(c.reg.Blame(m.Instance, why))
	}
	if m.State < record.Creating || m.State > record.Draining {
		return
	}
	c.unfit(m, why)
	c.retireFor(m, why, because) // before the leases end, so that no end of a use records another cause; the last end deletes it
	c.revokeLeases(m, why, because)
}
