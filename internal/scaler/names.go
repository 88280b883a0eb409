package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// turn is how long a create waits for names that are being deleted, and a delete for a create that has not shown its instance, once we know
// that the provider uses names again. takeTurn is how often a waiting delete looks whether it may go.
const (
	turn     = time.Minute
	takeTurn = 2 * time.Second
)

// names is what the core knows about names that the provider uses again.
type names struct {
	again time.Duration // when a name was used again while we could not tell the new instance from the old one; 0: never
	clear int           // the number of complete lists after which no list can show a deleted instance any more
	held  time.Duration // since when needed creates wait for names; 0: none waits
}

// expected returns the oldest create that still expects an instance, or nil.
func (c *Core) expected() *fleet.Intent {
	if in := c.explain(); in != nil && in.Open > 0 {
		return in
	}
	return nil
}

// isAnother reports whether an instance that a list shows under the name of m, which was deleted, counts as another one. A list may be
// late, and one list may be incomplete, so the list that confirmed the delete proves nothing. But what three more lists lacked is gone, and an
// instance that was ready does not boot again.
func (c *Core) isAnother(m *machine, l fleet.Listed) bool {
	return c.outlasted(m) || l == fleet.ListedCreating && m.ReadyAt.Wall != 0
}

// outlasted reports whether enough lists lacked m, since it was gone or lost, that no list can mean it any more.
func (c *Core) outlasted(m *machine) bool { return c.lists.seq-m.absentSeq >= c.cfg.MissingLists }

// namesake takes in another instance under the name of an earlier one, as an instance of in. If only its state says that it is another one
// (not sure), a list from before the earlier one was ready would say the same. Then in may still bring its instance under another name, so
// that one counts until lists rule it out.
func (c *Core) namesake(ev *Event, in *fleet.Intent, sure bool) {
	if sure {
		c.stranger(ev)
		return
	}
	c.unexpect(in)
	if m := c.enter(ev, record.Creating, record.Created, in.Op); m != nil {
		c.follow(m)
	}
}

// risen handles an instance that was gone and is listed again. It is a new instance under the same name if a create expects one and the
// list cannot mean the old one. Otherwise it is deleted again, because a delete is final. If a create expects an instance, this may have
// been the one: then the create counts as having brought nothing, and another follows.
func (c *Core) risen(m *machine, ev *Event) {
	in := c.expected()
	c.stop(m)
	if in != nil && c.isAnother(m, ev.Listed) {
		if c.takeTurns() {
			c.names.again = c.now.Mono
		}
		c.namesake(ev, in, c.outlasted(m))
		return
	}
	m.boot.kind = timerBoot
	c.fact(Fact{Kind: FactReturned, ID: m.ID, Cause: record.CauseZombie})
	c.redelete(m, record.CauseZombie)
	if in != nil {
		c.mistaken(in)
	}
}

// relisted handles an instance that is being deleted and is listed in another state, or again (back). It reports whether it is another
// instance under the same name.
func (c *Core) relisted(m *machine, ev *Event, back bool) bool {
	in := c.expected()
	switch {
	case in == nil || !m.accepted:
	case ev.Listed == fleet.ListedCreating && m.ReadyAt.Wall != 0:
		c.gone(m)
		c.stop(m) // it is not remembered: its name is taken
		c.namesake(ev, in, false)
		return true
	case back && (ev.Listed == fleet.ListedRunning || ev.Listed == fleet.ListedCreating):
		m.accepted = false
		if m.op == 0 {
			c.sendDelete(m)
		}
		c.mistaken(in)
	}
	return false
}

// resend repeats a delete. If the provider accepted it before, lists the name as if nothing had happened, and owes an instance to a create
// for some time, the name may belong to this instance by now.
func (c *Core) resend(m *machine) {
	if m.accepted && (m.Listed == fleet.ListedRunning || m.Listed == fleet.ListedCreating) {
		in := c.expected()
		if in != nil && in.Answered && c.now.Mono-in.Attached.(*intent).asked >= turn/2 {
			c.mistaken(in)
		}
	}
	c.sendDelete(m)
}

// mistaken counts one instance of in as not created: what we delete may be this instance. It may still appear, so lists must rule it out.
// From now on creates and deletes take turns.
func (c *Core) mistaken(in *fleet.Intent) {
	c.names.again = max(c.now.Mono, 1)
	in.Attached.(*intent).reused = true
	c.unexpect(in)
}

// unexpect moves one instance of in from expected to doubtful.
func (c *Core) unexpect(in *fleet.Intent) {
	w := in.Attached.(*intent)
	w.confirm, w.since, w.seen = true, max(w.since, c.now.Mono), 0
	c.must(c.reg.Shift(in, -1, 1, 0))
	c.fact(Fact{Kind: FactIntent, Op: in.Op, Count: 1, Cause: record.CauseZombie})
}

// notMistaken ends the turns: an instance appeared that a create had lost to an earlier name, so the name was not used again.
func (c *Core) notMistaken(in *fleet.Intent) {
	if w := in.Attached.(*intent); w.reused {
		w.reused = false
		c.names.again = 0
	}
}

// takeTurns reports whether the provider uses names again at once, as far as we know. Then a create must not be under way together with a
// delete, because its instance could get the name while lists cannot tell the two apart.
func (c *Core) takeTurns() bool {
	return c.names.again > 0 && c.now.Mono < c.names.again+c.cfg.ForgetAfter
}

// namesBusy reports whether creates wait until no list can show a deleted instance any more.
func (c *Core) namesBusy() bool {
	n := &c.names
	return c.takeTurns() && (n.held == 0 || c.now.Mono < n.held+turn) && (c.reg.Count(record.Deleting) > 0 || c.lists.seq < n.clear)
}

// noteHeld notes since when creates wait for names; why is what holds needed creates back.
func (c *Core) noteHeld(why record.Cause) {
	switch {
	case why != record.CauseConfirming:
		c.names.held = 0
	case c.names.held == 0:
		c.names.held = max(c.now.Mono, 1)
	}
}

// waitsForTurn reports whether the delete of m waits, because creates wait for names or have not shown their instances.
func (c *Core) waitsForTurn(m *machine) bool {
	if !c.takeTurns() || c.closed() || c.now.Mono >= m.Since.Mono+turn {
		return false
	}
	if c.names.held > 0 && c.namesBusy() {
		return true
	}
	for _, in := range c.reg.Intents() {
		if in.Open > 0 && c.now.Mono < in.Attached.(*intent).asked+turn {
			return true
		}
	}
	return false
}
