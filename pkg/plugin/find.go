package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const binaryPrefix = "fleeting-plugin-"

// guide describes how to write and install plugins.
const guide = "docs/plugins.md"

// FindOptions says where Find looks for plugins, in this order. Empty places and relative folders are skipped.
type FindOptions struct {
	Beside string   // the folder of the taskscaler binary
	Dirs   []string // plugin folders
	Path   string   // a list of folders in the form of $PATH
}

// DefaultFindOptions returns the usual places: the folder of the running binary; the folders of $TASKSCALER_PLUGIN_PATH and
// $FLEETING_PLUGIN_PATH; taskscaler/plugins in the user's configuration folder; the folders of $PATH. Pass os.Getenv as getenv.
func DefaultFindOptions(getenv func(string) string) FindOptions {
	o := FindOptions{Path: getenv("PATH")}
	if exe, err := os.Executable(); err == nil {
		if target, err := filepath.EvalSymlinks(exe); err == nil {
			exe = target
		}
		o.Beside = filepath.Dir(exe)
	}
	for _, key := range []string{"TASKSCALER_PLUGIN_PATH", "FLEETING_PLUGIN_PATH"} {
		o.Dirs = append(o.Dirs, filepath.SplitList(getenv(key))...)
	}
	switch config, home := getenv("XDG_CONFIG_HOME"), getenv("HOME"); {
	case config != "":
		o.Dirs = append(o.Dirs, filepath.Join(config, "taskscaler", "plugins"))
	case home != "":
		o.Dirs = append(o.Dirs, filepath.Join(home, ".config", "taskscaler", "plugins"))
	}
	return o
}

// FindError means that a plugin is not installed.
type FindError struct {
	Name      string   // the name in the configuration
	Registry  bool     // the name contains a registry or repository: such plugins use another protocol
	Searched  []string // the folders where Find looked
	Installed []string // the names of the installed plugins, sorted
}

// Error says where Find looked, which plugins are installed, and what to do.
func (e *FindError) Error() string {
	var b strings.Builder
	if e.Registry {
		fmt.Fprintf(&b, "plugin %q names a registry, whose plugins do not use taskscaler's protocol: use the bare name of a plugin "+
			"that is built for taskscaler, e.g. %q", e.Name, bareName(e.Name[strings.LastIndex(e.Name, "/")+1:]))
	} else {
		fmt.Fprintf(&b, "plugin %q is not installed: no %s in %s", e.Name, strings.Join(binaries(e.Name), " or "),
			strings.Join(e.Searched, ", "))
	}
	if len(e.Installed) > 0 {
		fmt.Fprintf(&b, "; installed: %s", strings.Join(e.Installed, ", "))
	} else {
		b.WriteString("; no plugin is installed")
	}
	fmt.Fprintf(&b, "; how to install or write one: %s", guide)
	return b.String()
}

// Find returns the path of the plugin with a name from the configuration. NAME (e.g. "aws" or "fake") and fleeting-plugin-NAME both mean the
// binary fleeting-plugin-NAME. "gcp" and "googlecloud" mean the same plugin. A version after a colon is accepted and ignored. An absolute
// path is used as it is. A relative path is refused: what it means depends on the working directory. If the plugin is not installed, or its name
// contains a registry or repository, the error is a *[FindError].
func Find(name string, o FindOptions) (string, error) {
	switch {
	case strings.TrimSpace(name) == "":
		return "", errors.New("no plugin is set: set `plugin` in [runners.autoscaler], e.g. plugin = \"fake\"")
	case filepath.IsAbs(name):
		return findPath(name)
	case strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../"):
		return "", fmt.Errorf("plugin %q is a relative path, and what it means depends on the working directory: write the absolute path", name)
	case strings.ContainsAny(name, `/\`):
		return "", &FindError{Name: name, Registry: true, Searched: o.folders(), Installed: o.installed()}
	}
	unusable := ""
	for _, dir := range o.folders() {
		for _, binary := range binaries(name) {
			path := filepath.Join(dir, binary)
			if isExecutable(path) {
				return path, nil
			}
			if info, err := os.Stat(path); err == nil && !info.IsDir() && unusable == "" {
				unusable = path
			}
		}
	}
	if unusable != "" {
		return "", fmt.Errorf("plugin %q: %s is not executable: chmod +x %s", name, unusable, unusable)
	}
	return "", &FindError{Name: name, Searched: o.folders(), Installed: o.installed()}
}

func findPath(name string) (string, error) {
	path := filepath.Clean(name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("plugin %q: there is no file %s: install the plugin, or correct `plugin` in the configuration", name, path)
	}
	return path, nil
}

// bareName returns the name without a version and without the prefix of the binary.
func bareName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return strings.TrimPrefix(strings.TrimSuffix(name, ".exe"), binaryPrefix)
}

// binaries returns the file names that the name of a plugin can mean.
func binaries(name string) []string {
	names := []string{bareName(name)}
	switch names[0] {
	case "gcp":
		names = append(names, "googlecloud")
	case "googlecloud":
		names = append(names, "gcp")
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	for i := range names {
		names[i] = binaryPrefix + names[i] + suffix
	}
	return names
}

// folders returns the places in order, each once.
func (o FindOptions) folders() []string {
	var out []string
	for _, dir := range slices.Concat([]string{o.Beside}, o.Dirs, filepath.SplitList(o.Path)) {
		if filepath.IsAbs(dir) && !slices.Contains(out, filepath.Clean(dir)) {
			out = append(out, filepath.Clean(dir))
		}
	}
	return out
}

// installed returns the names of all plugins in these places, sorted.
func (o FindOptions) installed() []string {
	var names []string
	for _, dir := range o.folders() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if name, ok := strings.CutPrefix(e.Name(), binaryPrefix); ok && isExecutable(filepath.Join(dir, e.Name())) {
				names = append(names, strings.TrimSuffix(name, ".exe"))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0)
}
