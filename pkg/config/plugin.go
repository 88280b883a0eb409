package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/secret"
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

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment reads a list of environment variables: NAME, PREFIX_* or NAME=value. Its messages do not show values.
func (s section) environment(key string) []Secret {
	const remedy = `write "NAME" to pass a variable of the manager, "PREFIX_*" for all that begin so, or "NAME=value"`
	var out []Secret
	seen := map[string]bool{}
	for i, n := range s.texts(key) {
		text, _ := n.value.(string)
		name, value, sets := strings.Cut(text, "=")
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !environmentName.MatchString(strings.TrimSuffix(name, "*")) || sets && strings.HasSuffix(name, "*"):
			s.fault(CodeValue, n, at, "does not begin with the name of a variable, which has letters, digits and underscores", remedy)
		case strings.ContainsRune(value, 0):
			s.fault(CodeValue, n, at, "the value of "+name+" has a byte of zero, which no variable can have", "remove it")
		case seen[name]:
			s.fault(CodeValue, n, at, name+" is in the list twice", "remove one of both")
		case strings.HasPrefix(name, "TASKSCALER_PLUGIN_") && name != "TASKSCALER_PLUGIN_PATH" || slices.Contains(transportVariables, name):
			s.fault(CodeValue, n, at, name+" belongs to the connection of manager and plugin, and the manager sets it", "remove it")
		default:
			out = append(out, secret.New(text))
		}
		seen[name] = true
	}
	return out
}

// transportVariables are set for each plugin process by the library that connects it.
var transportVariables = []string{
	"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_UNIX_SOCKET_DIR", "PLUGIN_UNIX_SOCKET_GROUP",
}

// isPath reports whether a plugin is written as the path of its binary.
func isPath(text string) bool {
	return filepath.IsAbs(text) || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
}

// gitLabs reports whether the name is that of one of GitLab's own plugins, written with its repository.
func (p pluginRef) gitLabs() bool {
	return (p.Registry == "" || p.Registry == "registry.gitlab.com") && p.Repository == "gitlab-org/fleeting/plugins"
}

// bare returns the name without the prefix that plugin binaries have.
func (p pluginRef) bare() string { return strings.TrimPrefix(p.Name, "fleeting-plugin-") }

// isRegistry reports whether the first part of a name is a host and not part of a repository. The rule is that of container images.
func isRegistry(part string) bool { return strings.ContainsAny(part, ".:") || part == "localhost" }
