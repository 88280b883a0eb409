package runner

import (
	"context"
	_ "embed" // for the configuration
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

//go:embed config.toml
var ownConfig []byte

// StartFleet starts the manager of the first runner of a config.toml. Without a path, it takes the one in this folder, and keeps everything of it
// in the folder dir. Shutdown of the manager ends the plugin and closes the state. A file that cannot be used is a *ConfigError.
func StartFleet(ctx context.Context, path, dir string, log *slog.Logger) (*taskscaler.Taskscaler, error) {
	own := path == ""
	if own {
		path = filepath.Join(dir, "config.toml")
		if err := os.WriteFile(path, ownConfig, 0o600); err != nil {
			return nil, err
		}
	}
	file, report, err := config.Load(path)
	if err == nil {
		err = report.Err()
	}
	if err == nil && len(file.Runners) == 0 {
		err = fmt.Errorf("%s has no [[runners]]: add one with a [runners.autoscaler] section", file.Path)
	}
	if err != nil {
		return nil, &ConfigError{Err: err}
	}
	return start(ctx, file, file.Runners[0], log)
}

// ConfigError means that the config.toml cannot be read, or has faults.
type ConfigError struct{ Err error }

// Error returns the faults, each with its line.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }

func start(ctx context.Context, file *config.File, runner config.Runner, log *slog.Logger) (*taskscaler.Taskscaler, error) {
	if why := setup.Unsupported(runner); why != "" {
		return nil, errors.New(why)
	}
	settings, err := setup.Config(runner)
	if err != nil {
		return nil, err
	}
	launch, err := setup.Plugin(file, runner, plugin.DefaultFindOptions(os.Getenv))
	if err != nil {
		return nil, err
	}
	store, err := openState(runner)
	if err != nil {
		return nil, err
	}
	launch.Logger = log
	group, err := plugin.Launch(ctx, launch)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return taskscaler.New(ctx, group, settings, taskscaler.WithStore(store), taskscaler.WithLogger(log))
}

// openState opens the state file, or makes a state in memory that ends with this process.
func openState(runner config.Runner) (statestore.Store, error) {
	if !runner.Autoscaler.StateStorage.Enabled {
		return statestore.NewMemory(), nil
	}
	options, err := setup.StateOptions(runner, os.Getenv)
	if err != nil {
		return nil, err
	}
	return statestore.OpenBolt(setup.StateDir(runner, ""), options)
}
