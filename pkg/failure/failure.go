package failure

import "time"

// Kind says what a failure means for the fleet, so that whoever decides never reads error text. It is classified once, where
// the provider's own error is at hand.
type Kind uint8

// The kinds of failure. The zero value is no failure at all.
const (
	None      Kind = iota
	Transient      // try again soon; nothing is known about the outcome
	NotFound       // the provider does not know this instance
	Capacity       // the provider has no machine to give now (stock-out)
	Quota          // an account limit is reached
	Throttled      // too many calls; RetryAfter says when to come back
	Config         // permanent until somebody changes the configuration
	Unhealthy      // this instance must not be used any more
)

var failureNames = [...]string{"none", "transient", "not_found", "capacity", "quota", "throttled", "config", "unhealthy"}

// String is the kind's name as it stands in facts, in status and on the wire.
func (k Kind) String() string {
	if int(k) < len(failureNames) {
		return failureNames[k]
	}
	return "transient"
}

// Parse is the inverse of String. An unknown name is transient: the one kind that assumes nothing.
func Parse(s string) Kind {
	for i, n := range failureNames {
		if n == s {
			return Kind(i)
		}
	}
	return Transient
}

// Failure is a failure as the pure rooms see it: its kind, how long to wait (0: not said) and a text for people that no decision reads.
type Failure struct {
	Kind       Kind
	RetryAfter time.Duration
	Message    string
}

// Failed reports whether f is a failure.
func (f Failure) Failed() bool { return f.Kind != None }
