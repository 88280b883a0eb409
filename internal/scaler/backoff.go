package scaler

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// maxBackoff bounds every back-off, so that a stored one from a broken clock cannot stop a group for ever.
const maxBackoff = time.Hour

// backoff is why and until when nothing is created.
type backoff struct {
	until time.Duration
	cause record.Cause
}

// pace is how a kind of failure is answered: the first delay, doubled with each failure in a row up to the last.
type pace struct {
	first, last time.Duration
	cause       record.Cause
}

// paceOf says how long to leave the provider alone. A wrong configuration is tried again too, slowly: it may be mended on the provider's
// side, of which nobody tells us.
func paceOf(k failure.Kind, away bool) pace {
	switch {
	case away:
		return pace{time.Second, 15 * time.Second, record.CausePlugin}
	case k == failure.Capacity:
		return pace{5 * time.Second, 5 * time.Minute, record.CauseStockOut}
	case k == failure.Quota:
		return pace{10 * time.Second, 10 * time.Minute, record.CauseQuota}
	case k == failure.Throttled:
		return pace{2 * time.Second, time.Minute, record.CauseThrottledAPI}
	case k == failure.Config:
		return pace{10 * time.Minute, time.Hour, record.CauseConfig}
	}
	return pace{time.Second, time.Minute, record.CauseBackoff}
}

// after is the delay after the n-th failure in a row, n from 1.
func (p pace) after(n int) time.Duration {
	d := p.first
	for ; n > 1 && d < p.last; n-- {
		d *= 2
	}
	return min(d, p.last)
}

// holdOff creates nothing for d, unless something already holds off longer.
func (c *Core) holdOff(d time.Duration, why record.Cause) {
	until := c.now.Mono + min(d, maxBackoff)
	if until <= c.backoff.until {
		return
	}
	c.backoff = backoff{until: until, cause: why}
	m := &c.reg.Meta
	m.BackoffUntil, m.BackoffCause = c.stamp.Wall+int64(until-c.now.Mono), why
	c.reg.TouchMeta()
}

// refused notes a create that failed.
func (c *Core) refused(op uint64, f failure.Failure, away bool) {
	m := &c.reg.Meta
	m.Refusals++
	c.reg.TouchMeta()
	p := paceOf(f.Kind, away)
	d := p.after(m.Refusals)
	if f.Kind == failure.Throttled && f.RetryAfter > 0 {
		d = f.RetryAfter
	}
	c.holdOff(d, p.cause)
	c.fact(Fact{Kind: FactRefused, Op: op, Count: m.Refusals, Failure: f, Took: d, Cause: p.cause})
}

// relief ends a back-off and the count that led to it.
func (c *Core) relief(count *int, causes ...record.Cause) {
	if *count == 0 {
		return
	}
	*count = 0
	c.reg.TouchMeta()
	if m := &c.reg.Meta; c.backoff.cause == record.CauseBackoff && m.Refusals+m.Trials > 0 {
		return // the pause may be the other count's
	}
	for _, why := range causes {
		if c.backoff.cause == why {
			c.backoff = backoff{}
			c.reg.Meta.BackoffUntil, c.reg.Meta.BackoffCause = 0, record.CauseNone
		}
	}
}

// bootDeadline is a boot's deadline, doubled with each fruitless boot in a row up to an hour: a slow cloud is given time instead of churn. A
// deadline that is longer by itself stays as it was set.
func (c *Core) bootDeadline(d time.Duration) time.Duration {
	most := max(d, time.Hour)
	for n := c.reg.Meta.Fruitless; n > 0 && d < time.Hour; n-- {
		d *= 2
	}
	return max(min(d, most), 0)
}
