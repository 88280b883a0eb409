package plugin

import (
	"fmt"
	"runtime"
	"strings"
)

// VersionInfo describes a build. Only Name is required.
type VersionInfo struct {
	Name      string // name of the binary, e.g. "fleeting-plugin-aws"
	Version   string // e.g. "1.2.3"; empty: "dev"
	Revision  string // commit of the source; empty: unknown
	Reference string // branch or tag of the source; empty: unknown
	BuiltAt   string // time of the build in RFC 3339 form; empty: unknown
}

// String returns the version, for ProviderInfo.Version.
func (v VersionInfo) String() string { return orElse(v.Version, "dev") }

// BuildInfo returns commit, branch, Go version, time and platform of the build in one line, for ProviderInfo.BuildInfo.
func (v VersionInfo) BuildInfo() string {
	return fmt.Sprintf("sha=%s; ref=%s; go=%s; built_at=%s; os_arch=%s/%s", orElse(v.Revision, "unknown"),
		orElse(v.Reference, "unknown"), runtime.Version(), orElse(v.BuiltAt, "unknown"), runtime.GOOS, runtime.GOARCH)
}

// Full returns all fields, one per line, as the command `version` prints them.
func (v VersionInfo) Full() string {
	var b strings.Builder
	for _, line := range [][2]string{
		{"Name:", orElse(v.Name, "unknown")}, {"Version:", v.String()}, {"Git revision:", orElse(v.Revision, "unknown")},
		{"Git reference:", orElse(v.Reference, "unknown")}, {"GO version:", runtime.Version()},
		{"Built:", orElse(v.BuiltAt, "unknown")}, {"OS/Arch:", runtime.GOOS + "/" + runtime.GOARCH},
		{"Protocol:", fmt.Sprintf("taskscaler plugin %d", protocolVersion)},
	} {
		fmt.Fprintf(&b, "%-15s%s\n", line[0], line[1])
	}
	return b.String()
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
