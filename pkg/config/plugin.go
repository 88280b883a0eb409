package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Where upstream plugins come from when a plugin's name says only half of it.
const (
	DefaultRegistry   = "registry.gitlab.com"
	DefaultRepository = "gitlab-org/fleeting/plugins"
	DefaultVersion    = "latest"
)

const binaryPrefix = "fleeting-plugin-"

// PluginRef is a plugin's name, taken apart: name, repository/name or registry/repository/name, each with an optional :constraint.
type PluginRef struct {
	Registry   string // host, perhaps with a port; empty: not written
	Repository string // path without the name; empty: not written
	Name       string // last part, as it was written
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
			return PluginRef{}, fmt.Errorf(`%q is no version: it is "latest", or one to three numbers such as 1.5`, ref.Constraint)
		}
	}
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, ".") || strings.Contains(path, `\`) {
		return PluginRef{}, errors.New("it looks like a path: put the binary beside taskscaler or into PATH and write its name")
	}
	parts := strings.Split(path, "/")
	last := len(parts) - 1
	ref.Name, parts = parts[last], parts[:last]
	if len(parts) > 0 && isRegistry(parts[0]) {
		ref.Registry, parts = parts[0], parts[1:]
		if !registryPart.MatchString(ref.Registry) {
			return PluginRef{}, fmt.Errorf("%q is no registry", ref.Registry)
		}
		if len(parts) == 0 {
			return PluginRef{}, errors.New("the repository between registry and name is missing")
		}
	}
	for _, part := range parts {
		if !pluginPart.MatchString(part) {
			return PluginRef{}, fmt.Errorf("%q is no part of a repository", part)
		}
	}
	ref.Repository = strings.Join(parts, "/")
	if !pluginPart.MatchString(ref.Name) {
		return PluginRef{}, fmt.Errorf("%q is no name", ref.Name)
	}
	return ref, nil
}

// isRegistry tells a host from the first part of a repository, by the rule of container images.
func isRegistry(part string) bool { return strings.ContainsAny(part, ".:") || part == "localhost" }

// Local reports whether the name has neither registry nor repository: then it means taskscaler's own plugin, or one installed by hand.
func (p PluginRef) Local() bool { return p.Registry == "" && p.Repository == "" }

// ShortName is the name without the prefix of its binary, and with gcp turned into googlecloud.
func (p PluginRef) ShortName() string {
	short := strings.TrimPrefix(p.Name, binaryPrefix)
	if short == "gcp" {
		return "googlecloud"
	}
	return short
}

// Binary is the name of the plugin's executable, without the .exe that Windows adds.
func (p PluginRef) Binary() string { return binaryPrefix + p.ShortName() }
