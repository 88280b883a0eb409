package plugin

import (
	"cmp"
	"os"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// dir returns the folder for the state of the plugin; "": none. Before Init s may be nil.
func (s *initState) dir(opts *LaunchOptions) string {
	if s == nil {
		return opts.StateDir
	}
	return cmp.Or(s.settings.Reveal().StateDir, opts.StateDir)
}

// stateDir creates the folder for the state of the plugin and returns its path; "" if it gets none.
func (p *Process) stateDir(state *initState) (string, error) {
	dir := state.dir(&p.opts)
	if dir == "" {
		return "", nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", provider.Errorf(provider.KindConfig, "the folder for the state of plugin %s cannot be created, set state_storage.dir to a folder that can be written: %w", p.name, err)
	}
	return dir, nil
}

// dropStateDir removes the folder if it is empty: most plugins write nothing.
func dropStateDir(dir string) {
	if dir != "" {
		_ = os.Remove(dir)
	}
}
