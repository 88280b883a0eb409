package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// pluginRef holds the parts of a plugin's name: name, repository/name or registry/repository/name, each with an optional :constraint.
type pluginRef struct {
	Registry   string // host, may have a port; empty: not written
	Repository string // path before the name; empty: not written
	Name       string // the last part, as written
	Constraint string // "latest", "1", "1.5" or "1.5.1"; empty: not written
}

var (
	pluginPart     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	registryPart   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?$`)
	constraintText = regexp.MustCompile(`^(latest|[0-9]{1,9}(\.[0-9]{1,9}){0,2})$`)
)

// parsePlugin checks the form of a plugin's name. It does not look for the plugin.
func parsePlugin(text string) (pluginRef, error) {
	var ref pluginRef
	path := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		path, ref.Constraint = text[:i], text[i+1:]
		if !constraintText.MatchString(ref.Constraint) {
			return pluginRef{}, fmt.Errorf(`%q is not a version such as "latest" or "1.5"`, ref.Constraint)
		}
	}
	parts := strings.Split(path, "/")
	last := len(parts) - 1
	ref.Name, parts = parts[last], parts[:last]
	if len(parts) > 0 && isRegistry(parts[0]) {
		ref.Registry, parts = parts[0], parts[1:]
		if !registryPart.MatchString(ref.Registry) {
			return pluginRef{}, fmt.Errorf("%q is not a registry's host name", ref.Registry)
		}
		if len(parts) == 0 {
			return pluginRef{}, errors.New("there is no repository between the registry and the name")
		}
	}
	for _, part := range parts {
		if !pluginPart.MatchString(part) {
			return pluginRef{}, fmt.Errorf("%q is not a valid part of a repository", part)
		}
	}
	ref.Repository = strings.Join(parts, "/")
	if !pluginPart.MatchString(ref.Name) {
		return pluginRef{}, fmt.Errorf("%q is not a valid name", ref.Name)
	}
	return ref, nil
}

// isPath reports whether a plugin is written as the path of its binary.
func isPath(text string) bool {
	return filepath.IsAbs(text) || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
}

// foreign reports whether the name belongs to a registry or a repository.
func (p pluginRef) foreign() bool { return p.Registry != "" || p.Repository != "" }

// bare returns the name without the prefix that plugin binaries have.
func (p pluginRef) bare() string { return strings.TrimPrefix(p.Name, "fleeting-plugin-") }

// isRegistry reports whether the first part of a name is a host and not part of a repository. The rule is that of container images.
func isRegistry(part string) bool { return strings.ContainsAny(part, ".:") || part == "localhost" }
