package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// foreignWindow and foreignLimit: so many ids that nobody asked for in that time mean a second manager.
const (
	foreignWindow = 10 * time.Minute
	foreignLimit  = 3
)

// lists is what the core knows about the provider's lists.
type lists struct {
	started bool // a complete list was seen in this life of the manager
	seq     int  // complete lists so far
	failed  int  // lists that failed in a row
	present int  // instances in the latest list
	missed  int  // of them, missed by the list that is being reported
	absent  []*machine
}

// miss notes that the list lacks m.
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

// listed takes what a list says of one instance, known or not.
func (c *Core) listed(ev *Event) {
	if ev.Kind == EvAppeared {
		c.lists.present++
	}
	i := c.reg.Get(ev.ID)
	if i == nil {
		c.stranger(ev)
		return
	}
	m := own(i)
	was := i.Listed
	back := m.absentPos > 0
	c.lists.found(m)
	c.reg.SetListed(i, ev.Listed)
	switch {
	case ev.Listed == fleet.ListedDeleted && (i.State == record.Gone || i.State == record.Lost):
		return // the list still shows what is known to be gone
	case ev.Listed == fleet.ListedDeleted && i.State == record.Deleting && m.accepted:
		c.gone(m)
		return
	case i.State == record.Gone:
		c.risen(m, ev)
		return
	case i.State == record.Lost:
		c.returned(m)
	}
	if back && was != ev.Listed && c.lists.started && m.State != record.Lost {
		c.fact(Fact{Kind: FactReturned, ID: i.ID})
	}
	c.follow(m)
}

// follow moves m to where the list says it is.
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
		if m.State != record.Draining {
			c.repairs++
		}
		c.condemn(m, record.CauseProviderDeleting)
	case fleet.ListedTimeout:
		c.condemn(m, record.CauseProviderTimeout)
	case fleet.ListedCreating, fleet.ListedSuspended:
		c.notRunning(m)
	}
}

// notRunning handles a machine that ran and now does not, by the list's word: its leases stand, it gets no new one, and it has a boot's
// time to come back.
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

// condemn retires m although it may have leases: the provider is taking it away.
func (c *Core) condemn(m *machine, why record.Cause) {
	c.unfit(m, why)
	c.retire(m, why)
	c.revokeLeases(m, why)
}

// risen handles an instance that was gone and is listed again. Where a create is open that may explain it and the id has been away for a
// while, it is a new machine of the same name (a fixed list of hosts); else it is the old one, and deleted again.
func (c *Core) risen(m *machine, ev *Event) {
	if in := c.explain(); in != nil && in.Open > 0 && c.lists.seq-m.absentSeq >= c.cfg.MissingLists {
		c.stop(m)
		c.stranger(ev)
		return
	}
	c.stop(m)
	m.boot.kind = timerBoot
	c.fact(Fact{Kind: FactReturned, ID: m.ID, Cause: record.CauseZombie})
	c.redelete(m, record.CauseZombie)
}

// returned handles a lost instance that is listed again: it is un-lost, unless a delete was sent. One that had been retired when it went has to
// go all the same: what it was retired for (another host key, say) has not passed.
func (c *Core) returned(m *machine) {
	c.stop(m)
	m.boot.kind = timerBoot
	if m.DeleteAsked {
		c.redelete(m, record.CauseZombie)
		return
	}
	c.repairs = max(c.repairs-1, 0)
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

// missing notes that the list that is being reported lacks an instance which the one before had.
func (c *Core) missing(id record.ID) {
	c.lists.present = max(c.lists.present-1, 0)
	i := c.reg.Get(id)
	if i == nil {
		return
	}
	c.reg.SetListed(i, fleet.ListedAbsent)
	m := own(i)
	if i.State == record.Gone || i.State == record.Lost {
		m.absentSeq = c.lists.seq
		return
	}
	c.lists.missed++
	c.lists.miss(m, c.now.Mono)
}

// listDone judges what a complete list leaves: who is missing for good, which creates came to nothing.
func (c *Core) listDone(ev *Event) {
	l := &c.lists
	if c.short() {
		for _, m := range l.absent {
			if m.absentSeq == l.seq {
				m.absentMul = 2
			}
		}
	}
	l.seq++
	l.missed, l.failed = 0, 0
	l.started = true
	for n := len(l.absent) - 1; n >= 0; n-- {
		if n < len(l.absent) {
			c.confirm(l.absent[n], ev.Since)
		}
	}
	c.confirmIntents(ev.Since)
}

// short reports whether the list lost more than half of more than four instances: rather a bad list than a bad day.
func (c *Core) short() bool {
	l := &c.lists
	lost, before := l.missed, l.present+l.missed
	if !l.started {
		lost = len(l.absent)
		before = lost + l.present
	}
	return before > 4 && lost*2 > before
}

// confirm judges one absent machine after a complete list that was asked for at since.
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

// lose gives up on a machine that is gone without our asking: its leases are revoked first.
func (c *Core) lose(m *machine) {
	c.unfit(m, record.CauseMissing)
	c.revokeLeases(m, record.CauseMissing)
	if m.State == record.Deleting { // its last lease ended while it was draining: it goes that way
		return
	}
	c.dropClaims(m)
	if c.must(c.reg.Lose(m.Instance, record.CauseMissing, c.stamp)) {
		c.repairs++
		c.fact(Fact{Kind: FactLost, ID: m.ID, Cause: record.CauseMissing, Took: c.now.Mono - m.Created.Mono})
		c.remember(m)
		m.absentSeq = c.lists.seq
	}
}

func (c *Core) listFailed(ev *Event) {
	c.lists.failed++
	c.fact(Fact{Kind: FactListFailed, Failure: ev.Failure, Count: c.lists.failed})
}
