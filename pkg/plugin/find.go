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

// Location is a plugin that was found.
type Location struct {
	Name    string // without the prefix of the binary, such as "aws"; of a plugin from a registry registry/repository/name; of a path the path
	Version string // of the installed layout; empty: only the plugin itself knows it
	Path    string // the file that a start executes; absolute
	Why     string // why this file, as a sentence for people
	// Constraint is the version that the configuration asks for, if the place of the file does not tell whether it has it. See LaunchOptions.Version.
	Constraint string
}

// FindError means that a plugin is not installed.
type FindError struct {
	Name      string   // the name in the configuration
	Registry  bool     // the name contains a registry or repository
	Searched  []string // the folders where Find looked
	Installed []string // the names of the installed plugins, sorted
	Versions  []string // of the plugin, which are installed and not meant; newest first
}

// Error says where Find looked, which plugins are installed, and what to do.
func (e *FindError) Error() string {
	var b strings.Builder
	ref := parseReference(e.Name)
	where := strings.Join(e.Searched, ", ")
	if where == "" {
		where = "any folder, because there is none to look in"
	}
	switch {
	case len(e.Versions) > 0:
		fmt.Fprintf(&b, "plugin %q is not installed in this version: installed are %s; install one that matches, or correct the version", e.Name, strings.Join(e.Versions, ", "))
	case e.Registry:
		fmt.Fprintf(&b, "plugin %q names a registry or a repository, and is not installed: no %s in %s; plugins that are built for GitLab Runner do not use taskscaler's protocol, "+
			"so use the bare name of one that is built for taskscaler, e.g. %q", e.Name, filepath.Join(filepath.FromSlash(ref.source()), "VERSION", installedFile()), where, ref.name)
	default:
		fmt.Fprintf(&b, "plugin %q is not installed: no %s in %s", e.Name, strings.Join(binaries(ref.name), " or "), where)
	}
	if len(e.Installed) > 0 {
		fmt.Fprintf(&b, "; installed: %s", strings.Join(e.Installed, ", "))
	} else {
		b.WriteString("; no plugin is installed")
	}
	fmt.Fprintf(&b, "; how to install or write one: %s", guide)
	return b.String()
}

// Find returns the path of the plugin with a name from the configuration: see [Locate].
func Find(name string, o FindOptions) (string, error) {
	found, err := Locate(name, o)
	return found.Path, err
}

// Locate finds the plugin with a name from the configuration.
//
//   - NAME (e.g. "aws" or "fake") and fleeting-plugin-NAME both mean the binary fleeting-plugin-NAME in one of the folders, or the newest version in
//     <folder>/<registry>/<repository>/NAME/<version>/plugin of a plugin folder. "gcp" and "googlecloud" mean the same plugin.
//   - repository/NAME and registry/repository/NAME mean the newest version of this plugin in a plugin folder.
//   - A version after a colon ("latest", "1", "1.5", "1.5.1") says which versions are meant. A binary that is not in a folder of its version has its
//     version checked when it runs.
//   - An absolute path is used as it is. A relative path is refused: what it means depends on the working directory.
//
// If the plugin is not installed, the error is a *[FindError].
func Locate(name string, o FindOptions) (Location, error) {
	switch {
	case strings.TrimSpace(name) == "":
		return Location{}, errors.New("no plugin is set: set `plugin` in [runners.autoscaler], e.g. plugin = \"fake\"")
	case filepath.IsAbs(name):
		return locatePath(name)
	case strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../"):
		return Location{}, fmt.Errorf("plugin %q is a relative path, and what it means depends on the working directory: write the absolute path", name)
	}
	ref := parseReference(name)
	if !ref.constraint.valid() {
		return Location{}, fmt.Errorf("plugin %q: %q is not a version: write latest, or one such as 1, 1.5 or 1.5.1", name, ref.constraint)
	}
	if ref.bare() {
		return locateBare(name, ref, o)
	}
	var candidates []installation
	for _, dir := range o.pluginFolders() {
		for _, i := range installations(dir) {
			if i.source == ref.source() {
				candidates = append(candidates, i)
			}
		}
	}
	return choose(name, ref, candidates, &FindError{Name: name, Registry: true, Searched: o.pluginFolders()}, o)
}

