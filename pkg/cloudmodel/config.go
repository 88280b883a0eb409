package cloudmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// Config describes a cloud. The zero Config is a perfect cloud: instances boot at once, live for ever, have no limit and cost nothing.
type Config struct {
	MaxSize       int           `json:"max_size,omitempty" toml:"max_size,omitempty"` // the largest number of instances in the group; 0: no limit
	Boot          Distribution  `json:"boot,omitzero" toml:"boot,omitempty"`          // from the create until running
	BootFailure   BootFailure   `json:"boot_failure,omitzero" toml:"boot_failure,omitempty"`
	Delete        Distribution  `json:"delete,omitzero" toml:"delete,omitempty"` // from the request until gone
	DeleteFailure CallFailure   `json:"delete_failure,omitzero" toml:"delete_failure,omitempty"`
	CreateErrors  []CreateError `json:"create_errors,omitempty" toml:"create_errors,omitempty"`
	StockOut      StockOut      `json:"stockout,omitzero" toml:"stockout,omitempty"`
	Quota         Quota         `json:"quota,omitzero" toml:"quota,omitempty"`
	Partial       Partial       `json:"partial,omitzero" toml:"partial,omitempty"`
	SlowCall      SlowCall      `json:"slow_call,omitzero" toml:"slow_call,omitempty"`
	List          List          `json:"list,omitzero" toml:"list,omitempty"`
	Spot          Spot          `json:"spot,omitzero" toml:"spot,omitempty"`
	Price         Price         `json:"price,omitzero" toml:"price,omitempty"`
}

// The ways in which a boot can fail.
const (
	FailHang    = "hang"    // it stays in creating until it is deleted
	FailTimeout = "timeout" // the provider reports that it gave up; the instance must still be deleted
	FailVanish  = "vanish"  // it vanishes before it was running
	FailDie     = "die"     // it is running, and vanishes soon afterwards
)

// BootFailure says how many boots fail, and how.
type BootFailure struct {
	Probability float64      `json:"probability,omitempty" toml:"probability,omitempty"`
	Mode        string       `json:"mode,omitempty" toml:"mode,omitempty"`  // "hang" (default), "timeout", "vanish" or "die"
	After       Distribution `json:"after,omitzero" toml:"after,omitempty"` // mode die: time after running; other modes: time after the create, default Boot
}

// CallFailure says how many calls are refused, and with which failure.
type CallFailure struct {
	Probability float64  `json:"probability,omitempty" toml:"probability,omitempty"`
	Kind        string   `json:"kind,omitempty" toml:"kind,omitempty"`              // name of a failure.Kind; default "transient"
	RetryAfter  Duration `json:"retry_after,omitzero" toml:"retry_after,omitempty"` // with "throttled": how long to wait
}

// CreateError is one way in which creates are refused. If there are several, at most one applies to a create.
type CreateError struct {
	CallFailure
	Window
	Created bool `json:"created,omitempty" toml:"created,omitempty"` // the instances are created nevertheless: only the answer is an error
}

// Window is a range of the model's time, counted from its start. The zero Window is always open.
type Window struct {
	From  Duration `json:"from,omitzero" toml:"from,omitempty"`
	Until Duration `json:"until,omitzero" toml:"until,omitempty"` // 0: no end
	Every Duration `json:"every,omitzero" toml:"every,omitempty"` // not 0: From and Until repeat with this period
}

// contains reports whether the window is open at now. From is inclusive, Until exclusive.
func (w Window) contains(now time.Duration) bool {
	if w.Every.value > 0 {
		now %= w.Every.Value()
	}
	return now >= w.From.Value() && (w.Until.IsZero() || now < w.Until.Value())
}

// StockOut says when the cloud has no capacity.
type StockOut struct {
	Windows []Window `json:"windows,omitempty" toml:"windows,omitempty"`
}

// Quota is how many instances the account may have. When it shrinks, no instance is removed; only creates are refused.
type Quota struct {
	Limit   int           `json:"limit,omitempty" toml:"limit,omitempty"` // 0: no limit
	Windows []QuotaWindow `json:"windows,omitempty" toml:"windows,omitempty"`
}

// QuotaWindow is another limit during a window. If several are open, the last one applies.
type QuotaWindow struct {
	Window
	Limit int `json:"limit" toml:"limit"` // 0: nothing may be created
}

// Partial says how many creates of several instances create only some of them.
type Partial struct {
	Probability float64 `json:"probability,omitempty" toml:"probability,omitempty"`
	Kind        string  `json:"kind,omitempty" toml:"kind,omitempty"` // failure of the rest; default "capacity"
}

// SlowCall says how many calls (creates, deletes, lists) are slow. The caller of the model must wait for the delay itself.
type SlowCall struct {
	Probability float64      `json:"probability,omitempty" toml:"probability,omitempty"`
	Delay       Distribution `json:"delay,omitzero" toml:"delay,omitempty"`
}

