package cloudmodel

import (
	"encoding/json"
	"math"
	"time"
)

// Never is the time of what does not happen.
const Never = time.Duration(math.MaxInt64)

// longest bounds every drawn time, so that sums of a few of them cannot overflow.
const longest = 100 * 365 * 24 * time.Hour

// Duration is a time.Duration that is written as text, such as "1.5s", in JSON and in TOML. Text that is no duration is kept and reported
// by whoever validates the configuration, since only there its key is known and all faults are found at once.
type Duration struct {
	value time.Duration
	bad   string // what was written, when it is no duration
}

// D is d as a Duration.
func D(d time.Duration) Duration { return Duration{value: d} }

// Value is the time.Duration; 0 for text that is no duration.
func (d Duration) Value() time.Duration { return d.value }

// IsZero reports whether it is 0 s, or was not set.
func (d Duration) IsZero() bool { return d == Duration{} }

// String is the text form.
func (d Duration) String() string {
	if d.bad != "" {
		return d.bad
	}
	return d.value.String()
}

// MarshalText writes the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of time.ParseDuration. It never fails: see Duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = D(v)
	if err != nil {
		*d = Duration{bad: `"` + string(text) + `"`}
	}
	return nil
}

// UnmarshalJSON reads a JSON string. It never fails: see Duration.
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

// Check reports a fault of key when d is no duration, negative or longer than anything means.
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

// Fault takes note of what is wrong with a key.
type Fault func(key, format string, args ...any)
