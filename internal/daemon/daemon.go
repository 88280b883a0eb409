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
	"github.com/taskscaler/taskscaler/internal/descriptors"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/setup"
)

// Options say what to run.
type Options struct {
	File    *config.File
	Select  string // name, id or position of one runner; empty: all autoscaling runners
	Logger  *slog.Logger
	Plugins plugin.FindOptions
	Socket  string // path of the control socket, for messages; may be empty
	Version string

	// Reload receives a value each time that the file should be read again. nil: never.
	Reload <-chan struct{}

	// Private makes a manager for one command. It has one runner and creates only the instances that the command needs. At the end it
	// deletes all instances and removes the state.
	Private bool
}

// Daemon is the running managers of one file.
type Daemon struct {
	opts    Options
	started time.Time
	runners []*runner
	refused []control.RunnerStatus
	stopped chan error // receives the error of each manager that stopped

	begun   chan struct{} // closed when the start has ended
	failure error         // why the start failed; read it after begun is closed

	mu       sync.Mutex
	reloaded *control.Reload // the result of the latest reload; nil: there was none
}

// Start starts a manager for each selected runner. If one of them cannot be prepared, none is started and no group is changed.
func Start(ctx context.Context, o Options) (*Daemon, error) {
	d, err := newDaemon(o)
	if err != nil {
		return nil, err
	}
	if err := d.begin(ctx, ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// newDaemon selects the runners and starts none of them.
func newDaemon(o Options) (*Daemon, error) {
	selected, err := o.File.Select(o.Select)
	if err != nil {
		return nil, err
	}
	d := &Daemon{opts: o, started: time.Now(), begun: make(chan struct{})}
	for _, r := range selected {
		if why := setup.Unsupported(r); why != "" {
			d.refuse(r, why)
			continue
		}
		d.runners = append(d.runners, &runner{file: r, log: o.Logger.With("runner", setup.Name(r))})
	}
	switch {
	case len(d.runners) == 0:
		return nil, fmt.Errorf("runner %q: %s", d.refused[0].Name, d.refused[0].Refused)
	case o.Private && len(d.runners) > 1:
		return nil, fmt.Errorf("%s has %d runners with [runners.autoscaler]; choose one with --runner: %s", o.File.Path, len(d.runners), d.names())
	}
	return d, nil
}

// begin starts the managers. prepare bounds the time in which no group is changed yet: the start of the plugins and their Init.
func (d *Daemon) begin(prepare, ctx context.Context) error {
	defer close(d.begun)
	if err := d.start(prepare, ctx); err != nil {
		d.failure = err
		return errors.Join(err, d.Abandon())
	}
	d.watch()
	return nil
}

// starting reports whether the start has not ended yet.
func (d *Daemon) starting() bool {
	select {
	case <-d.begun:
		return false
	default:
		return true
	}
}

// awaitStart waits for the end of the start, or of ctx.
func (d *Daemon) awaitStart(ctx context.Context) error {
	select {
	case <-d.begun:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.failure != nil {
		return control.Errorf(control.CodeNotReady, "the manager could not start: %v", d.failure)
	}
	return nil
}

func (d *Daemon) refuse(r config.Runner, why string) {
	d.opts.Logger.Error("a runner is not started", "runner", setup.Name(r), "reason", why)
	d.refused = append(d.refused, control.RunnerStatus{Name: r.Name, ID: r.ID, Position: r.Index, Identity: r.Identity(), Refused: why})
}

// start prepares all runners before it starts the first one.
func (d *Daemon) start(prepare, ctx context.Context) error {
	if err := descriptors.KeepPrivate(); err != nil {
		d.opts.Logger.Warn("plugins may inherit files that were open when this process was started", "error", err)
	}
	if limit, n := descriptors.Limit(), len(d.runners); descriptors.Short(limit, n) {
		d.opts.Logger.Warn("the limit of file descriptors is low: with many clients, instances cannot be reached at times; raise LimitNOFILE or ulimit -Hn",
			"limit", limit, "reserve", descriptors.Reserve(n))
	}
	wanted := make([]config.Runner, len(d.runners))
	for i, r := range d.runners {
		wanted[i] = r.file
	}
	if err := d.check(d.opts.File, wanted); err != nil {
		return err
	}
	for i, r := range d.runners {
		if err := r.prepare(prepare, &d.opts, d.runners[:i]); err != nil {
			return err
		}
	}
	for _, r := range d.runners {
		if err := r.start(ctx, &d.opts); err != nil {
			return err
		}
	}
	return nil
}

// sameGroup returns an error if r has the group of an earlier runner, because each would see the other's instances as unknown.
func sameGroup(earlier []*runner, r *runner) error {
	for _, other := range earlier {
		if other.group.info.ID == r.group.info.ID {
			return fmt.Errorf("%s (runner %d of the file) and %s (runner %d) manage the same provider group %q: give each runner its own group",
				other.file.Title(), other.file.Index, r.file.Title(), r.file.Index, r.group.info.ID)
		}
	}
	return nil
}

// watch reports each manager that stops.
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

// Stopped receives an error for each manager that has stopped, on its own or after Shutdown.
func (d *Daemon) Stopped() <-chan error { return d.stopped }

// Shutdown ends all managers. They grant no new leases and wait for the live leases until ctx ends. See taskscaler.Shutdown for what
// happens to instances.
func (d *Daemon) Shutdown(ctx context.Context) error {
	errs := make([]error, len(d.runners))
	var all sync.WaitGroup
	for i, r := range d.runners {
		all.Go(func() { errs[i] = r.shutdown(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Abandon only ends the plugins. Instances, leases and state stay as they are for the next start. The process should end after it.
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