// List says how lists differ from the truth.
type List struct {
	Lag     Duration    `json:"lag,omitzero" toml:"lag,omitempty"` // a list shows the state as it was this long ago
	Failure CallFailure `json:"failure,omitzero" toml:"failure,omitempty"`
	Keep    float64     `json:"keep,omitempty" toml:"keep,omitempty"` // the part (0 to 1) of the list, from its start, that a failed list still shows
	Omit    float64     `json:"omit,omitempty" toml:"omit,omitempty"` // the probability that a list without failure omits an instance
}

// Spot describes how running instances are reclaimed.
type Spot struct {
	ReclaimPerHour float64  `json:"reclaim_per_hour,omitempty" toml:"reclaim_per_hour,omitempty"` // hazard rate; lifetimes are exponential
	Notice         Duration `json:"notice,omitzero" toml:"notice,omitempty"`                      // from the announcement (state deleting) until gone
}

// Validate returns every fault, with its key and what to do.
func (c *Config) Validate() error {
	var faults []error
	c.Check(func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	return errors.Join(faults...)
}

// Check reports every fault, for callers that know where each key was written.
func (c *Config) Check(fault Fault) {
	under := func(prefix string) Fault {
		return func(key, format string, args ...any) { fault(prefix+key, format, args...) }
	}
	dist := func(key string, d Distribution) {
		d.Check(under(key + "."))
	}
	top := under("")
	checkCount(top, "max_size", c.MaxSize)
	dist("boot", c.Boot)
	checkProbability(under("boot_failure."), "probability", c.BootFailure.Probability)
	if m := c.BootFailure.Mode; !slices.Contains([]string{"", FailHang, FailTimeout, FailVanish, FailDie}, m) {
		top("boot_failure.mode", "%q is unknown: use hang, timeout, vanish or die", m)
	}
	dist("boot_failure.after", c.BootFailure.After)
	dist("delete", c.Delete)
	c.DeleteFailure.check(under("delete_failure."))
	for i, e := range c.CreateErrors {
		e.CallFailure.check(under(fmt.Sprintf("create_errors[%d].", i)))
		e.Window.check(under(fmt.Sprintf("create_errors[%d].", i)))
	}
	for i, w := range c.StockOut.Windows {
		w.check(under(fmt.Sprintf("stockout.windows[%d].", i)))
	}
	checkCount(top, "quota.limit", c.Quota.Limit)
	for i, w := range c.Quota.Windows {
		w.Window.check(under(fmt.Sprintf("quota.windows[%d].", i)))
		checkCount(under(fmt.Sprintf("quota.windows[%d].", i)), "limit", w.Limit)
	}
	checkProbability(top, "partial.probability", c.Partial.Probability)
	checkKind(top, "partial.kind", c.Partial.Kind)
	checkProbability(top, "slow_call.probability", c.SlowCall.Probability)
	dist("slow_call.delay", c.SlowCall.Delay)
	c.List.Lag.Check(top, "list.lag")
	c.List.Failure.check(under("list.failure."))
	checkProbability(top, "list.keep", c.List.Keep)
	checkProbability(top, "list.omit", c.List.Omit)
	if r := c.Spot.ReclaimPerHour; !(r >= 0) || math.IsInf(r, 0) {
		top("spot.reclaim_per_hour", "must be a number that is not negative, is %v", r)
	}
	c.Spot.Notice.Check(top, "spot.notice")
	c.Price.check(under("price."))
}

func (f CallFailure) check(fault Fault) {
	checkProbability(fault, "probability", f.Probability)
	checkKind(fault, "kind", f.Kind)
	f.RetryAfter.Check(fault, "retry_after")
}

func (w Window) check(fault Fault) {
	w.From.Check(fault, "from")
	w.Until.Check(fault, "until")
	w.Every.Check(fault, "every")
	if !w.Until.IsZero() && w.Until.value <= w.From.value {
		fault("until", "must be later than from (%s), is %s", w.From, w.Until)
	}
	if !w.Every.IsZero() && (w.From.value >= w.Every.value || w.Until.value > w.Every.value) {
		fault("every", "from and until must lie within one period of %s", w.Every)
	}
}

func checkCount(fault Fault, key string, n int) {
	if n < 0 {
		fault(key, "must not be negative, is %d", n)
	}
}

func checkProbability(fault Fault, key string, p float64) {
	if !(p >= 0 && p <= 1) {
		fault(key, "must lie between 0 and 1, is %v", p)
	}
}

// checkKind accepts the kinds with which a call can fail. None is not a failure, and unhealthy is about an instance.
func checkKind(fault Fault, key, kind string) {
	k := failure.Parse(kind)
	if kind != "" && (k.String() != kind || k == failure.None || k == failure.Unhealthy) {
		fault(key, "%q is unknown: use transient, capacity, quota, throttled, config or not_found", kind)
	}
}
