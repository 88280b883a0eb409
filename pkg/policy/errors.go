package policy

import (
	"fmt"
	"strings"
)

// PeriodError reports a period that cannot be parsed. Policy and Period are positions counted from 0 (-1: unknown, as from [ParsePeriod]).
// The message counts from 1.
type PeriodError struct {
	Policy, Period int
	Text           string // the period as written
	Reason         string // what is wrong with it
	Remedy         string // what to write instead
}

// Error returns the position, the text, the reason and the remedy.
func (e *PeriodError) Error() string {
	var b strings.Builder
	if e.Policy >= 0 {
		fmt.Fprintf(&b, "policy %d, ", e.Policy+1)
	}
	b.WriteString("period ")
	if e.Period >= 0 {
		fmt.Fprintf(&b, "%d ", e.Period+1)
	}
	fmt.Fprintf(&b, "%q: %s", e.Text, e.Reason)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// ZoneError reports a time zone that cannot be loaded. Policy is a position counted from 0. The message counts from 1.
type ZoneError struct {
	Policy int
	Text   string // the timezone as written
	Reason string // what is wrong with it
	Remedy string // what to write instead
	Err    error  // the error of the time zone database
}

// Error returns the position, the text, the reason and the remedy.
func (e *ZoneError) Error() string {
	return fmt.Sprintf("policy %d, timezone %q: %s; %s", e.Policy+1, e.Text, e.Reason, e.Remedy)
}

// Unwrap returns the error of the time zone database.
func (e *ZoneError) Unwrap() error { return e.Err }
