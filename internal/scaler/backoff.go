package scaler

import (
	"strings"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// maxBackoff bounds every back-off. A back-off that was stored under a wrong clock can therefore not stop a group for ever.
const maxBackoff = time.Hour

// maxRest is the longest rest that a provider can ask for between two tries for one instance. While the manager shuts down, it is
// maxShutdownRest: an operator waits.
const (
	maxRest         = 10 * time.Minute
	maxShutdownRest = time.Minute
)

// rest returns how long to wait before the next try for one instance: after d, or when the provider said so, if that is later and within
// reason.
func (c *Core) rest(d time.Duration, f failure.Failure) time.Duration {
	most := maxRest
	if c.shutdown {
		most = maxShutdownRest
	}
	return max(d, min(f.RetryAfter, most))
}

// backoff says until when nothing is created, and why.
type backoff struct {
	until time.Duration
	cause record.Cause
}

// pace is how long to wait after a kind of failure: first after one failure, then doubled with each further consecutive failure, up to
// last.
type pace struct {
	first, last time.Duration
	cause       record.Cause
}

// paceOf returns how long to leave the provider alone after a failure of kind k. A configuration failure is retried too, but slowly:
// somebody may correct it on the provider's side, and nothing tells us when.
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

// after returns the delay after n consecutive failures. n starts at 1.
func (p pace) after(n int) time.Duration {
	d := p.first
	for ; n > 1 && d < p.last; n-- {
		d *= 2
	}
	return min(d, p.last)
}

// startBackoff stops creates for d, unless an earlier back-off lasts longer.
func (c *Core) startBackoff(d time.Duration, why record.Cause) {
	until := c.now.Mono + min(d, maxBackoff)
	if until <= c.backoff.until {
		return
	}
	c.backoff = backoff{until: until, cause: why}
	m := &c.reg.Meta
	m.BackoffUntil, m.BackoffCause = c.stamp.Wall+int64(until-c.now.Mono), why
	c.reg.TouchMeta()
}

// refused records a failed create and backs off.
func (c *Core) refused(op uint64, f failure.Failure, away bool) {
	m := &c.reg.Meta
	m.Refusals++
	c.reg.TouchMeta()
	c.note(f)
	p := paceOf(f.Kind, away)
	d := p.after(m.Refusals)
	if f.Kind == failure.Throttled && f.RetryAfter > 0 {
		d = min(max(f.RetryAfter, p.first), maxBackoff) // the provider knows better, within reason
	}
	c.startBackoff(d, p.cause)
	c.fact(Fact{Kind: FactRefused, Op: op, Count: m.Refusals, Failure: f, Took: d, Cause: p.cause})
}

// maxLatest is the length, in bytes, to which the words of a failure are shortened before they are stored.
const maxLatest = 1000

// note remembers the words of the latest failed create or preparation: they say why creates are held back, after a restart too.
func (c *Core) note(f failure.Failure) {
	if f.Message == "" {
		return
	}
	words := f.Message
	if len(words) > maxLatest {
		words = strings.ToValidUTF8(words[:maxLatest], "") + "…"
	}
	if m := &c.reg.Meta; m.Latest != words {
		m.Latest = words
		c.reg.TouchMeta()
	}
}

// relief resets a count of failures and ends the back-off that it led to.
func (c *Core) relief(count *int, causes ...record.Cause) {
	if *count == 0 {
		return
	}
	*count = 0
	c.reg.TouchMeta()
	if m := &c.reg.Meta; c.backoff.cause == record.CauseBackoff && m.Refusals+m.Trials > 0 {
		return // the back-off may belong to the other count
	}
	for _, why := range causes {
		if c.backoff.cause == why {
			c.backoff = backoff{}
			c.reg.Meta.BackoffUntil, c.reg.Meta.BackoffCause = 0, record.CauseNone
		}
	}
}

// bootDeadline returns the deadline d, doubled for each consecutive failed boot, up to one hour. A slow cloud gets more time this way,
// instead of instances that are created and deleted again and again. A d above one hour is returned unchanged.
func (c *Core) bootDeadline(d time.Duration) time.Duration {
	most := max(d, time.Hour)
	for n := c.reg.Meta.Fruitless; n > 0 && d < time.Hour; n-- {
		d *= 2
	}
	return max(min(d, most), 0)
}
