package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
)

// LockChange is what a new lock would say of one plugin of the configuration.
type LockChange struct {
	Name string // as the configuration has it
	Path string // the file that was found
	Old  LockedPlugin
	New  LockedPlugin
}

// NewLock finds the plugins of a configuration as if there were no lock, asks each for its version, and returns the lock file with their sums. It does not
// write it. Entries of other configurations in the folder, and of other platforms, stay. Each plugin is started without a configuration
// (plugin.Ask), and the bytes that were summed are those that are started. A plugin that others can replace is refused.
func NewLock(ctx context.Context, file *config.File, find plugin.FindOptions) (*Lock, []LockChange, error) {
	lock, err := OpenLock(file.Path)
	if err != nil {
		return nil, nil, err
	}
	var changes []LockChange
	for _, r := range file.Runners {
		if r.Autoscaler == nil || r.Autoscaler.Plugin == "" {
			continue
		}
		name := r.Autoscaler.Plugin
		if slices.ContainsFunc(changes, func(c LockChange) bool { return c.Name == name }) {
			continue
		}
		change, err := lockPlugin(ctx, lock, r.Autoscaler, find)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", r.Title(), err)
		}
		changes = append(changes, change)
	}
	return lock, changes, nil
}

// OpenLock reads the lock file of a configuration, or returns an empty one for it. The error is a *LockError.
func OpenLock(configPath string) (*Lock, error) {
	lock, err := ReadLock(configPath)
	if err != nil || lock != nil {
		return lock, err
	}
	path, err := filepath.Abs(filepath.Join(filepath.Dir(configPath), LockFile))
	if err != nil {
		return nil, &LockError{LockFile, err}
	}
	return &Lock{Path: path}, nil
}

func lockPlugin(ctx context.Context, lock *Lock, a *config.Autoscaler, find plugin.FindOptions) (LockChange, error) {
	found, err := plugin.Locate(a.Plugin, find)
	if err != nil {
		return LockChange{}, err
	}
	change := LockChange{Name: a.Plugin, Path: found.Path}
	change.Old, _ = lock.Find(a.Plugin)
	sum, err := plugin.Sum(found.Path)
	if err != nil {
		return LockChange{}, err
	}
	about, err := plugin.Ask(ctx, plugin.LaunchOptions{Path: found.Path, SHA256: sum, InsecurePath: a.PluginInsecurePath || a.PluginSHA256 != "", Env: environment(a.PluginEnv)})
	if err != nil {
		return LockChange{}, err
	}
	version := found.Version
	if version == "" {
		version = about.Version
	}
	lock.Set(a.Plugin, version, sum, "")
	change.New, _ = lock.Find(a.Plugin)
	return change, nil
}
