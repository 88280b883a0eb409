package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// restartGrace is the least time from the first complete list of a life to the end of a deadline that ran while the manager was stopped.
// See Core.grace.
const restartGrace = 2 * time.Minute

// grace returns how long what was restored has at least, once the first list is there. It is at least as long as two lists take.
func (c *Core) grace() time.Duration { return max(restartGrace, 2*c.cfg.UpdateInterval) }

// startClocks judges what was restored, and sets its deadlines, when the first complete list of a life is processed. Before that list
// nobody knows what happened while the manager was stopped: an instance may have booted, and a create may have brought its instances. So
// no deadline ends before the list, or sooner after it than grace. What has a deadline already got it from the list itself.
func (c *Core) startClocks() {
	c.reg.Each(func(i *fleet.Instance) bool {
		m := machineOf(i)
		switch i.State {
		case record.Creating:
			c.resumeClock(&m.boot, i.Since.Mono, c.bootDeadline(c.cfg.CreatingDeadline))
		case record.Preparing: // the preparation begins again
			c.resumeClock(&m.boot, c.now.Mono, c.bootDeadline(c.cfg.PreparingDeadline))
		case record.Gone, record.Lost:
			c.resumeClock(&m.boot, i.Since.Mono, c.cfg.ForgetAfter)
		case record.Ready:
			if i.Leased() == 0 && c.reg.UsedUp(i) { // max_use_count was lowered while the manager was stopped
				c.retire(m, record.CauseUsedUp)
			}
		case record.Unclaimed:
			c.settleUnclaimed(m)
		}
		return true
	})
	for _, in := range c.reg.Intents() {
		w := in.Attached.(*intent)
		switch {
		case !w.restored:
		case in.Open > 0:
			c.resumeClock(&w.timer, fleet.Past(in.At, c.stamp).Mono, c.bootDeadline(c.cfg.RequestedDeadline))
		default:
			c.resumeClock(&w.timer, c.now.Mono, c.cfg.ForgetAfter)
		}
	}
}

// resumeClock arms t for the end of a deadline d that began at since, unless it is armed.
func (c *Core) resumeClock(t *timer, since, d time.Duration) {
	if t.pos == 0 {
		c.timers.set(t, max(since+d, c.now.Mono+min(c.grace(), d)))
	}
}
