package cloudmodel

import "time"

// Fate is what will happen to one instance by chance. It depends only on the seed and on the instance's number.
type Fate struct {
	Boot    time.Duration // from the create until running; Never when the boot fails
	Timeout time.Duration // from the create until the provider gives up on it; else Never
	Vanish  time.Duration // from the create until it vanishes before it was running; else Never
	Life    time.Duration // from running until it vanishes early or its reclaim is announced; else Never
	Notice  time.Duration // from the announcement of its reclaim until gone; 0 when it vanishes early
	Reclaim bool          // Life ends in a reclaim
	Delete  time.Duration // from a delete request until gone
}

// Fate returns the fate of instance number n.
func (c *Cloud) Fate(n uint64) Fate {
	f := Fate{Boot: c.boot.Sample(c.draw(streamBoot, n)), Timeout: Never, Vanish: Never, Life: Never}
	f.Delete = c.del.Sample(c.draw(streamDelete, n))
	if rate := c.cfg.Spot.ReclaimPerHour; rate > 0 {
		life := Sampler{kind: KindExponential, scale: float64(time.Hour) / rate}
		f.Life, f.Reclaim, f.Notice = life.Sample(c.draw(streamSpot, n)), true, c.cfg.Spot.Notice.Value()
	}
	if p := c.cfg.BootFailure.Probability; p > 0 && c.draw(streamBootFailure, n) < p {
		c.failBoot(&f, n)
	}
	return f
}

func (c *Cloud) failBoot(f *Fate, n uint64) {
	if c.cfg.BootFailure.Mode == FailDie {
		if young := c.failAfter.Sample(c.draw(streamBootFailureAge, n)); young < f.Life {
			f.Life, f.Reclaim, f.Notice = young, false, 0
		}
		return
	}
	after := f.Boot
	if !c.cfg.BootFailure.After.IsZero() {
		after = c.failAfter.Sample(c.draw(streamBootFailureAge, n))
	}
	f.Boot, f.Life, f.Reclaim, f.Notice = Never, Never, false, 0
	switch c.cfg.BootFailure.Mode {
	case FailTimeout:
		f.Timeout = after
	case FailVanish:
		f.Vanish = after
	}
}

// sum adds a span to a time. A result that does not fit becomes Never.
func sum(at, span time.Duration) time.Duration {
	if span >= Never-at {
		return Never
	}
	return at + span
}
