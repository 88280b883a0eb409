package cloudmodel

import (
	"math"
	"time"
)

// Price is what an instance costs, in any currency.
type Price struct {
	PerHour float64  `json:"per_hour,omitempty" toml:"per_hour,omitempty"`
	Billing string   `json:"billing,omitempty" toml:"billing,omitempty"` // "second" (default), "minute", "hour" or "day": lifetimes are rounded up to it
	Minimum Duration `json:"minimum,omitzero" toml:"minimum,omitempty"`  // the shortest lifetime that is billed
}

var billingUnits = map[string]time.Duration{"": time.Second, "second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}

func (p Price) check(fault Fault) {
	if !(p.PerHour >= 0) || math.IsInf(p.PerHour, 0) {
		fault("per_hour", "must be a number that is not negative, is %v", p.PerHour)
	}
	if _, known := billingUnits[p.Billing]; !known {
		fault("billing", "%q is unknown: use second, minute, hour or day", p.Billing)
	}
	p.Minimum.Check(fault, "minimum")
}

// billed returns the time that is billed for an instance that existed for life: at least the minimum, rounded up to the billing unit. A
// life of 0 or less costs nothing: there was no instance.
func (p Price) billed(life time.Duration) time.Duration {
	if life <= 0 {
		return 0
	}
	unit := billingUnits[p.Billing]
	if unit == 0 {
		unit = time.Second
	}
	life = max(life, p.Minimum.Value())
	if over := life % unit; over > 0 {
		life += unit - over
	}
	return life
}

// Cost returns the price of an instance that existed for life.
func (p Price) Cost(life time.Duration) float64 { return p.PerHour * p.billed(life).Hours() }
