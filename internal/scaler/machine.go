package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// machine is the core's own bookkeeping of one instance.
type machine struct {
	*fleet.Instance
	boot  timer // the deadline of its state; for a remembered one, when it is forgotten
	retry timer // the next try of what is under way

	op       uint64 // number of the command under way; 0: none
	tries    int    // of what is under way
	beatFail int    // heartbeats failed in a row
	accepted bool   // the delete was accepted at acceptedAt
	gaveUp   bool   // a shutdown has stopped asking
	alarmed  bool
	strayed  time.Duration // since when a ready one is listed as not running; 0: it is not

	absentAt   time.Duration // since when the list misses it
	absentSeq  int           // complete lists there were then
	absentMul  int           // 2 when a suspiciously short list missed it
	absentPos  int           // 1 + index in lists.absent; 0: not missed
	acceptedAt time.Duration
}

// intent is the core's own bookkeeping of one unfinished create.
type intent struct {
	*fleet.Intent
	timer    timer
	confirm  bool          // complete lists asked for after since count towards giving up on Unsure and Doubt
	since    time.Duration // when the doubt began
	seen     int           // such lists
	restored bool          // from an earlier life of the manager: no answer will come
	asked    time.Duration // when it was asked for; for a restored one, when it was restored
}

func own(i *fleet.Instance) *machine { return i.Owner.(*machine) }

// own gives i its bookkeeping, afresh.
func (c *Core) own(i *fleet.Instance) *machine {
	m := &machine{Instance: i}
	m.boot = timer{kind: timerBoot, owner: m}
	m.retry = timer{kind: timerRetry, owner: m}
	i.Owner = m
	return m
}

func (c *Core) ownIntent(in *fleet.Intent) *intent {
	w := &intent{Intent: in, asked: c.now.Mono}
	w.timer = timer{kind: timerIntent, owner: w}
	in.Owner = w
	return w
}

// stop disarms everything of m and forgets its command: a result that still comes is stale.
func (c *Core) stop(m *machine) {
	c.timers.stop(&m.boot)
	c.timers.stop(&m.retry)
	m.op, m.tries, m.beatFail = 0, 0, 0
}

// remember keeps a gone or lost machine in the books for a while, because it may come back.
func (c *Core) remember(m *machine) {
	c.stop(m)
	c.lists.found(m)
	m.boot.kind = timerForget
	c.timers.set(&m.boot, c.now.Mono+c.cfg.ForgetAfter)
}

// forget is due for a machine that has been remembered long enough.
func (c *Core) forget(m *machine) {
	if m.State == record.Lost && !m.DeleteAsked && c.repairs > 0 {
		c.repairs--
	}
	c.must(c.reg.Forget(m.Instance))
}
