// Command fleeting-plugin-fake is the plugin of the fake provider, whose cloud is this machine. The same binary also runs each instance.
package main

import (
	"os"

	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/plugins/fake"
)

// Set at build time with -ldflags "-X main.version=...".
var (
	version   = "dev"
	revision  = ""
	reference = ""
	builtAt   = ""
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == fake.Subcommand {
		os.Exit(fake.InstanceMain(os.Args[2:]))
	}
	plugin.Main(&fake.InstanceGroup{}, plugin.VersionInfo{
		Name: "fleeting-plugin-fake", Version: version, Revision: revision, Reference: reference, BuiltAt: builtAt,
	})
}
