package plugin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// installed returns the names of all plugins in these places, sorted.
func (o FindOptions) installed() []string {
	var names []string
	for _, l := range Installed(o) {
		if !isExecutable(l.Path) {
			continue
		}
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Installed returns all plugins in these places, in the order in which they are looked for. A plugin that [Locate] cannot return under its bare name is
// among them too: an older version, one that an earlier place hides, or one that cannot be executed. A plugin in the layout has the name under which it is
// always found: registry/repository/name.
func Installed(o FindOptions) []Location {
	var all []Location
	plugins := o.pluginFolders()
	for _, dir := range o.folders() {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if name, ok := strings.CutPrefix(e.Name(), binaryPrefix); ok {
				all = append(all, Location{Name: strings.TrimSuffix(name, ".exe"), Path: filepath.Join(dir, e.Name()), Why: o.whyFolder(dir)})
			}
		}
		if !slices.Contains(plugins, dir) {
			continue
		}
		for _, i := range installations(dir) {
			all = append(all, Location{Name: i.source, Version: i.text, Path: i.path, Why: "it is in the plugin folder " + dir})
		}
	}
	return all
}
