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

	retries    sync.WaitGroup // of runners that could not be started
	endRetries context.CancelFunc

	mu       sync.Mutex
	reloaded *control.Reload // the result of the latest reload; nil: there was none
}

// Start starts a manager for each selected runner. A runner that cannot be started does not stop the others: it is tried again, and the status says why.
// It is an error if no runner can be started, or if two of them have the same group: then no group was changed.
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
	d := &Daemon{opts: o, started: time.Now(), begun: make(chan struct{}), endRetries: func() {}}
	for _, r := range selected {
		if why := setup.Unsupported(r); why != "" {
			d.refuse(r, why)
			continue
		}
		d.runners = append(d.runners, newRunner(r, o.Logger))
	}
	switch {
	case len(d.runners) == 0:
		return nil, fmt.Errorf("runner %q: %s", d.refused[0].Name, d.refused[0].Refused)
	case o.Private && len(d.runners) > 1:
		return nil, fmt.Errorf("%s has %d runners with [runners.autoscaler]; choose one with --runner: %s", o.File.Path, len(d.runners), d.names())
	}
	d.stopped = make(chan error, len(d.runners))
	return d, nil
}

// begin starts the managers. prepare bounds the time in which no group is changed yet: the start of the plugins and their Init.
func (d *Daemon) begin(prepare, ctx context.Context) error {
	defer close(d.begun)
	if err := d.start(prepare, ctx); err != nil {
		d.failure = err
		return errors.Join(err, d.Abandon())
	}
	prepare, d.endRetries = context.WithCancel(prepare)
	for _, r := range d.runners {
		if r.running() == nil {
			d.retries.Go(func() { d.retry(prepare, ctx, r) })
			continue
		}
		d.watch(r)
	}
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

// start prepares all runners before it starts the first one. A runner that fails is left out. It returns an error if all do.
func (d *Daemon) start(prepare, ctx context.Context) error {
	if err := descriptors.KeepPrivate(); err != nil {
		d.opts.Logger.Warn("plugins may inherit files that were open when this process was started", "error", err)
	}
	if limit, n := descriptors.Limit(), len(d.runners); descriptors.Short(limit, n) {
		d.opts.Logger.Warn("the limit of file descriptors is low: with many clients, instances cannot be reached at times; raise LimitNOFILE or ulimit -Hn",
			"limit", limit, "reserve", descriptors.Reserve(n))
	}
	errs := make([]error, len(d.runners))
	each := func(do func(r *runner, earlier []*runner) error) error {
		var earlier []*runner
		for i, r := range d.runners {
			if errs[i] != nil {
				continue
			}
			var taken *groupTakenError
			if errs[i] = do(r, earlier); errors.As(errs[i], &taken) || errs[i] != nil && prepare.Err() != nil {
				return errs[i]
			}
			if errs[i] == nil {
				earlier = append(earlier, r)
			}
		}
		if len(earlier) == 0 {
			return errors.Join(errs...)
		}
		return nil
	}
	for _, do := range []func(r *runner, earlier []*runner) error{
		func(r *runner, _ []*runner) error { return d.check(d.opts.File, []config.Runner{r.file}) },
		func(r *runner, earlier []*runner) error { return r.prepare(prepare, &d.opts, earlier) },
		func(r *runner, _ []*runner) error { return r.start(ctx, &d.opts) },
	} {
		if err := each(do); err != nil {
			return err
		}
	}
	for i, r := range d.runners {
		if errs[i] != nil {
			d.tell(r, errs[i], r.fail(errs[i]))
		}
	}
	return nil
}

// groupTakenError says that two runners have the same group: each would see the other's instances as unknown.
type groupTakenError struct {
	other, one config.Runner
	group      string
}

// Error says what to do.
func (e *groupTakenError) Error() string {
	return fmt.Sprintf("%s (runner %d of the file) and %s (runner %d) manage the same provider group %q: give each runner its own group",
		e.other.Title(), e.other.Index, e.one.Title(), e.one.Index, e.group)
}

// sameGroup returns an error if r has the group of one of the other runners.
func sameGroup(others []*runner, r *runner) error {
	for _, other := range others {
		if other.group.info.ID == r.group.info.ID {
			return &groupTakenError{other: other.file, one: r.file, group: r.group.info.ID}
		}
	}
	return nil
}

// watch reports when the manager of a runner stops.
func (d *Daemon) watch(r *runner) {
	scaler := r.running()
	go func() {
		<-scaler.Done()
		d.stopped <- r.wrap(scaler.Err())
	}()
}

// Stopped receives an error for each manager that has stopped, on its own or after Shutdown.
func (d *Daemon) Stopped() <-chan error { return d.stopped }

// Shutdown ends all managers. They grant no new leases and wait for the live leases until ctx ends. See taskscaler.Shutdown for what
// happens to instances.
func (d *Daemon) Shutdown(ctx context.Context) error {
	d.endRetries()
	d.retries.Wait()
	errs := make([]error, len(d.runners))
	var all sync.WaitGroup
	for i, r := range d.runners {
		if r.running() != nil {
			all.Go(func() { errs[i] = r.shutdown(ctx) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// Abandon only ends the plugins. Instances, leases and state stay as they are for the next start. The process should end after it.
func (d *Daemon) Abandon() error {
	d.endRetries()
	d.retries.Wait()
	errs := make([]error, len(d.runners))
	var all sync.WaitGroup
	for i, r := range d.runners {
		all.Go(func() {
			if r.running() == nil {
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
