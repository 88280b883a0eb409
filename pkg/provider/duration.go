package provider

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"time"
)

// Duration is a time.Duration for plugin_config. It is written as text, such as "90s" or "1h30m", or as a number of seconds, such as 90 or 0.5. A
// number of a million or more is refused: it was probably meant as nanoseconds, which is how a plain time.Duration reads it. A Duration may be negative.
type Duration time.Duration

// maxSeconds is the first number that is no longer taken for seconds.
const maxSeconds = 1_000_000

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the text form, in JSON too.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return badDuration("a text that is none")
	}
	*d = Duration(v)
	return nil
}

// UnmarshalJSON reads the text form or a number of seconds. null changes nothing. The error is a *json.UnmarshalTypeError, to which package json adds
// the key.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	switch {
	case string(raw) == "null":
		return nil
	case len(raw) > 0 && raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		return d.UnmarshalText([]byte(text))
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil:
		return badDuration("another value")
	case math.Abs(seconds) >= maxSeconds:
		return badDuration("a number of a million or more without a unit")
	}
	*d = Duration(math.Round(seconds * float64(time.Second)))
	return nil
}

func badDuration(what string) error {
	return &json.UnmarshalTypeError{Value: what, Type: reflect.TypeFor[Duration]()}
}
