// Command fleeting-plugin-aws is the plugin of AWS, whose instances are those of an Auto Scaling group.
package main

import (
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/plugins/aws"
)

// Set at build time with -ldflags "-X main.version=...".
var (
	version   = "dev"
	revision  = ""
	reference = ""
	builtAt   = ""
)

func main() {
	plugin.Main(&aws.InstanceGroup{}, plugin.VersionInfo{
		Name: "fleeting-plugin-aws", Version: version, Revision: revision, Reference: reference, BuiltAt: builtAt,
	})
}
