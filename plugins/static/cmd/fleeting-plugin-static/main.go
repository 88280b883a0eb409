// Command fleeting-plugin-static is the plugin of the static provider, whose instances are a fixed list of hosts.
package main

import (
	"os"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/plugins/static"
)

// Set at build time with -ldflags "-X main.version=...".
var (
	version   = "dev"
	revision  = ""
	reference = ""
	builtAt   = ""
)

func main() {
	plugin.Main(&static.InstanceGroup{Manager: os.Getppid()}, plugin.VersionInfo{
		Name: "fleeting-plugin-static", Version: version, Revision: revision, Reference: reference, BuiltAt: builtAt,
	})
}
