package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// runner is one autoscaling runner of the file, with all that belongs to it. Its parts are made in the order of the fields.
type runner struct {
	file     config.Runner
	log      *slog.Logger
	identity string // empty until it is known: a Shared one needs the provider's group for it
	settings taskscaler.Config
	state    *state
	group    *group
	scaler   *taskscaler.Taskscaler
}

// group is a plugin process whose Init was called before its manager is made: so all groups of the file are known before anything is
// done to one of them.
type group struct {
	*plugin.Process
	info provider.ProviderInfo
}

// Init is the answer to the Init that was called.
func (g *group) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return g.info, nil
}

var _ provider.InstanceGroup = (*group)(nil)

// prepare takes the runner's lock, starts its plugin and learns its group. Nothing is changed in the group.
func (r *runner) prepare(ctx context.Context, o *Options) (err error) {
	if r.settings, err = setup.Config(r.file); err != nil {
		return err
	}
	if o.Private {
		r.settings = private(r.settings)
	}
	launch, err := setup.Plugin(o.File, r.file, o.Plugins)
	if err != nil {
		return err
	}
	launch.Logger = r.log
	return r.wrap(r.launch(ctx, launch, o))
}

// launch opens the state and starts the plugin. A runner that shares its identity needs the provider's group before its state is known.
func (r *runner) launch(ctx context.Context, launch plugin.LaunchOptions, o *Options) error {
	if !r.file.Shared {
		if err := r.open(r.file.Identity(), o); err != nil {
			return err
		}
	}
	process, err := plugin.Launch(ctx, launch)
	if err != nil {
		return err
	}
	r.group = &group{Process: process}
	r.group.info, err = process.Init(ctx, nil, provider.Settings{ConnectorConfig: r.settings.Connector})
	if err != nil {
		hint := "the plugin's own messages may say more"
		if provider.KindOf(err) == provider.KindConfig {
			hint = "correct plugin_config"
		}
		return fmt.Errorf("the plugin %s could not be initialised: %w; %s", filepath.Base(launch.Path), err, hint)
	}
	if r.file.Shared {
		return r.open(r.file.GroupIdentity(r.group.info.ID), o)
	}
	return nil
}

func (r *runner) open(identity string, o *Options) (err error) {
	r.identity = identity
	r.state, err = openState(r.file, identity, o.Socket, o.Private)
	return err
}

// start makes the manager; from then on the group is worked on.
func (r *runner) start(ctx context.Context, o *Options) (err error) {
	opts := []taskscaler.Option{taskscaler.WithStore(r.state), taskscaler.WithLogger(r.log)}
	if j := r.file.Autoscaler.Journal; j.Enabled && !o.Private {
		opts = append(opts, taskscaler.WithJournal(r.state.journal(), taskscaler.JournalOptions{MaxBytes: j.MaxSize, Version: o.Version}))
	}
	r.scaler, err = taskscaler.New(ctx, r.group, r.settings, opts...)
	return r.wrap(err)
}

func (r *runner) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("runner %s: %w", r.file.Label(), err)
}

// shutdown ends the manager in an orderly way, and gives up what it held.
func (r *runner) shutdown(ctx context.Context) error {
	err := r.scaler.Shutdown(ctx)
	return r.wrap(errors.Join(err, r.close(err == nil && r.state.ours)))
}

// endPatience bounds the end of a plugin that has nothing left to do.
const endPatience = 3 * time.Second

func (g *group) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	return g.Close(ctx)
}

// close gives up what the runner holds, whatever stage it has reached; with remove, its state goes too.
func (r *runner) close(remove bool) error {
	var errs []error
	if r.group != nil {
		errs = append(errs, r.group.end())
	}
	if r.state != nil {
		errs = append(errs, r.state.finish(remove))
	}
	return errors.Join(errs...)
}
