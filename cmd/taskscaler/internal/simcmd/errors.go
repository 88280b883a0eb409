package simcmd

import (
	"errors"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
)

// UsageError is a flag whose value makes no sense: nothing was run.
type UsageError struct {
	Flag string // without its dashes; empty: no single one
	Err  error
	says bool // Err goes on after the flag's name
}

// Error names the flag.
func (e *UsageError) Error() string {
	switch {
	case e.Flag == "":
		return e.Err.Error()
	case e.says:
		return "--" + e.Flag + " " + e.Err.Error()
	}
	return "--" + e.Flag + ": " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// usage is a sentence that begins with the flag.
func usage(flag, text string) error {
	return &UsageError{Flag: flag, Err: errors.New(text), says: true}
}

// AssertionError is a run whose figures break what was asserted. The report was written.
type AssertionError struct {
	Failed []optimise.Verdict
}

// Error has a line for each assertion that fails, with the value that was found.
func (e *AssertionError) Error() string {
	lines := make([]string, len(e.Failed))
	for i, v := range e.Failed {
		lines[i] = "assertion " + v.String()
	}
	return strings.Join(lines, "\n")
}

// UnservedError is a run in which jobs arrived and not one of them started. The report was written.
type UnservedError struct {
	Reason string // why, as far as the run shows
}

// Error says why.
func (e *UnservedError) Error() string { return "not one job was served: " + e.Reason }
