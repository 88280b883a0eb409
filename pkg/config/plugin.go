package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The parts of an upstream plugin's full name that are used when a name leaves them out.
const (
	DefaultRegistry   = "registry.gitlab.com"
	DefaultRepository = "gitlab-org/fleeting/plugins"
	DefaultVersion    = "latest"
)

const binaryPrefix = "fleeting-plugin-"

// PluginRef holds the parts of a plugin's name: name, repository/name or registry/repository/name, each with an optional :constraint.
type PluginRef struct {
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

// ParsePlugin checks the form of a plugin's name. It does not look for the plugin.
func ParsePlugin(text string) (PluginRef, error) {
	var ref PluginRef
	path := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		path, ref.Constraint = text[:i], text[i+1:]
		if !constraintText.MatchString(ref.Constraint) {
			return PluginRef{}, fmt.Errorf(`%q is not a version such as "latest" or "1.5"`, ref.Constraint)
		}
	}
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, ".") || strings.Contains(path, `\`) {
		return PluginRef{}, errors.New("it is a path; put the binary beside taskscaler or into a folder of PATH, and write only its name")
	}
	parts := strings.Split(path, "/")
	last := len(parts) - 1
	ref.Name, parts = parts[last], parts[:last]
	if len(parts) > 0 && isRegistry(parts[0]) {
		ref.Registry, parts = parts[0], parts[1:]
		if !registryPart.MatchString(ref.Registry) {
			return PluginRef{}, fmt.Errorf("%q is not a registry's host name", ref.Registry)
		}
		if len(parts) == 0 {
			return PluginRef{}, errors.New("there is no repository between the registry and the name")
		}
	}
	for _, part := range parts {
		if !pluginPart.MatchString(part) {
			return PluginRef{}, fmt.Errorf("%q is not a valid part of a repository", part)
		}
	}
	ref.Repository = strings.Join(parts, "/")
	if !pluginPart.MatchString(ref.Name) {
		return PluginRef{}, fmt.Errorf("%q is not a valid name", ref.Name)
	}
	return ref, nil
}

// isRegistry reports whether the first part of a name is a host and not part of a repository. The rule is that of container images.
func isRegistry(part string) bool { return strings.ContainsAny(part, ".:") || part == "localhost" }

// Local reports whether the name has no registry and no repository. Such a name means a plugin that is installed on this machine.
func (p PluginRef) Local() bool { return p.Registry == "" && p.Repository == "" }

// ShortName is the name without the prefix "fleeting-plugin-". "gcp" becomes "googlecloud".
func (p PluginRef) ShortName() string {
	short := strings.TrimPrefix(p.Name, binaryPrefix)
	if short == "gcp" {
		return "googlecloud"
	}
	return short
}

// Binary is the file name of the plugin's executable, without the .exe of Windows.
func (p PluginRef) Binary() string { return binaryPrefix + p.ShortName() }
