package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// The registry and the repository of a plugin that is written without them, as in GitLab Runner. Their plugins speak another protocol.
const (
	foreignRegistry   = "registry.gitlab.com"
	foreignRepository = "gitlab-org/fleeting/plugins"
)

const (
	layoutDepth   = 10    // of folders below a plugin folder
	layoutEntries = 10000 // that are looked at in one plugin folder
)

// reference is a plugin as it is written in the configuration.
type reference struct {
	registry, repository string // empty: not written
	name                 string // without the prefix of the binary
	constraint           constraint
}

// parseReference reads name, repository/name or registry/repository/name, each with an optional :constraint. The first part is a registry if it has a dot
// or a port, or is localhost.
func parseReference(text string) reference {
	var r reference
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		text, r.constraint = text[:i], constraint(text[i+1:])
	}
	parts := strings.Split(text, "/")
	r.name = strings.TrimPrefix(strings.TrimSuffix(parts[len(parts)-1], ".exe"), binaryPrefix)
	parts = parts[:len(parts)-1]
	if len(parts) > 0 && (strings.ContainsAny(parts[0], ".:") || parts[0] == "localhost") {
		r.registry, parts = parts[0], parts[1:]
	}
	r.repository = strings.Join(parts, "/")
	return r
}

// bare reports whether neither a registry nor a repository is written.
func (r reference) bare() bool { return r.registry == "" && r.repository == "" }

// source returns the registry, the repository and the name, with the defaults.
func (r reference) source() string {
	registry, repository := r.registry, r.repository
	if registry == "" {
		registry = foreignRegistry
	}
	if repository == "" {
		repository = foreignRepository
	}
	return registry + "/" + repository + "/" + r.name
}

// installation is one version of a plugin in the layout <dir>/<registry>/<repository>/<name>/<version>/plugin.
type installation struct {
	source  string // registry/repository/name
	dir     string // the plugin folder
	path    string
	version version
	text    string // of the version, as its folder is named
}

// name returns the last part of the source.
func (i installation) name() string { return i.source[strings.LastIndexByte(i.source, '/')+1:] }

// ours reports whether a bare name can mean it.
func (i installation) ours() bool {
	return !strings.HasPrefix(i.source, foreignRegistry+"/"+foreignRepository+"/")
}

func installedFile() string {
	if runtime.GOOS == "windows" {
		return "plugin.exe"
	}
	return "plugin"
}

// installations returns what is installed in a plugin folder, sorted by source, the newest version first. Folders that cannot be read are left out.
func installations(dir string) (found []installation) {
	seen := 0
	_ = fs.WalkDir(os.DirFS(dir), ".", func(rel string, e fs.DirEntry, err error) error {
		parts := strings.Split(rel, "/")
		switch seen++; {
		case seen > layoutEntries:
			return fs.SkipAll
		case err != nil || e.IsDir() && len(parts) > layoutDepth: // what cannot be read is left out
			return fs.SkipDir
		case e.IsDir():
			return nil
		case len(parts) < 5 || parts[len(parts)-1] != installedFile(): // registry, repository, name, version, plugin
			return nil
		}
		text, path := parts[len(parts)-2], filepath.Join(dir, filepath.FromSlash(rel))
		if v, ok := parseVersion(text); ok && !isDir(path) {
			found = append(found, installation{source: strings.Join(parts[:len(parts)-2], "/"), dir: dir, path: path, version: v, text: text})
		}
		return nil
	})
	slices.SortStableFunc(found, func(a, b installation) int {
		if c := strings.Compare(a.source, b.source); c != 0 {
			return c
		}
		return b.version.compare(a.version)
	})
	return found
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
