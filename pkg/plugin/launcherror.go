package plugin

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Reason says why a plugin did not start.
type Reason uint8

// The reasons.
const (
	ReasonUnknown         Reason = iota
	ReasonNotFound               // there is no such file
	ReasonNotExecutable          // no permission, a folder, or built for another platform
	ReasonNotAPlugin             // it is a program, but not a plugin
	ReasonForeignProtocol        // it is a plugin of another program, or of a taskscaler with another protocol
	ReasonChecksum               // its SHA-256 sum differs from plugin_sha256
	ReasonStartTimeout           // it printed nothing within StartTimeout
	ReasonExitedEarly            // it ended before it was ready
	ReasonCancelled              // the context of Launch ended
	ReasonInsecure               // other users can replace the executable
)

// String returns the name of the reason.
func (r Reason) String() string {
	names := [...]string{
		"unknown", "not found", "not executable", "not a plugin", "foreign protocol", "checksum mismatch", "start timeout",
		"exited early", "cancelled", "insecure path",
	}
	if int(r) < len(names) {
		return names[r]
	}
	return names[0]
}

// LaunchError says why a plugin did not start, for the person who configured it.
type LaunchError struct {
	Path   string
	Reason Reason
	Detail string   // what was observed
	Stderr []string // the last lines that the plugin wrote to standard error, without secrets
	Err    error    // the cause; nil: none is known
}

// Error says what happened and what to do.
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
		b.WriteString("; its last output: " + strings.Join(e.Stderr, " | "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *LaunchError) Unwrap() error { return e.Err }

func (e *LaunchError) hint() string {
	switch e.Reason {
	case ReasonNotFound:
		return "install the plugin, or correct `plugin` in the configuration"
	case ReasonNotExecutable:
		if strings.Contains(e.Detail, ": ") { // it says what to do
			return ""
		}
		return fmt.Sprintf("%s must be an executable file built for this machine", e.Path)
	case ReasonNotAPlugin:
		if strings.Contains(e.Detail, "it printed") {
			return fmt.Sprintf("%s is not a taskscaler plugin, or it prints to standard output before plugin.Main; correct `plugin` in the configuration, or the plugin", e.Path)
		}
		return fmt.Sprintf("%s is not a taskscaler plugin; correct `plugin` in the configuration", e.Path)
	case ReasonForeignProtocol:
		return fmt.Sprintf("taskscaler needs its own build of this plugin: put it beside the taskscaler binary, or replace %s", e.Path)
	case ReasonChecksum:
		return "if you have updated the plugin, update the sum too (plugin_sha256, or with `taskscaler plugin lock`)"
	case ReasonInsecure:
		return "mend that first; plugin_insecure_path = true in [runners.autoscaler] accepts the risk that such a user runs programs as the user of the manager"
	case ReasonStartTimeout:
		return fmt.Sprintf("run `%s version` to see whether it is a taskscaler plugin", e.Path)
	}
	return ""
}
