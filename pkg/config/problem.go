package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// Severity says whether the file can be used in spite of a Problem.
type Severity int

// The severities.
const (
	Warning Severity = iota + 1 // the file can be used, but probably does not do what was meant
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

// Problem is one fault or warning. It never contains the value of a secret.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`             // a short name of the kind of problem, one of the Code constants; it does not change
	Path     string   `json:"path"`             // the path of the file, as the caller gave it
	Line     int      `json:"line"`             // starting at 1; 0: the file as a whole
	Column   int      `json:"column,omitempty"` // starting at 1, in bytes; 0: unknown
	Key      string   `json:"key,omitempty"`    // the dotted key, e.g. runners.autoscaler.policy.idle_count; may be empty
	Message  string   `json:"message"`          // what is wrong
	Remedy   string   `json:"remedy,omitempty"` // what to do
}

// Error returns "file:line: key: message (remedy)", without the parts that are empty. It is one printable line, whatever the file contains.
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
	return safetext.Line(b.String(), safetext.MaxLine)
}

// Report is everything found in one file, sorted by line.
type Report struct {
	Problems []Problem
}

// Faults returns the problems that make the file unusable.
func (r *Report) Faults() []Problem { return r.of(Fault) }

// Warnings returns the other problems.
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

// Err returns nil when there is no fault. Otherwise it returns a [Faults] with all of them.
func (r *Report) Err() error {
	if faults := r.Faults(); len(faults) > 0 {
		return Faults(faults)
	}
	return nil
}

// sort orders the problems by line and column. Problems at the same place keep their order.
func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Faults is the error for a file that cannot be used. It holds all faults of the file.
type Faults []Problem

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, p := range f {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}
