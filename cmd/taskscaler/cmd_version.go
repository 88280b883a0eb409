package main

import (
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// version is set by the linker in a release: -X main.version=…
var version string

func newVersion(env environment) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments(""),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(env.stdout, versionInfo().Full())
			return failed(err)
		},
	}
}

// versionInfo returns the version that the linker and the Go tool wrote into the binary.
func versionInfo() plugin.VersionInfo {
	v := plugin.VersionInfo{Name: "taskscaler", Version: "dev"}
	info, ok := debug.ReadBuildInfo()
	switch {
	case version != "":
		v.Version = version
	case ok && info.Main.Version != "" && info.Main.Version != "(devel)":
		v.Version = info.Main.Version
	}
	if !ok {
		return v
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
