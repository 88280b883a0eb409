package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// Executor runs the script of a job on an instance. It keeps nothing between its calls: what it makes on the instance has names that follow from
// the lease, so that Cleanup finds it over a new connection too, and Prepare finds what an executor left that was killed.
type Executor interface {
	// Check refuses a job before it waits for an instance. The error is the job's fault.
	Check(job *Job) error
	// Prepare makes what the script needs. Nothing of the job runs yet, so a failure that is no *BuildError leads to another instance.
	Prepare(ctx context.Context, on *Instance, job *Job) error
	// Run runs the script to its end. A script that failed is a *BuildError. When ctx ends, it ends the script's processes.
	Run(ctx context.Context, on *Instance, job *Job, stdout, stderr io.Writer) error
	// Cleanup ends and removes everything that Prepare and Run left, also after they failed.
	Cleanup(ctx context.Context, on *Instance) error
}

// Instance is a leased slot of an instance, and the connection to it.
type Instance struct {
	Lease  *taskscaler.Lease
	Client connector.Client
}

// Runner runs jobs on the instances of a manager. Its fields must not change after the first Run.
type Runner struct {
	Manager        *taskscaler.Taskscaler
	Executor       Executor
	Stdout, Stderr io.Writer     // the output of the script
	Note           func(string)  // receives what happens, one sentence each
	Patience       time.Duration // how long a job may wait for capacity before it is accepted; 0: not at all
	Connect        time.Duration // how long connecting to an instance may take; 0: 1m
	Tidy           time.Duration // how long a cleanup may take; 0: 1m
}

// maxInstances is on how many instances a job is tried that could not be started.
const maxInstances = 3

// Run runs one job to its end. It returns nil if the script succeeded, else a *BuildError, a *SystemError or a *CancelledError. When it returns,
// the lease is released and the instance is clean, or the manager was told that it is not.
func (r *Runner) Run(ctx context.Context, job *Job) error {
	if err := r.Executor.Check(job); err != nil {
		return &BuildError{Err: err}
	}
	if err := r.reserve(ctx, job.ID); err != nil {
		return unserved(ctx, "reserve a slot", err)
	}
	for attempt := 1; ; attempt++ {
		err := r.try(ctx, job)
		var system *SystemError
		if !errors.As(err, &system) || system.Started || attempt == maxInstances || ctx.Err() != nil || final(err) {
			return err
		}
		r.Note(fmt.Sprintf("%v; trying another instance", err))
	}
}

// reserve asks for capacity. A runner with a queue does that before it takes a job, and leaves the job to others if there is none.
func (r *Runner) reserve(ctx context.Context, key string) error {
	limit := time.Now().Add(r.Patience)
	for told := false; ; told = true {
		err := r.Manager.Reserve(ctx, key)
		var none *taskscaler.NoCapacityError
		if !errors.As(err, &none) || none.Cause == record.CausePolicy || !time.Now().Before(limit) { // by the policy there never is any
			return err
		}
		if !told {
			r.Note(fmt.Sprintf("job %s waits: %s", key, none.Sentence))
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// askAgain is the time between two reservations that are asked for.
const askAgain = 200 * time.Millisecond

// final reports whether another try has no chance: the manager gives no lease.
func final(err error) bool {
	var wait *taskscaler.WaitError
	return errors.As(err, &wait) || errors.Is(err, taskscaler.ErrShutdown) || errors.Is(err, taskscaler.ErrDraining)
}

// unserved says why there is no lease.
func unserved(ctx context.Context, doing string, err error) error {
	switch {
	case ctx.Err() != nil:
		return &CancelledError{Cause: context.Cause(ctx)}
	case errors.Is(err, taskscaler.ErrInvalidKey):
		return &BuildError{Err: fmt.Errorf(`key "id": %w`, err)}
	}
	return &SystemError{Doing: doing, Err: err}
}

// try runs the job on one instance.
func (r *Runner) try(ctx context.Context, job *Job) error {
	lease, err := r.Manager.Acquire(ctx, job.ID)
	if err != nil {
		r.Manager.Unreserve(job.ID)
		return unserved(ctx, "wait for an instance", err)
	}
	r.Note(fmt.Sprintf("job %s has slot %d of instance %s", job.ID, lease.Slot(), lease.InstanceID()))
	u := &use{runner: r, lease: lease, job: job}
	err = u.execute(ctx)
	u.release(context.WithoutCancel(ctx), err)
	return err
}
