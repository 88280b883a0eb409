package scaler

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// instant turns a monotonic reading into the time.Time that x/time/rate computes with. Its zero lies far from time.Time's own, so that
// restored buckets may have been filled before it.
func instant(mono time.Duration) time.Time { return time.Unix(1<<31, 0).Add(mono) }

// throttleNow is the throttle in force: the policy's, else the group's, with the defaults filled in. limit is +Inf where there is none.
func (c *Core) throttleNow() policy.Throttle {
	t := c.cfg.Throttle
	if p := c.active.Settings.Throttle; p != nil {
		t = *p
	}
	switch {
	case t.Limit < 0 || math.IsNaN(t.Limit):
		t.Limit = math.Inf(1)
	case t.Limit == 0:
		t.Limit = 100
	}
	if t.Burst <= 0 {
		t.Burst = c.cfg.MaxInstances
	}
	if t.Burst <= 0 && t.Limit < math.MaxInt32 {
		t.Burst = int(math.Ceil(t.Limit))
	}
	t.Burst = max(t.Burst, 1)
	return t
}

// applyThrottle puts the throttle in force into the bucket. Tokens carry over, capped at the new burst; a bucket that was never used is full.
func (c *Core) applyThrottle() {
	t := c.throttleNow()
	if c.bucket == nil {
		c.bucket = rate.NewLimiter(limitOf(t), t.Burst)
	} else if t != c.throttled {
		c.settled = false
		now := instant(c.now.Mono)
		used := c.reg.Meta.ThrottleAt != 0
		if !used {
			c.bucket = rate.NewLimiter(limitOf(t), t.Burst)
		} else {
			if !math.IsInf(c.throttled.Limit, 1) || !math.IsInf(t.Limit, 1) {
				c.bucket.SetLimitAt(now, limitOf(t))
			}
			c.bucket.SetBurstAt(now, t.Burst)
		}
	}
	c.throttled = t
}

// limitOf keeps an unlimited throttle out of the bucket's arithmetic: it is tested for before the bucket is asked.
func limitOf(t policy.Throttle) rate.Limit {
	if math.IsInf(t.Limit, 1) {
		return rate.Limit(math.MaxInt32)
	}
	return rate.Limit(t.Limit)
}

// restoreThrottle gives the bucket the tokens it had when the last create was committed, plus what has dripped in since: a restart mints none.
func (c *Core) restoreThrottle() {
	c.applyThrottle()
	m := &c.reg.Meta
	if m.ThrottleAt == 0 {
		return
	}
	since := max(time.Duration(c.stamp.Wall-m.ThrottleAt), 0)
	limit, burst := float64(c.bucket.Limit()), float64(c.bucket.Burst())
	tokens := min(burst, max(m.ThrottleTokens, 0)+limit*since.Seconds())
	if tokens >= burst {
		return
	}
	// A bucket emptied this long ago holds exactly tokens now.
	ago := time.Duration(tokens / limit * float64(time.Second))
	c.bucket.AllowN(instant(c.now.Mono-ago), c.bucket.Burst())
}

// settleBucket brings the bucket into the only two forms in which a bucket of x/time/rate can be made again exactly: full, or emptied at
// one moment. Tokens are rounded down, by what drips in a few nanoseconds. It is done for a snapshot on the live core and by Resume alike, so
// that both go on with the same bucket; and once only between two uses, so that a bucket that nobody touches keeps its form.
func (c *Core) settleBucket() BucketSnapshot {
	if c.settled {
		return c.settledAs
	}
	now := instant(c.now.Mono)
	tokens, limit := c.bucket.TokensAt(now), float64(c.bucket.Limit())
	if tokens >= float64(c.bucket.Burst()) {
		c.resumeBucket(BucketSnapshot{Full: true})
		return c.settledAs
	}
	ago := time.Duration(min(max(tokens, 0)/limit*float64(time.Second), float64(maxMono)))
	for less := time.Duration(1); ; less *= 2 {
		c.resumeBucket(BucketSnapshot{Emptied: c.now.Mono - ago})
		if ago == 0 || c.bucket.TokensAt(now) <= tokens {
			return c.settledAs
		}
		ago = max(ago-less, 0) // the arithmetic of floats rounded up
	}
}

// resumeBucket makes the bucket of the throttle in force anew, in one of its two forms.
func (c *Core) resumeBucket(s BucketSnapshot) {
	c.bucket = rate.NewLimiter(limitOf(c.throttled), c.throttled.Burst)
	if !s.Full {
		c.bucket.AllowN(instant(s.Emptied), c.throttled.Burst)
	}
	c.settled, c.settledAs = true, s
}

// allowed is how many creates the throttle lets through now; −1 when there is none.
func (c *Core) allowed() int {
	if math.IsInf(c.throttled.Limit, 1) {
		return -1
	}
	return int(max(math.Floor(c.bucket.TokensAt(instant(c.now.Mono))), 0))
}

// spend takes n tokens and notes the bucket's new state, to be committed with the creates it paid for.
func (c *Core) spend(n int) {
	now := instant(c.now.Mono)
	if !math.IsInf(c.throttled.Limit, 1) {
		c.bucket.AllowN(now, n)
		c.settled = false
	}
	c.reg.Meta.ThrottleTokens, c.reg.Meta.ThrottleAt = c.bucket.TokensAt(now), c.stamp.Wall
	c.reg.TouchMeta()
}

// nextToken is when the throttle lets one more create through.
func (c *Core) nextToken() time.Duration {
	missing := 1 - c.bucket.TokensAt(instant(c.now.Mono))
	if missing <= 0 {
		return c.now.Mono
	}
	// Rounded up: a wake a nanosecond early finds no token and would come again and again.
	return c.now.Mono + time.Duration(math.Ceil(missing/c.throttled.Limit*float64(time.Second))) + time.Microsecond
}
