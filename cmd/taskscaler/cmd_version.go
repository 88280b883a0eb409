package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

func newVersion(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(env.stdout, versionInfo().Full())
			return failed(err)
		},
	}
}

// version is the short form.
func version() string { return versionInfo().Version }

// versionInfo is what the Go tool stamped into the binary.
func versionInfo() plugin.VersionInfo {
	v := plugin.VersionInfo{Name: "taskscaler", Version: "dev"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.BuiltAt = s.Value
		}
	}
	return v
}
