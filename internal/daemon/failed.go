package daemon

import (
	"context"
	"time"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// failed is a runner that could not be started while others run. It is tried again.
type failed struct {
	err   error
	tries int
	next  time.Time // of the next try
}

const (
	firstRetry = 10 * time.Second
	lastRetry  = 5 * time.Minute
)

// running returns the manager of the runner, or nil if the runner has not started.
func (r *runner) running() *taskscaler.Taskscaler {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scaler
}

// failure returns why the runner could not be started, or nil.
func (r *runner) failure() *failed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// fail notes that the runner could not be started, releases what it holds, and returns the time until the next try.
func (r *runner) fail(err error) time.Duration {
	if end := r.close(r.state != nil && r.state.blank); end != nil {
		r.log.Warn("what a runner held that could not be started was not released", "error", end)
	}
	r.group, r.state, r.identity = nil, nil, ""
	r.mu.Lock()
	defer r.mu.Unlock()
	now := &failed{err: err, tries: 1}
	if r.failed != nil {
		now.tries += r.failed.tries
	}
	pause := min(firstRetry<<min(now.tries-1, 10), lastRetry)
	now.next = time.Now().Add(pause)
	r.failed = now
	return pause
}

// begun notes that the runner has started.
func (r *runner) begun(t *taskscaler.Taskscaler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scaler, r.failed = t, nil
}

// notStarted is the error for callers of a runner that could not be started. It does not say that they have no lease: the runner may start, and its state
// may have one.
func (r *runner) notStarted() error {
	why := "it is being started"
	if f := r.failure(); f != nil {
		why = f.err.Error()
	}
	return control.Errorf(control.CodeNotReady, "%s is not started: %s", r.file.Title(), why)
}

// notStartedStatus shows a runner that could not be started.
func (r *runner) notStartedStatus() control.RunnerStatus {
	s := control.RunnerStatus{Name: r.file.Name, ID: r.file.ID, Position: r.file.Index, Identity: r.file.Identity()}
	if f := r.failure(); f != nil {
		s.Failed, s.Tries, s.NextTry = safetext.Line(f.err.Error(), safetext.MaxReport), f.tries, &f.next
	} else {
		s.Starting = true
	}
	return s
}

// retry tries to start the runner until it runs or prepare ends. A corrected configuration is tried at once. ctx is that of the manager.
func (d *Daemon) retry(prepare, ctx context.Context, r *runner) {
	for {
		timer := time.NewTimer(time.Until(r.failure().next))
		select {
		case <-timer.C:
		case r.conf = <-r.corrected:
		case <-prepare.Done():
		}
		timer.Stop()
		if prepare.Err() != nil {
			return
		}
		err := d.startOne(prepare, ctx, r)
		if err == nil {
			r.log.Info("a runner that could not be started has started")
			d.watch(r)
			return
		}
		pause := r.fail(err)
		if prepare.Err() == nil {
			d.tell(r, err, pause)
		}
	}
}

// startOne checks, prepares and starts one runner beside those that run.
func (d *Daemon) startOne(prepare, ctx context.Context, r *runner) error {
	if err := d.check(d.opts.File, []config.Runner{r.conf}); err != nil {
		return err
	}
	var others []*runner
	for _, other := range d.runners {
		if other != r && other.running() != nil {
			others = append(others, other)
		}
	}
	if err := r.prepare(prepare, &d.opts, others); err != nil {
		return err
	}
	return r.start(ctx, &d.opts)
}

// tell logs that a runner could not be started.
func (d *Daemon) tell(r *runner, err error, pause time.Duration) {
	r.log.Error("a runner could not be started and is tried again; the other runners run", "error", err, "tries", r.failure().tries, "next_in", pause.String())
}
