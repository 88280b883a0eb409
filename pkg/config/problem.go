package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Severity says whether a Problem stands in the way.
type Severity int

// The severities.
const (
	Warning Severity = iota + 1 // the file works, but probably not as meant
	Fault                       // the file cannot be used
)

// String returns "warning" or "fault".
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Fault:
		return "fault"
	}
	return "severity(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText is String, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Problem is one thing that is wrong, or doubtful, in a file. It never carries the value of a secret.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`             // a stable short name for the kind of problem; see the Code constants
	Path     string   `json:"path"`             // the file, as it was given
	Line     int      `json:"line"`             // from 1; 0: the file as a whole
	Column   int      `json:"column,omitempty"` // from 1, in bytes; 0: not known
	Key      string   `json:"key,omitempty"`    // the dotted key, e.g. runners.autoscaler.policy.idle_count; may be empty
	Message  string   `json:"message"`          // what is wrong
	Remedy   string   `json:"remedy,omitempty"` // what to do about it
}

// Error returns "file:line: key: message (remedy)", leaving out what is empty.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Path)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(" (" + p.Remedy + ")")
	}
	return b.String()
}

// Report is everything found in one file, sorted by line.
type Report struct {
	Problems []Problem
}

// Faults returns the problems that stand in the way.
func (r *Report) Faults() []Problem { return r.of(Fault) }

// Warnings returns the problems that do not.
func (r *Report) Warnings() []Problem { return r.of(Warning) }

func (r *Report) of(severity Severity) []Problem {
	var out []Problem
	for _, p := range r.Problems {
		if p.Severity == severity {
			out = append(out, p)
		}
	}
	return out
}

// Err returns nil when there is no fault, else a [Faults] with all of them.
func (r *Report) Err() error {
	if faults := r.Faults(); len(faults) > 0 {
		return Faults(faults)
	}
	return nil
}

// sort orders by line and column; problems of one place keep the order in which they were found.
func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Faults is the error for a file that cannot be used: all its faults at once.
type Faults []Problem

// Error returns one line a fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, p := range f {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}
