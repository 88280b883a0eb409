package scaler

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// instant converts a monotonic reading to the time.Time that x/time/rate computes with. Its zero is far after time.Time's own, so that a
// restored bucket may have been filled before it.
func instant(mono time.Duration) time.Time { return time.Unix(1<<31, 0).Add(mono) }

// throttleNow returns the throttle that applies now: the active policy's, or else the group's, with defaults filled in. Its Limit is +Inf
// when creates are not limited.
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

// applyThrottle configures the bucket. Tokens are kept, up to the new burst; a bucket that was never used stays full.
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

// limitOf gives the bucket a finite limit. An unlimited throttle is handled before the bucket is asked.
func limitOf(t policy.Throttle) rate.Limit {
	if math.IsInf(t.Limit, 1) {
		return rate.Limit(math.MaxInt32)
	}
	return rate.Limit(t.Limit)
}

// restoreThrottle gives the bucket the tokens that were left at the last committed create, plus what was refilled since. So a restart adds
// no tokens.
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
	// A bucket that was emptied this long ago holds exactly tokens now.
	ago := refill(tokens, limit)
	c.bucket.AllowN(instant(c.now.Mono-ago), c.bucket.Burst())
}

// settleBucket changes the bucket to one of the two forms in which a bucket of x/time/rate can be rebuilt exactly: full, or emptied at a
// moment. Tokens are rounded down, by what is refilled in a few nanoseconds. Snapshot does this to the live core too, so that the core and
// its copy continue with the same bucket. It is done only once between two uses, so that an unused bucket keeps its form.
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
	ago := refill(max(tokens, 0), limit)
	for less := time.Duration(1); ; less *= 2 {
		c.resumeBucket(BucketSnapshot{Emptied: c.now.Mono - ago})
		if ago == 0 || c.bucket.TokensAt(now) <= tokens {
			return c.settledAs
		}
		ago = max(ago-less, 0) // the floating-point arithmetic rounded up
	}
}

// resumeBucket builds the bucket for the throttle in force, in the form s.
func (c *Core) resumeBucket(s BucketSnapshot) {
	c.bucket = rate.NewLimiter(limitOf(c.throttled), c.throttled.Burst)
	if !s.Full {
		c.bucket.AllowN(instant(s.Emptied), c.throttled.Burst)
	}
	c.settled, c.settledAs = true, s
}

// allowed returns how many creates the throttle allows now; −1: it does not limit them.
func (c *Core) allowed() int {
	if math.IsInf(c.throttled.Limit, 1) {
		return -1
	}
	return int(max(math.Floor(c.bucket.TokensAt(instant(c.now.Mono))), 0))
}

// spend takes n tokens and records the bucket's new state, which is committed together with the creates that the tokens paid for.
func (c *Core) spend(n int) {
	now := instant(c.now.Mono)
	if !math.IsInf(c.throttled.Limit, 1) {
		c.bucket.AllowN(now, n)
		c.settled = false
	}
	c.reg.Meta.ThrottleTokens, c.reg.Meta.ThrottleAt = c.bucket.TokensAt(now), c.stamp.Wall
	c.reg.TouchMeta()
}

// nextToken returns when the throttle allows one more create.
func (c *Core) nextToken() time.Duration {
	missing := 1 - c.bucket.TokensAt(instant(c.now.Mono))
	if missing <= 0 {
		return c.now.Mono
	}
	// Rounded up: a wake one nanosecond too early finds no token, and the core would be woken again and again.
	return c.now.Mono + refill(missing, c.throttled.Limit) + time.Microsecond
}

// refill returns how long a throttle takes to add so many tokens, rounded up. It is at most maxMono, so that no limit, however low,
// overflows the clock.
func refill(tokens, limit float64) time.Duration {
	return time.Duration(min(math.Ceil(tokens/limit*float64(time.Second)), float64(maxMono)))
}
