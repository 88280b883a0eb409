package policy

import (
	"fmt"
	"strings"
)

// PeriodError is a period that cannot be read. Policy and Period are positions counted from 0 (-1: not known, as from [ParsePeriod]);
// the message counts from 1, as people do.
type PeriodError struct {
	Policy, Period int
	Text           string // the period as written
	Reason         string // what is wrong with it
	Remedy         string // what to write instead
}

// Error names the place, the text, the reason and the remedy.
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

// ZoneError is a time zone that cannot be loaded. Policy is a position counted from 0; the message counts from 1.
type ZoneError struct {
	Policy int
	Text   string // the timezone as written
	Reason string // what is wrong with it
	Remedy string // what to write instead
	Err    error  // what the time zone database answered
}

// Error names the place, the text, the reason and the remedy.
func (e *ZoneError) Error() string {
	return fmt.Sprintf("policy %d, timezone %q: %s; %s", e.Policy+1, e.Text, e.Reason, e.Remedy)
}

// Unwrap is the database's own error.
func (e *ZoneError) Unwrap() error { return e.Err }
