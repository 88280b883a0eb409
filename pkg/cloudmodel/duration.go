package cloudmodel

import (
	"encoding/json"
	"math"
	"time"
)

// Never is the time of an event that does not happen.
const Never = time.Duration(math.MaxInt64)

// longest limits every drawn duration, so that sums of a few of them cannot overflow.
const longest = 100 * 365 * 24 * time.Hour

// Duration is a time.Duration that JSON and TOML write as text, such as "1.5s". Text that is not a duration is kept, and Check reports it:
// there its key is known, and all faults are reported together.
type Duration struct {
	value time.Duration
	bad   string // the text, when it is not a duration
}

// D returns d as a Duration.
func D(d time.Duration) Duration { return Duration{value: d} }

// Value returns the time.Duration; 0 for text that is not a duration.
func (d Duration) Value() time.Duration { return d.value }

// IsZero reports whether d is 0 s or was not set.
func (d Duration) IsZero() bool { return d == Duration{} }

// String returns the text form.
func (d Duration) String() string {
	if d.bad != "" {
		return d.bad
	}
	return d.value.String()
}

// MarshalText returns the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses the form of time.ParseDuration. It never returns an error: see Duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = D(v)
	if err != nil {
		*d = Duration{bad: `"` + string(text) + `"`}
	}
	return nil
}

// UnmarshalJSON parses a JSON string. It never returns an error: see Duration.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil && string(raw) != "null" {
		return d.UnmarshalText([]byte(text))
	}
	if string(raw) != "null" { // by convention null changes nothing
		*d = Duration{bad: string(raw)}
	}
	return nil
}

// Check reports a fault of key when d is not a duration, is negative, or is longer than 100 years.
func (d Duration) Check(fault Fault, key string) {
	switch {
	case d.bad != "":
		fault(key, "%s is not a duration: write one such as \"1.5s\" or \"10m\"", d.bad)
	case d.value < 0:
		fault(key, "must not be negative, is %s", d)
	case d.value > longest:
		fault(key, "must not be more than a hundred years, is %s", d)
	}
}

// Fault receives one fault: the key, and what is wrong with it.
type Fault func(key, format string, args ...any)
