// Command fleeting-plugin-shed is a plugin of taskscaler. Its machines are processes in a folder, or those of an HTTP API: replace both by your cloud.
package main

import (
	"os"

	"github.com/taskscaler/taskscaler/pkg/plugin"

	"github.com/taskscaler/taskscaler/examples/plugin/local"
)

// Set at build time: see the Makefile.
var version, revision = "dev", ""

func main() {
	if dir := local.MachineDir(os.Args); dir != "" { // this process is a machine, and not the plugin
		os.Exit(local.RunMachine(dir))
	}
	plugin.Main(&Group{}, plugin.VersionInfo{Name: "fleeting-plugin-shed", Version: version, Revision: revision})
}
