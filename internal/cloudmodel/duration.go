package cloudmodel

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"
)

// Never is the time of what does not happen.
const Never = time.Duration(math.MaxInt64)

// longest bounds every drawn time, so that sums of a few of them cannot overflow.
const longest = 100 * 365 * 24 * time.Hour

// Duration is a time.Duration that is written as text, such as "1.5s", in JSON and in TOML.
type Duration time.Duration

// String is the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of time.ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write one such as \"1.5s\" or \"10m\"", text)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalJSON reads a JSON string. Its error is of the kind to which the decoder adds the name of the key.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		if d.UnmarshalText([]byte(text)) == nil {
			return nil
		}
	}
	return &json.UnmarshalTypeError{Value: string(raw) + ` (write a duration such as "1.5s" or "10m")`, Type: reflect.TypeFor[time.Duration]()}
}