// locateBare looks for a plugin without a registry. A version that is written is first looked for in the folders of versions.
func locateBare(name string, ref reference, o FindOptions) (Location, error) {
	versions, err := o.versionsOf(name, ref)
	if err != nil {
		return Location{}, err
	}
	if !ref.constraint.any() && ref.constraint.newest(versionsIn(versions)) >= 0 {
		return choose(name, ref, versions, nil, o)
	}
	unusable := ""
	for _, dir := range o.folders() {
		for _, binary := range binaries(ref.name) {
			path := filepath.Join(dir, binary)
			if isExecutable(path) {
				found := Location{Name: ref.name, Path: path, Why: o.whyFolder(dir)}
				if !ref.constraint.any() {
					found.Constraint = string(ref.constraint)
					found.Why += "; whether its version matches " + found.Constraint + " is checked when it starts"
				}
				return found, nil
			}
			if _, err := os.Lstat(path); err == nil && unusable == "" {
				unusable = path
			}
		}
		if here := within(versions, dir); ref.constraint.any() && len(here) > 0 {
			return choose(name, ref, here, nil, o)
		}
	}
	if unusable != "" {
		return Location{}, fmt.Errorf("plugin %q: %w", name, inspect(unusable, true))
	}
	return choose(name, ref, versions, &FindError{Name: name, Searched: o.folders()}, o)
}

// choose returns the newest of the installed versions that is meant.
func choose(name string, ref reference, candidates []installation, none *FindError, o FindOptions) (Location, error) {
	best := ref.constraint.newest(versionsIn(candidates))
	if best < 0 {
		for _, c := range candidates {
			none.Versions = append(none.Versions, c.text)
		}
		none.Installed = o.installed()
		return Location{}, none
	}
	c := candidates[best]
	if !isExecutable(c.path) {
		return Location{}, fmt.Errorf("plugin %q: %w", name, inspect(c.path, true))
	}
	matching := 0
	for _, v := range candidates {
		if ref.constraint.allows(v.version) {
			matching++
		}
	}
	found := Location{Name: c.name(), Version: c.text, Path: c.path, Why: "it is the only installed version that matches, in the plugin folder " + c.dir}
	if matching > 1 {
		found.Why = fmt.Sprintf("it is the newest of %d installed versions that match, in the plugin folder %s", matching, c.dir)
	}
	if !ref.bare() {
		found.Name = c.source
	}
	return found, nil
}

// versionsOf returns the installed versions of a plugin without a registry, all from one source.
func (o FindOptions) versionsOf(name string, ref reference) (found []installation, err error) {
	for _, dir := range o.pluginFolders() {
		for _, i := range installations(dir) {
			if i.ours() && slices.Contains(binaries(ref.name), binaries(i.name())[0]) {
				found = append(found, i)
			}
		}
	}
	var sources []string
	for _, i := range found {
		sources = append(sources, i.source)
	}
	slices.Sort(sources)
	if sources = slices.Compact(sources); len(sources) > 1 {
		return nil, fmt.Errorf("plugin %q can mean several installed plugins: write one of %s", name, strings.Join(sources, ", "))
	}
	return found, nil
}

func versionsIn(list []installation) []version {
	all := make([]version, len(list))
	for i, c := range list {
		all[i] = c.version
	}
	return all
}

func within(list []installation, dir string) []installation {
	return slices.DeleteFunc(slices.Clone(list), func(i installation) bool { return i.dir != dir })
}

// whyFolder says why a plugin in a folder is taken.
func (o FindOptions) whyFolder(dir string) string {
	switch {
	case o.Beside != "" && dir == filepath.Clean(o.Beside):
		return "it is beside the taskscaler binary"
	case slices.Contains(o.pluginFolders(), dir):
		return "it is in the plugin folder " + dir
	}
	return "it is in PATH, and no folder before it has one"
}

func locatePath(name string) (Location, error) {
	path := filepath.Clean(name)
	found := Location{Name: path, Path: path, Why: "the configuration names this file"}
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return found, nil // a launch says what else is wrong
	}
	return Location{}, fmt.Errorf("plugin %q: %w", name, inspect(path, true))
}

// binaries returns the file names that the bare name of a plugin can mean.
func binaries(name string) []string {
	names := []string{name}
	switch name {
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
	return absolute(slices.Concat([]string{o.Beside}, o.Dirs, filepath.SplitList(o.Path)))
}

// pluginFolders returns the plugin folders in order, each once.
func (o FindOptions) pluginFolders() []string { return absolute(o.Dirs) }

func absolute(dirs []string) []string {
	var out []string
	for _, dir := range dirs {
		if filepath.IsAbs(dir) && !slices.Contains(out, filepath.Clean(dir)) {
			out = append(out, filepath.Clean(dir))
		}
	}
	return out
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && (runtime.GOOS == "windows" || info.Mode().Perm()&0o111 != 0)
}
