package cloudmodel

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// The kinds of distribution.
const (
	KindConstant    = "constant"    // always Value
	KindExponential = "exponential" // uses Mean
	KindLogNormal   = "lognormal"   // uses P50 and P95
	KindEmpirical   = "empirical"   // uses Samples, each equally likely
)

// Distribution describes a random duration, as written in a configuration. The zero Distribution is always 0 s.
type Distribution struct {
	Kind    string     `json:"distribution,omitempty" toml:"distribution,omitempty"`
	Value   Duration   `json:"value,omitzero" toml:"value,omitempty"`      // constant
	Mean    Duration   `json:"mean,omitzero" toml:"mean,omitempty"`        // exponential
	P50     Duration   `json:"p50,omitzero" toml:"p50,omitempty"`          // lognormal: the median
	P95     Duration   `json:"p95,omitzero" toml:"p95,omitempty"`          // lognormal: the 95th percentile
	Samples []Duration `json:"samples,omitempty" toml:"samples,omitempty"` // empirical: measured durations, in any order
}

// Constant returns the distribution that is always d.
func Constant(d time.Duration) Distribution {
	return Distribution{Kind: KindConstant, Value: D(d)}
}

// Exponential returns the exponential distribution with this mean.
func Exponential(mean time.Duration) Distribution {
	return Distribution{Kind: KindExponential, Mean: D(mean)}
}

// LogNormal returns the log-normal distribution with this median and 95th percentile.
func LogNormal(p50, p95 time.Duration) Distribution {
	return Distribution{Kind: KindLogNormal, P50: D(p50), P95: D(p95)}
}

// Empirical returns the distribution that draws one of the samples.
func Empirical(samples ...time.Duration) Distribution {
	d := Distribution{Kind: KindEmpirical}
	for _, s := range samples {
		d.Samples = append(d.Samples, D(s))
	}
	return d
}

// IsZero reports whether no field is set.
func (d Distribution) IsZero() bool {
	return d.Kind == "" && d.Value.IsZero() && d.Mean.IsZero() && d.P50.IsZero() && d.P95.IsZero() && len(d.Samples) == 0
}

// Validate returns every fault, with its key and what to do.
func (d Distribution) Validate() error {
	var faults []error
	d.Check(func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	})
	return errors.Join(faults...)
}

// Check reports every fault, for callers that know where each key was written.
func (d Distribution) Check(fault Fault) {
	d.checkKeys(fault)
	switch d.Kind {
	case "":
		if !d.IsZero() {
			fault("distribution", "is missing: name one of constant, exponential, lognormal, empirical")
		}
	case KindConstant, KindExponential:
	case KindLogNormal:
		if d.P50.bad == "" && d.P50.value <= 0 {
			fault("p50", "must be greater than 0s, is %s", d.P50)
		}
		if d.P95.bad == "" && d.P95.value < d.P50.value {
			fault("p95", "must not be less than p50 (%s), is %s", d.P50, d.P95)
		}
	case KindEmpirical:
		if len(d.Samples) == 0 {
			fault("samples", "must hold at least one duration")
		}
	default:
		fault("distribution", "%q is unknown: use constant, exponential, lognormal or empirical", d.Kind)
	}
}

// checkKeys reports durations out of range, and keys that this kind does not use.
func (d Distribution) checkKeys(fault Fault) {
	for _, k := range [...]struct {
		key, kind string
		value     Duration
	}{{"value", KindConstant, d.Value}, {"mean", KindExponential, d.Mean}, {"p50", KindLogNormal, d.P50}, {"p95", KindLogNormal, d.P95}} {
		if !k.value.IsZero() && d.Kind != "" && d.Kind != k.kind {
			fault(k.key, "is not used by the distribution %q: remove it, or set distribution = %q", d.Kind, k.kind)
		}
		k.value.Check(fault, k.key)
	}
	if len(d.Samples) > 0 && d.Kind != "" && d.Kind != KindEmpirical {
		fault("samples", "are not used by the distribution %q: remove them, or set distribution = %q", d.Kind, KindEmpirical)
	}
	for i, s := range d.Samples {
		s.Check(fault, fmt.Sprintf("samples[%d]", i))
	}
}

// z95 is the 95th percentile of the standard normal distribution.
const z95 = 1.6448536269514722

// Sampler draws from a distribution. The zero Sampler draws 0 s.
type Sampler struct {
	kind    string
	scale   float64 // ns: the constant, the mean, the median
	sigma   float64 // lognormal: standard deviation of the logarithm
	samples []time.Duration
}

// Sampler compiles d. It returns the errors of Validate.
func (d Distribution) Sampler() (Sampler, error) {
	if err := d.Validate(); err != nil {
		return Sampler{}, err
	}
	s := Sampler{kind: d.Kind}
	switch d.Kind {
	case KindExponential:
		s.scale = float64(d.Mean.value)
	case KindLogNormal:
		s.scale = float64(d.P50.value)
		s.sigma = math.Log(float64(d.P95.value)/float64(d.P50.value)) / z95
	case KindEmpirical:
		s.samples = make([]time.Duration, len(d.Samples))
		for i, v := range d.Samples {
			s.samples[i] = v.Value()
		}
		slices.Sort(s.samples)
	default:
		s.kind = KindConstant
		s.scale = float64(d.Value.value)
	}
	return s, nil
}

// Sample returns the u-quantile, 0 < u < 1. With uniform random u it draws from the distribution. Each draw uses one number, and a larger u
// never gives a smaller result. So with the same random numbers, a slower distribution is slower for every single instance.
func (s *Sampler) Sample(u float64) time.Duration {
	switch s.kind {
	case KindExponential:
		return bounded(-s.scale * math.Log1p(-u))
	case KindLogNormal:
		return bounded(s.scale * math.Exp(s.sigma*math.Sqrt2*math.Erfinv(2*u-1)))
	case KindEmpirical:
		return s.samples[min(int(u*float64(len(s.samples))), len(s.samples)-1)]
	}
	return time.Duration(s.scale)
}

// Mean returns the expected value.
func (s *Sampler) Mean() time.Duration {
	switch s.kind {
	case KindLogNormal:
		return bounded(s.scale * math.Exp(s.sigma*s.sigma/2))
	case KindEmpirical:
		var sum float64
		for _, v := range s.samples {
			sum += float64(v)
		}
		return bounded(sum / float64(len(s.samples)))
	}
	return time.Duration(s.scale)
}

func bounded(ns float64) time.Duration {
	if !(ns < float64(longest)) {
		return longest
	}
	return time.Duration(ns)
}
