package scaler

import (
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// increased handles the provider's answer to a create. Instances that were certainly not created are no supply any more; they still count
// against max_instances until complete lists came without them. Instances that may have been created stay supply until then, so that
// nothing is created twice.
func (c *Core) increased(ev *Event) {
	in := c.reg.Intent(ev.Op)
	if in == nil {
		return
	}
	w := in.Attached.(*intent)
	accepted := min(max(ev.Count, 0), in.Asked)
	failed := ev.Failure
	if !failed.Failed() && accepted < in.Asked {
		failed = failure.Failure{Kind: failure.Capacity, Message: "the provider accepted less than was asked for and did not say why"}
	}
	if !failed.Failed() {
		c.relief(&c.reg.Meta.Refusals, record.CauseBackoff, record.CausePlugin, record.CauseQuota, record.CauseStockOut, record.CauseThrottledAPI,
			record.CauseConfig)
	}
	sure := failed.Kind != failure.Transient || accepted == in.Asked
	if sure {
		c.reg.Answered(in)
	}
	short := in.Asked - accepted
	if short > 0 || w.confirm { // what the answer is about may appear from now on, whatever earlier lists lacked
		w.confirm, w.since, w.seen = true, max(w.since, c.now.Mono), 0
	}
	if short > 0 {
		if n := min(short, in.Open); sure {
			c.must(c.reg.Shift(in, -n, n, 0))
		} else {
			in.Unsure = n
		}
	}
	if failed.Failed() {
		if accepted > 0 { // a create that brought something ends the run of failures: this is the first one again
			c.reg.Meta.Refusals = 0
		}
		c.refused(ev.Op, failed, ev.Away)
	}
	if in.Left() == 0 {
		c.close(in)
	}
}

// confirmIntents counts one complete list, requested at since, for every create in doubt. After enough lists without the missing instances
// the doubt ends.
func (c *Core) confirmIntents(since time.Duration) {
	for n := len(c.reg.Intents()) - 1; n >= 0; n-- {
		in := c.reg.Intents()[n]
		w := in.Attached.(*intent)
		if !w.confirm || since < w.since {
			continue
		}
		if w.seen++; w.seen < c.cfg.MissingLists {
			continue
		}
		w.confirm = false
		unsure := in.Unsure
		c.must(c.reg.Shift(in, -unsure, -in.Doubt, unsure+in.Doubt))
		in.Unsure = 0
		c.reg.Answered(in)
		if in.Faded > 0 { // else all of it appeared before lists could rule it out
			c.fact(Fact{Kind: FactIntent, Op: in.Op, Count: in.Faded, Cause: record.CauseMissing})
		}
		if in.Open == 0 {
			c.timers.set(&w.timer, c.now.Mono+c.cfg.ForgetAfter)
		}
	}
}

// intentOverdue runs when an accepted create has shown nothing in time, or when a create that was given up on is forgotten.
func (c *Core) intentOverdue(w *intent) {
	if w.Open == 0 {
		if w.Doubt > 0 || !w.Answered && !w.restored { // lists failed, so the instances cannot be ruled out yet; or a failure may still be answered
			c.timers.set(&w.timer, c.now.Mono+c.cfg.ForgetAfter)
			return
		}
		c.reg.CloseIntent(w.Intent)
		return
	}
	if c.blind(&w.timer) {
		return
	}
	n, accepted := w.Open, w.Answered
	c.must(c.reg.Shift(w.Intent, -n, n, 0))
	c.reg.Answered(w.Intent)
	w.confirm, w.since, w.seen, w.late = true, max(w.since, c.now.Mono), 0, true
	c.fact(Fact{Kind: FactIntent, Op: w.Op, Count: n, Cause: record.CauseBootOverdue, On: accepted})
	c.failedBoot(Fact{Cause: record.CauseBootOverdue, Op: w.Op, On: accepted}, w.asked, &c.reg.Meta.Fruitless)
	c.timers.set(&w.timer, c.now.Mono+c.cfg.ForgetAfter)
}

// confused notes that an instance was counted for the create in, although an overdue create may have brought it at last. Then what is missing
// is an instance of in, which has its own time to appear. So lists rule it out only after that time. This happens once: else a create that
// never brings anything would take a place for as long as other creates succeed.
func (c *Core) confused(in *fleet.Intent) {
	for _, other := range c.reg.Intents() {
		w := other.Attached.(*intent)
		if other != in && other.Doubt > 0 && w.late {
			w.late, w.since, w.seen = false, c.now.Mono+c.bootDeadline(c.cfg.RequestedDeadline), 0
		}
	}
}

// dropSpent drops the restored creates that have brought all they can bring. They waited for an answer, which nobody will hear any more.
func (c *Core) dropSpent() {
	for _, in := range slices.Clone(c.reg.Intents()) {
		if in.Left() == 0 {
			c.reg.CloseIntent(in)
		}
	}
}

// close ends an intent whose instances have all appeared.
func (c *Core) close(in *fleet.Intent) {
	c.timers.stop(&in.Attached.(*intent).timer)
	if c.batchCreate == in {
		return // its command is not dispatched yet
	}
	c.reg.CloseIntent(in)
}
