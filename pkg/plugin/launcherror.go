package plugin

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Reason is why a plugin did not start.
type Reason uint8

// The reasons.
const (
	ReasonUnknown         Reason = iota
	ReasonNotFound               // there is no such file
	ReasonNotExecutable          // no permission, a folder, or built for another platform
	ReasonNotAPlugin             // it runs, but it is no plugin
	ReasonForeignProtocol        // a plugin of another program, or of a taskscaler whose protocol differs
	ReasonChecksum               // the file is not the one that plugin_sha256 names
	ReasonStartTimeout           // it said nothing in time
	ReasonExitedEarly            // it ended before it was ready
	ReasonCancelled              // the caller gave up
)

// String is the reason's name.
func (r Reason) String() string {
	names := [...]string{
		"unknown", "not found", "not executable", "not a plugin", "foreign protocol", "checksum mismatch", "start timeout",
		"exited early", "cancelled",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return names[0]
}

// LaunchError says why a plugin did not start, in words for the person who configured it.
type LaunchError struct {
	Path   string
	Reason Reason
	Detail string   // what was seen
	Stderr []string // the last lines that the plugin wrote to standard error, secrets removed
	Err    error    // the cause, where there is one
}

// Error is a sentence that says what to do.
func (e *LaunchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plugin %s: %s", filepath.Base(e.Path), e.Detail)
	if e.Detail == "" {
		b.WriteString(e.Reason.String())
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if hint := e.hint(); hint != "" {
		b.WriteString("; " + hint)
	}
	if len(e.Stderr) > 0 {
		b.WriteString("; its last words: " + strings.Join(e.Stderr, " | "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *LaunchError) Unwrap() error { return e.Err }

func (e *LaunchError) hint() string {
	switch e.Reason {
	case ReasonNotFound:
		return "install the plugin or correct `plugin` in the configuration"
	case ReasonNotExecutable:
		return fmt.Sprintf("%s must be an executable file built for this machine", e.Path)
	case ReasonNotAPlugin:
		return fmt.Sprintf("%s is no taskscaler plugin; correct `plugin` in the configuration", e.Path)
	case ReasonForeignProtocol:
		return fmt.Sprintf("taskscaler needs its own build of this plugin: put it beside the taskscaler binary or replace %s", e.Path)
	case ReasonChecksum:
		return "if the plugin was updated on purpose, update plugin_sha256"
	case ReasonStartTimeout:
		return fmt.Sprintf("run `%s version` to see whether it is a taskscaler plugin", e.Path)
	}
	return ""
}
