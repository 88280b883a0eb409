package workload

import "strconv"

// Error says why a workload cannot be used.
type Error struct {
	File   string // its name as it was given
	Line   int    // where, from 1; 0: no particular line
	Offset int64  // where, in a format without lines: bytes from the start of the uncompressed file; 0: no particular place
	Reason string // what is wrong
	Remedy string // what to do; may be empty
	Err    error  // the cause; nil: none
}

// Error says where the fault is, what is wrong, and what to do.
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

// SpecError says what is wrong with a spec.
type SpecError struct {
	Part   string // the piece of the spec that is wrong
	Reason string
	Remedy string // what to write instead
}

// Error names the part of the spec, says what is wrong with it and what to write instead.
func (e *SpecError) Error() string {
	text := "workload spec: " + strconv.Quote(e.Part) + ": " + e.Reason
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}
