package simcmd

import (
	"errors"
	"strings"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
)

// UsageError reports a flag with an invalid value. Nothing was run.
type UsageError struct {
	Flag string // without its dashes; empty: the error is not about a single flag
	Err  error
	says bool // the text of Err continues the sentence that begins with the flag's name
}

// Error returns what is wrong, after the name of the flag.
func (e *UsageError) Error() string {
	switch {
	case e.Flag == "":
		return e.Err.Error()
	case e.says:
		return "--" + e.Flag + " " + e.Err.Error()
	}
	return "--" + e.Flag + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *UsageError) Unwrap() error { return e.Err }

// usage returns a UsageError whose message is a sentence that begins with the flag.
func usage(flag, text string) error {
	return &UsageError{Flag: flag, Err: errors.New(text), says: true}
}

// AssertionError reports a run whose figures do not hold the assertions. The report was written before.
type AssertionError struct {
	Failed []optimise.Verdict
}

// Error returns one line for each failed assertion, with the value that was found.
func (e *AssertionError) Error() string {
	lines := make([]string, len(e.Failed))
	for i, v := range e.Failed {
		lines[i] = safetext.Line("assertion "+v.String(), safetext.MaxLine)
	}
	return strings.Join(lines, "\n")
}

// UnservedError reports a run in which no job started. The report was written before.
type UnservedError struct {
	Reason string // the likely cause, as far as the run shows it
}

// Error returns a message that ends with the reason.
func (e *UnservedError) Error() string { return "no job was served: " + e.Reason }
