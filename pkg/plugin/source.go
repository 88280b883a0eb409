package plugin

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Source is where a plugin of the installed layout comes from.
type Source struct {
	Registry   string // a host, perhaps with a port
	Repository string // without the name
	Name       string
	Constraint string // the versions that are meant; see Locate
}

// ParseSource reads repository/NAME or registry/repository/NAME, each with an optional :version, as Locate does. A bare name is refused: it has no source.
func ParseSource(text string) (Source, error) {
	ref := parseReference(text)
	switch {
	case ref.bare() || filepath.IsAbs(text) || ref.repository == "" || !filepath.IsLocal(ref.source()) || strings.Contains(ref.source(), "//"):
		return Source{}, fmt.Errorf("%q does not say where the plugin comes from: write registry/repository/name, and a version such as :1.5 if it must not be the newest", text)
	case ref.name == "" || !ref.constraint.valid():
		return Source{}, fmt.Errorf("%q has no valid name or version: write registry/repository/name:version, where the version is latest, or one such as 1, 1.5 or 1.5.1", text)
	}
	s := Source{Registry: ref.registry, Repository: ref.repository, Name: ref.name, Constraint: string(ref.constraint)}
	s.Registry = orElse(s.Registry, foreignRegistry)
	return s, nil
}

// String returns registry/repository/name.
func (s Source) String() string { return s.Registry + "/" + s.Repository + "/" + s.Name }

// File returns where a version of the plugin is installed in a plugin folder.
func (s Source) File(dir, version string) string {
	return filepath.Join(dir, filepath.FromSlash(s.String()), version, installedFile())
}

// Newest returns the newest of the versions that a constraint means, as it is written in the list; "" if there is none. Texts that are no versions are left
// out.
func Newest(constraintText string, versions []string) string {
	var texts []string
	var parsed []version
	for _, text := range versions {
		if v, ok := parseVersion(text); ok {
			texts, parsed = append(texts, text), append(parsed, v)
		}
	}
	if best := constraint(constraintText).newest(parsed); best >= 0 {
		return texts[best]
	}
	return ""
}

// IsVersion reports whether a text is a semantic version, such as 1.5.1.
func IsVersion(text string) bool {
	_, ok := parseVersion(text)
	return ok
}

// PlatformOf returns the os/arch for which a program was built, as its header says; "" if it does not say.
func PlatformOf(path string) string { return kindOf(path).platform }
