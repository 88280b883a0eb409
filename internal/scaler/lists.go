package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// lists is what the core knows about the provider's lists.
type lists struct {
	started bool // a complete list was seen since the manager started
	seq     int  // number of complete lists so far
	failed  int  // consecutive failed lists
	away    bool // the latest of them failed because the plugin is away
	present int  // instances in the latest list
	missed  int  // how many of them the list that is being reported lacks
	absent  []*machine
}

// miss records that the list lacks m.
func (l *lists) miss(m *machine, now time.Duration) {
	if m.absentPos == 0 {
		l.absent = append(l.absent, m)
		m.absentPos = len(l.absent)
		m.absentAt, m.absentSeq, m.absentMul = now, l.seq, 1
	}
}

// found undoes miss.
func (l *lists) found(m *machine) {
	if m.absentPos == 0 {
		return
	}
	last := l.absent[len(l.absent)-1]
	l.absent[m.absentPos-1], last.absentPos = last, m.absentPos
	l.absent = l.absent[:len(l.absent)-1]
	m.absentPos = 0
}

// listed handles what a list says of one instance, known or unknown.
func (c *Core) listed(ev *Event) {
	if ev.Kind == EvAppeared {
		c.lists.present++
	}
	i := c.reg.Get(ev.ID)
	if i == nil {
		c.stranger(ev)
		return
	}
	m := machineOf(i)
	was := i.Listed
	back := m.absentPos > 0
	c.lists.found(m)
	if back && i.State == record.Deleting || i.State == record.Gone {
		c.cameBack(i.ID)
	}
	c.reg.SetListed(i, ev.Listed)
	switch {
	case ev.Listed == fleet.ListedDeleted && (i.State == record.Gone || i.State == record.Lost):
		return // we know already that it is gone
	case ev.Listed == fleet.ListedDeleted && i.State == record.Deleting && m.accepted:
		c.gone(m)
		return
	case i.State == record.Deleting && c.relisted(m, ev, back):
		return
	case i.State == record.Gone:
		c.risen(m, ev)
		return
	case i.State == record.Lost:
		if in := c.expected(); in != nil && !m.DeleteAsked {
			if ev.Listed == fleet.ListedCreating && m.ReadyAt.Wall != 0 {
				c.stop(m)
				c.namesake(ev, in, c.outlasted(m))
				return
			}
			c.unexpect(in) // this may be its instance, under the name of a lost one
		}
		c.returned(m)
	}
	if back && was != ev.Listed && c.lists.started && m.State != record.Lost {
		c.fact(Fact{Kind: FactReturned, ID: i.ID})
	}
	c.follow(m)
}

// follow moves m to the state that matches the list.
func (c *Core) follow(m *machine) {
	if m.State < record.Creating || m.State > record.Draining {
		return
	}
	if c.deleting && m.Leased() == 0 {
		c.retire(m, record.CauseShutdown)
		return
	}
	switch m.Listed {
	case fleet.ListedRunning:
		m.strayed = 0
		c.running(m)
	case fleet.ListedDeleting, fleet.ListedDeleted:
		lost := m.State != record.Draining
		c.condemn(m, record.CauseProviderDeleting)
		if lost {
			c.owe(m)
		}
	case fleet.ListedTimeout:
		c.condemn(m, record.CauseProviderTimeout)
	case fleet.ListedCreating, fleet.ListedSuspended:
		c.notRunning(m)
	}
}

// notRunning handles an instance that was running and is now listed as not running. Its leases stay, it gets no new one, and it has as long
// as a boot to run again.
func (c *Core) notRunning(m *machine) {
	switch m.State {
	case record.Preparing:
		c.stop(m)
		c.must(c.reg.Unprepare(m.Instance, c.stamp))
		c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
	case record.Ready:
		if m.strayed == 0 {
			m.strayed = max(c.now.Mono, 1)
			c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
		}
	}
}

// condemn retires m and revokes its leases, because the provider is removing it.
func (c *Core) condemn(m *machine, why record.Cause) {
	c.unfit(m, why)
	c.retire(m, why)
	c.revokeLeases(m, why, failure.Failure{})
}

// returned handles a lost instance that is listed again. If a delete was sent, it is deleted again. If it was retired when it vanished, it
// is retired again: the reason (a changed host key, say) still holds. Otherwise it returns to service.
func (c *Core) returned(m *machine) {
	c.stop(m)
	m.boot.kind = timerBoot
	if m.DeleteAsked {
		c.redelete(m, record.CauseZombie)
		return
	}
	c.cameBack(m.ID)
	why := m.Cause
	if !c.must(c.reg.Return(m.Instance, c.stamp)) {
		return
	}
	c.fact(Fact{Kind: FactReturned, ID: m.ID})
	if why != record.CauseMissing {
		c.retire(m, why)
		return
	}
	c.timers.set(&m.boot, c.now.Mono+c.bootDeadline(c.cfg.CreatingDeadline))
}

