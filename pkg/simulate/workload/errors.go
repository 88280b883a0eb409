package workload

import "strconv"

// Error is a workload that cannot be used.
type Error struct {
	File   string // its name as it was given
	Line   int    // where, from 1; 0: nowhere in particular
	Offset int64  // where in a format without lines, in bytes from its start (after gzip); 0: nowhere in particular
	Reason string // what is wrong
	Remedy string // what to do; may be empty
	Err    error  // the cause, nil when there is none beneath
}

// Error says where, what, and what to do.
func (e *Error) Error() string {
	where := e.File
	switch {
	case e.Line > 0:
		where += ":" + strconv.Itoa(e.Line)
	case e.Offset > 0:
		where += " at byte " + strconv.FormatInt(e.Offset, 10)
	}
	text := where + ": " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SpecError is a spec that says nothing sensible.
type SpecError struct {
	Part   string // the piece of the spec that is wrong
	Reason string
	Remedy string // what would be right
}

// Error names the part of the spec, what is wrong with it and what would be right.
func (e *SpecError) Error() string {
	text := "workload spec: " + strconv.Quote(e.Part) + ": " + e.Reason
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}
