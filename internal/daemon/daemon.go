package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// Options say what is to be run.
type Options struct {
	File    *config.File
	Select  string // name, id or position of one runner; empty: all that scale
	Logger  *slog.Logger
	Plugins plugin.FindOptions
	Socket  string // where the control API is served, for messages; may be empty
	Version string

	// Reload asks, by a value each, for the file to be read again; nil: never.
	Reload <-chan struct{}

	// Private makes a manager for one command: one runner, no instance that the command does not need, all instances deleted and the
	// state removed at the end.
	Private bool
}

// Daemon is the running managers of one file.
type Daemon struct {
	opts    Options
	started time.Time
	runners []*runner
	refused []control.RunnerStatus
	stopped chan error // gets the error of a manager that stops by itself
}

// Start starts a manager for each selected runner. If one cannot be started, none is, and nothing was changed in any group.
func Start(ctx context.Context, o Options) (_ *Daemon, err error) {
	selected, err := o.File.Select(o.Select)
	if err != nil {
		return nil, err
	}
	d := &Daemon{opts: o, started: time.Now()}
	for _, r := range selected {
		if r.Autoscaler.VMIsolation.Enabled {
			d.refuse(r, "vm_isolation.enabled asks for nested machines, which taskscaler does not have yet: this runner is not run")
			continue
		}
		d.runners = append(d.runners, &runner{file: r, log: o.Logger.With("runner", setup.Name(r))})
	}
	switch {
	case len(d.runners) == 0:
		return nil, fmt.Errorf("runner %q: %s", d.refused[0].Name, d.refused[0].Refused)
	case o.Private && len(d.runners) > 1:
		return nil, fmt.Errorf("%s has %d runners that scale: choose one with --runner: %s", o.File.Path, len(d.runners), d.names())
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Abandon())
	}
	d.watch()
	return d, nil
}

func (d *Daemon) refuse(r config.Runner, why string) {
	d.opts.Logger.Error("a runner is refused", "runner", setup.Name(r), "reason", why)
	d.refused = append(d.refused, control.RunnerStatus{Name: r.Name, ID: r.ID, Position: r.Index, Identity: r.Identity(), Refused: why})
}

// start prepares all before it starts the first.
func (d *Daemon) start(ctx context.Context) error {
	for _, r := range d.runners {
		if err := r.prepare(ctx, &d.opts); err != nil {
			return err
		}
	}
	if err := d.checkGroups(); err != nil {
		return err
	}
	for _, r := range d.runners {
		if err := r.start(ctx, &d.opts); err != nil {
			return err
		}
	}
	return nil
}

// checkGroups refuses two runners on one group: each would take the other's instances for strangers.
func (d *Daemon) checkGroups() error {
	owner := map[string]*runner{}
	for _, r := range d.runners {
		if other := owner[r.group.info.ID]; other != nil {
			return fmt.Errorf("runners %s and %s manage the same provider group %q: give each a group of its own", other.file.Label(), r.file.Label(),
				r.group.info.ID)
		}
		owner[r.group.info.ID] = r
	}
	return nil
}

// watch collects the managers that stop by themselves.
func (d *Daemon) watch() {
	d.stopped = make(chan error, len(d.runners))
	for _, r := range d.runners {
		scaler := r.scaler
		go func() {
			<-scaler.Done()
			d.stopped <- r.wrap(scaler.Err())
		}()
	}
}

// Stopped gets an error for each manager that has stopped, by itself or after Shutdown.
func (d *Daemon) Stopped() <-chan error { return d.stopped }

// Shutdown ends all managers: no new leases, and the live ones are waited for until ctx ends. See taskscaler.Shutdown for what happens to
// instances.
func (d *Daemon) Shutdown(ctx context.Context) error {
	errs := make([]error, len(d.runners))
	var all sync.WaitGroup
	for i, r := range d.runners {
		all.Go(func() { errs[i] = r.shutdown(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Abandon ends the plugins and nothing else: instances, leases and state stay as they are, for the next start. The process should end
// after it.
func (d *Daemon) Abandon() error {
	errs := make([]error, len(d.runners))
	var all sync.WaitGroup
	for i, r := range d.runners {
		all.Go(func() {
			if r.scaler == nil {
				errs[i] = r.close(r.state != nil && r.state.blank)
				return
			}
			errs[i] = r.group.end()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (d *Daemon) names() string {
	var names []string
	for _, r := range d.runners {
		names = append(names, fmt.Sprintf("%d: %s", r.file.Index, r.file.Label()))
	}
	return strings.Join(names, "; ")
}

// Info is part of control.Manager.
func (d *Daemon) Info() control.ManagerInfo {
	return control.ManagerInfo{PID: os.Getpid(), Version: d.opts.Version, Started: d.started, Config: d.opts.File.Path}
}
