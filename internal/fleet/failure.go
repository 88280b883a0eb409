package fleet

import "time"

// FailureKind says what a failure means for the fleet, so that whoever decides never reads error text. It is classified once, where
// the provider's own error is at hand.
type FailureKind uint8

// The kinds of failure. The zero value is no failure at all.
const (
	FailureNone      FailureKind = iota
	FailureTransient             // try again soon; nothing is known about the outcome
	FailureNotFound              // the provider does not know this instance
	FailureCapacity              // the provider has no machine to give now (stock-out)
	FailureQuota                 // an account limit is reached
	FailureThrottled             // too many calls; RetryAfter says when to come back
	FailureConfig                // permanent until somebody changes the configuration
	FailureUnhealthy             // this instance must not be used any more
)

var failureNames = [...]string{"none", "transient", "not_found", "capacity", "quota", "throttled", "config", "unhealthy"}

// String is the kind's name as it stands in facts, in status and on the wire.
func (k FailureKind) String() string {
	if int(k) < len(failureNames) {
		return failureNames[k]
	}
	return "transient"
}

// ParseFailureKind is the inverse of String. An unknown name is transient: the one kind that assumes nothing.
func ParseFailureKind(s string) FailureKind {
	for i, n := range failureNames {
		if n == s {
			return FailureKind(i)
		}
	}
	return FailureTransient
}

// Failure is a failure as the pure rooms see it: its kind, how long to wait (0: not said) and a text for people that no decision reads.
type Failure struct {
	Kind       FailureKind
	RetryAfter time.Duration
	Message    string
}

// Failed reports whether f is a failure.
func (f Failure) Failed() bool { return f.Kind != FailureNone }
