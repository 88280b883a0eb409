package failure

import "time"

// Kind says what a failure means for the group. It is classified once, where the provider's own error is known.
type Kind uint8

// The kinds of failure. The zero value means no failure.
const (
	None      Kind = iota
	Transient      // retry soon; the outcome is unknown
	NotFound       // the provider does not know this instance
	Capacity       // the provider has no capacity now (stock-out)
	Quota          // an account limit is reached
	Throttled      // too many calls; RetryAfter says how long to wait
	Config         // permanent until the configuration is changed
	Unhealthy      // this instance must not be used any more
)

var failureNames = [...]string{"none", "transient", "not_found", "capacity", "quota", "throttled", "config", "unhealthy"}

// String returns the kind's name as facts, status and the plugin protocol show it.
func (k Kind) String() string {
	if int(k) < len(failureNames) {
		return failureNames[k]
	}
	return "transient"
}

// Parse is the inverse of String. An unknown name becomes Transient, the kind that assumes least.
func Parse(s string) Kind {
	for i, n := range failureNames {
		if n == s {
			return Kind(i)
		}
	}
	return Transient
}

// Failure is one failure: its kind, how long to wait before the next call (0: unknown), and a human-readable message; no decision depends
// on the message.
type Failure struct {
	Kind       Kind
	RetryAfter time.Duration
	Message    string
}

// Failed reports whether f is a failure.
func (f Failure) Failed() bool { return f.Kind != None }
