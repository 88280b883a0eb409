package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
)

// machine is what the core keeps about one instance, beside the register.
type machine struct {
	*fleet.Instance
	boot  timer // the deadline of its state; for a remembered one, when it is forgotten
	retry timer // the next try of the current operation

	op       uint64 // number of the current command; 0: none
	tries    int    // tries of the current operation
	beatFail int    // consecutive failed heartbeats
	accepted bool   // the provider accepted the delete, at acceptedAt
	gaveUp   bool   // the shutdown stopped sending deletes
	alarmed  bool
	strayed  time.Duration // since when a ready instance is listed as not running; 0: it is running

	absentAt   time.Duration // since when lists lack it
	absentSeq  int           // complete lists so far at that time
	absentMul  int           // 2 when a suspiciously short list was the first to lack it; else 1
	absentPos  int           // 1 + index in lists.absent; 0: it is not absent
	acceptedAt time.Duration
}

// intent is what the core keeps about one unfinished create, beside the register.
type intent struct {
	*fleet.Intent
	timer    timer
	confirm  bool          // complete lists requested after since count towards giving up on Unsure and Doubt
	since    time.Duration // when the doubt began, or begins
	seen     int           // number of such lists
	restored bool          // from before a restart: no answer will come
	reused   bool          // part of Doubt may be an instance that we deleted, because it had an earlier name
	asked    time.Duration // when it was asked for; after a restart, when it was restored
	late     bool          // the provider accepted Doubt, as far as we know, and no other create was confused with this one yet
}

func machineOf(i *fleet.Instance) *machine { return i.Attached.(*machine) }

// newMachine gives i new, empty bookkeeping.
func (c *Core) newMachine(i *fleet.Instance) *machine {
	m := &machine{Instance: i}
	m.boot = timer{kind: timerBoot, of: m}
	m.retry = timer{kind: timerRetry, of: m}
	i.Attached = m
	return m
}

func (c *Core) newIntent(in *fleet.Intent) *intent {
	w := &intent{Intent: in, asked: c.now.Mono}
	w.timer = timer{kind: timerIntent, of: w}
	in.Attached = w
	return w
}

// stop disarms the timers of m and drops its command: a result that arrives later is stale.
func (c *Core) stop(m *machine) {
	c.timers.stop(&m.boot)
	c.timers.stop(&m.retry)
	m.op, m.tries = 0, 0
	c.beatFailed(m, 0)
}

// remember keeps a gone or lost instance in the register for a while, because it may be listed again.
func (c *Core) remember(m *machine) {
	c.stop(m)
	c.lists.found(m)
	m.boot.kind = timerForget
	c.timers.set(&m.boot, c.now.Mono+c.cfg.ForgetAfter)
}

// forget runs when an instance has been remembered long enough.
func (c *Core) forget(m *machine) {
	c.must(c.reg.Forget(m.Instance))
}
