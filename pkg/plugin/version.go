package plugin

import (
	"fmt"
	"runtime"
	"strings"
)

// VersionInfo says which build of a plugin this is. Only Name is required.
type VersionInfo struct {
	Name      string // of the binary, e.g. "fleeting-plugin-aws"
	Version   string // e.g. "1.2.3"; empty: "dev"
	Revision  string // the source's commit
	Reference string // the source's branch or tag
	BuiltAt   string // when it was built, RFC 3339
}

// String is the version, for ProviderInfo.Version.
func (v VersionInfo) String() string { return orElse(v.Version, "dev") }

// BuildInfo says where the binary comes from, for ProviderInfo.BuildInfo.
func (v VersionInfo) BuildInfo() string {
	return fmt.Sprintf("sha=%s; ref=%s; go=%s; built_at=%s; os_arch=%s/%s", orElse(v.Revision, "unknown"),
		orElse(v.Reference, "unknown"), runtime.Version(), orElse(v.BuiltAt, "unknown"), runtime.GOOS, runtime.GOARCH)
}

// Full is everything, a line each, as `version` prints it.
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
