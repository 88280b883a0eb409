package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/pkg/setup"
	"github.com/taskscaler/taskscaler/pkg/statestore"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// runner is one autoscaling runner of the file with all its parts. The parts are made in the order of the fields.
type runner struct {
	file     config.Runner // as the manager's start has read it
	conf     config.Runner // what it is made from: file, or its correction before it has started
	log      *slog.Logger
	identity string // empty until it is known: a Shared runner needs the provider's group for it
	settings secret.Value[taskscaler.Config]
	keys     statestore.BoltOptions // how the state is encrypted
	state    *state
	group    *group
	held     held

	corrected chan config.Runner // for retry

	mu     sync.Mutex
	scaler *taskscaler.Taskscaler // nil: it has not started
	failed *failed                // why not; nil: nothing has failed
}

func newRunner(r config.Runner, log *slog.Logger) *runner {
	return &runner{file: r, conf: r, log: log.With("runner", setup.Name(r)), corrected: make(chan config.Runner, 1)}
}

// group is a plugin process. Its Init was called before its manager is made, so that all groups of the file are known before any of them is
// changed.
type group struct {
	*plugin.Process
	info provider.ProviderInfo
}

// Init returns the answer of the Init that was called before.
func (g *group) Init(context.Context, hclog.Logger, provider.Settings) (provider.ProviderInfo, error) {
	return g.info, nil
}

var _ provider.InstanceGroup = (*group)(nil)

// prepare takes the runner's lock, starts its plugin and asks for its group, which must not be that of an earlier runner. It changes nothing in
// the group.
func (r *runner) prepare(ctx context.Context, o *Options, earlier []*runner) (err error) {
	settings, err := setup.Config(r.conf)
	if err != nil {
		return err
	}
	if r.keys, err = setup.StateOptions(r.conf, os.Getenv); err != nil {
		return err
	}
	if o.Private {
		settings = private(settings)
	}
	r.settings = secret.Hide(settings)
	launch, err := setup.Plugin(o.File, r.conf, o.Plugins)
	if err != nil {
		return err
	}
	launch.Logger = r.log
	return r.launch(ctx, launch, o, earlier)
}

// launch opens the state and starts the plugin. If the runner's identity is shared, its state directory is known only after the plugin's Init.
func (r *runner) launch(ctx context.Context, launch plugin.LaunchOptions, o *Options, earlier []*runner) error {
	if !r.file.Shared {
		if err := r.open(r.file.Identity(), o); err != nil {
			return r.wrap(err)
		}
	}
	process, err := plugin.Launch(ctx, launch)
	if err != nil {
		return r.wrap(err)
	}
	r.group = &group{Process: process}
	r.group.info, err = process.Init(ctx, nil, provider.Settings{ConnectorConfig: r.settings.Reveal().Connector})
	if err != nil {
		hint := "see the plugin's messages in the log"
		if provider.KindOf(err) == provider.KindConfig {
			hint = "correct plugin_config, or the file that this message names"
		}
		return r.wrap(fmt.Errorf("the plugin %s could not be initialised: %w; %s", filepath.Base(launch.Path), err, hint))
	}
	if err := sameGroup(earlier, r); err != nil { // before the state: two runners of one identity and one group have one state directory
		return err
	}
	if r.file.Shared {
		return r.wrap(r.open(r.file.GroupIdentity(r.group.info.ID), o))
	}
	return nil
}

func (r *runner) open(identity string, o *Options) (err error) {
	r.identity = identity
	opts := r.keys
	opts.Socket = o.Socket
	r.state, err = openState(r.conf, identity, opts, o.Private)
	if err != nil {
		return err
	}
	for _, w := range r.state.bolt.Warnings() {
		r.log.Warn("the state directory is not safe", "warning", w)
	}
	return nil
}

// start makes the manager, which from then on changes the group.
func (r *runner) start(ctx context.Context, o *Options) error {
	opts := []taskscaler.Option{taskscaler.WithStore(r.state), taskscaler.WithLogger(r.log)}
	if j := r.conf.Autoscaler.Journal; j.Enabled && !o.Private {
		opts = append(opts, taskscaler.WithJournal(r.state.journal(), taskscaler.JournalOptions{MaxBytes: j.MaxSize, Version: o.Version}))
	}
	t, err := taskscaler.New(ctx, r.group, r.settings.Reveal(), opts...)
	if err != nil {
		return r.wrap(err)
	}
	r.begun(t)
	return nil
}

func (r *runner) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", r.file.Title(), err)
}

// shutdown ends the manager gracefully and releases what the runner holds.
func (r *runner) shutdown(ctx context.Context) error {
	err := r.running().Shutdown(ctx)
	return r.wrap(errors.Join(err, r.close(err == nil && r.state.ours)))
}

// endPatience is the longest time that an idle plugin may take to end.
const endPatience = 3 * time.Second

func (g *group) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	return g.Close(ctx)
}

// close releases what the runner holds, at every stage of its start. With remove, it removes the state too.
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