// missing records that the list that is being reported lacks an instance that the previous list had.
func (c *Core) missing(id record.ID) {
	c.lists.present = max(c.lists.present-1, 0)
	i := c.reg.Get(id)
	if i == nil {
		c.unlisted()
		return
	}
	c.reg.SetListed(i, fleet.ListedAbsent)
	m := machineOf(i)
	if i.State == record.Gone || i.State == record.Lost {
		m.absentSeq = c.lists.seq
		return
	}
	c.lists.missed++
	c.lists.miss(m, c.now.Mono)
}

// listDone draws the conclusions from a complete list: which instances are gone for good, and which creates failed.
func (c *Core) listDone(ev *Event) {
	l := &c.lists
	if c.short() {
		for _, m := range l.absent {
			if m.absentSeq == l.seq {
				m.absentMul = 2
			}
		}
	}
	if l.failed > 0 {
		c.fact(Fact{Kind: FactListed, Count: l.failed})
	}
	l.seq++
	l.missed, l.failed, l.away = 0, 0, false
	first := !l.started
	l.started = true
	c.confirmAll(ev.Since, true)
	c.confirmAll(ev.Since, false)
	c.confirmIntents(ev.Since)
	if first {
		c.startClocks()
	}
	c.countUnclaimed()
}

// short reports whether the list lost more than half of more than four instances. Such a list is more likely wrong than true.
func (c *Core) short() bool {
	l := &c.lists
	lost, before := l.missed, l.present+l.missed
	if !l.started {
		lost = len(l.absent)
		before = lost + l.present
	}
	return before > 4 && lost*2 > before
}

// confirmAll judges the absent instances: those that are being deleted, or all others. Deletes come first: a loss may end a pause of deletes,
// and none must be sent again for an instance that this list shows to be gone.
func (c *Core) confirmAll(since time.Duration, deleting bool) {
	l := &c.lists
	for n := len(l.absent) - 1; n >= 0; n-- {
		if n < len(l.absent) && (l.absent[n].State == record.Deleting) == deleting {
			c.confirm(l.absent[n], since)
		}
	}
}

// confirm judges one absent instance after a complete list that was requested at since.
func (c *Core) confirm(m *machine, since time.Duration) {
	away := c.lists.seq - m.absentSeq
	if m.State == record.Deleting && m.accepted && since >= m.acceptedAt {
		c.gone(m)
		return
	}
	if away >= c.cfg.MissingLists && !m.Suspect {
		c.reg.SetSuspect(m.Instance)
	}
	if away < c.cfg.MissingLists*m.absentMul || c.now.Mono-m.absentAt < 2*c.cfg.UpdateInterval*time.Duration(m.absentMul) {
		return
	}
	switch m.State {
	case record.Deleting:
		c.gone(m)
	case record.Unclaimed:
		c.lists.found(m)
		c.stop(m)
		c.must(c.reg.Forget(m.Instance))
	default:
		c.lose(m)
	}
}

// lose gives up on an instance that vanished although we did not delete it. Its leases are revoked first.
func (c *Core) lose(m *machine) {
	c.unfit(m, record.CauseMissing)
	c.revokeLeases(m, record.CauseMissing, failure.Failure{})
	if m.State == record.Deleting { // it was draining, and its last lease just ended: it is being deleted
		return
	}
	c.dropClaims(m)
	if c.must(c.reg.Lose(m.Instance, record.CauseMissing, c.stamp)) {
		c.fact(Fact{Kind: FactLost, ID: m.ID, Cause: record.CauseMissing, Took: c.now.Mono - m.Created.Mono})
		c.remember(m)
		m.absentSeq = c.lists.seq
		c.owe(m)
	}
}

// FailingLists is how many lists in a row must fail before waiters are told so. A single failure is no news.
const FailingLists = 3

// listFailed counts a failed list. It publishes the first failure, and then only some of them: lists are frequent.
func (c *Core) listFailed(ev *Event) {
	c.lists.failed++
	c.lists.away = ev.Away
	if Milestone(c.lists.failed) {
		c.fact(Fact{Kind: FactListFailed, Failure: ev.Failure, Count: c.lists.failed})
	}
}

// Milestone reports whether the n-th failure in a row is worth telling: the 1st, the 10th, the 100th, and so on.
func Milestone(n int) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// failing reports whether lists fail, so that a booting instance cannot be seen.
func (l *lists) failing() bool { return l.failed >= FailingLists }

// why returns what waits for the next complete list wait for.
func (l *lists) why() record.Cause {
	if l.failed > 0 && !l.away {
		return record.CauseLists
	}
	return record.CausePlugin
}

// blind postpones the deadline t if the latest list failed: what the provider has is not known then, so nothing is late.
func (c *Core) blind(t *timer) bool {
	if c.lists.failed == 0 {
		return false
	}
	c.timers.set(t, c.now.Mono+c.cfg.UpdateInterval)
	return true
}
