package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/taskscaler"
)

// use is one try of a job on one instance.
type use struct {
	runner *Runner
	lease  *taskscaler.Lease
	job    *Job

	failed  error // of the stage that failed, as it was returned
	unclean error // of Cleanup
}

// execute connects to the instance and takes the job through its stages.
func (u *use) execute(ctx context.Context) error {
	ctx, end := u.lease.WithContext(ctx) // it also ends with the lease, when the instance is lost
	defer end()
	client, err := u.dial(ctx, cmp.Or(u.runner.Connect, time.Minute))
	if err != nil {
		return u.judge(ctx, "connect to", false, err)
	}
	on := &Instance{Lease: u.lease, Client: client}
	err = u.stages(ctx, on)
	u.cleanup(context.WithoutCancel(ctx), on, err)
	if scriptFailed(err) && (aboutContact(u.unclean) || errors.Is(u.unclean, ErrGone)) {
		// The script failed, or took too long, at a time when its instance went away under it.
		return &SystemError{Doing: u.on("end the job on"), Started: true, Err: u.unclean}
	}
	return err
}

// scriptFailed reports whether the script ended with an exit code or by the time-out.
func scriptFailed(verdict error) bool {
	var build *BuildError
	var timeout *TimeoutError
	return errors.As(verdict, &build) && build.Err == nil || errors.As(verdict, &timeout)
}

// dial connects. A lease is for an instance that was ready, so this needs no patience for a boot.
func (u *use) dial(ctx context.Context, limit time.Duration) (connector.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the instance could not be reached within %s", limit))
	defer cancel()
	return u.lease.Dial(ctx)
}

func (u *use) stages(ctx context.Context, on *Instance) error {
	ctx, cancel := context.WithTimeoutCause(ctx, u.job.Timeout, &TimeoutError{After: u.job.Timeout})
	defer cancel()
	executor := u.runner.Executor
	if err := executor.Prepare(ctx, on, u.job); err != nil {
		return u.judge(ctx, "prepare", false, explained(ctx, on, err))
	}
	err := executor.Run(ctx, on, u.job, u.runner.Stdout, u.runner.Stderr)
	err = u.judge(ctx, "run the script on", true, explained(ctx, on, err))
	var build *BuildError
	if !errors.As(err, &build) || build.Err != nil {
		return err
	}
	// A script also fails when its instance goes away under it, for example when a spot instance is reclaimed. So ask whether it is still there.
	if gone := answers(context.WithoutCancel(ctx), on.Client); gone != nil {
		u.failed = gone
		gone = fmt.Errorf("its instance ended, and the script with exit code %d: %w", build.ExitCode, gone)
		return &SystemError{Doing: u.on("run the script on"), Started: true, Err: gone}
	}
	return err
}

// answerTime is how long an instance may take to run the command `true`.
const answerTime = 10 * time.Second

// answers returns an error if the instance runs no commands any more. One that is only slow, or that has no process left, answers.
func answers(ctx context.Context, client connector.Client) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := client.Run(ctx, connector.RunOptions{Command: "true"})
	var lost *connector.LostError
	var refused *connector.RefusedError
	if errors.As(err, &lost) || errors.As(err, &refused) {
		return err
	}
	return nil
}

// explained adds to an error that says nothing about the connection that the connection is lost, if it is.
func explained(ctx context.Context, on *Instance, err error) error {
	var build *BuildError
	if err == nil || ctx.Err() != nil || errors.As(err, &build) || aboutContact(err) {
		return err
	}
	if gone := answers(ctx, on.Client); gone != nil {
		return fmt.Errorf("%w; then a trivial command: %w", err, gone)
	}
	return err
}

// judge keeps err for the release, and says what it means.
func (u *use) judge(ctx context.Context, doing string, running bool, err error) error {
	u.failed = err
	return judge(ctx, u.on(doing), running, err)
}

func (u *use) on(doing string) string { return doing + " instance " + u.lease.InstanceID() }

// cleanup ends and removes what the job left. It also works after the job's context ended, and over a new connection if the first one is lost.
func (u *use) cleanup(ctx context.Context, on *Instance, verdict error) {
	defer func() { _ = on.Client.Close() }()
	if u.lease.Err() != nil {
		return // the manager deletes the instance
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(u.runner.Tidy, time.Minute))
	defer cancel()
	err := u.runner.Executor.Cleanup(ctx, on)
	var lost *connector.LostError
	if err != nil && ctx.Err() == nil && errors.As(answers(ctx, on.Client), &lost) {
		err = u.cleanupAgain(ctx)
	}
	if err == nil || u.lease.Err() != nil {
		return
	}
	u.unclean = err
	var system *SystemError
	if !errors.As(verdict, &system) { // a system failure is reported, and mostly for the same reason
		u.runner.Note(fmt.Sprintf("instance %s could not be cleaned up and gets no other job: %v", u.lease.InstanceID(), err))
	}
}

// cleanupAgain connects again, ends what is left of the script's command, and cleans up.
func (u *use) cleanupAgain(ctx context.Context) error {
	client, err := u.dial(ctx, connector.ExamineTimeout)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	var remains interface {
		End(ctx context.Context, c connector.Client) error
	}
	if errors.As(u.failed, &remains) {
		if err := remains.End(ctx, client); err != nil {
			return err
		}
	}
	return u.runner.Executor.Cleanup(ctx, &Instance{Lease: u.lease, Client: client})
}

// releaseTime is how long a release may take: a second contact with the instance, and a commit.
const releaseTime = 30 * time.Second

// release gives the slot back, and tells the manager what is wrong with the instance. verdict is the result of the job.
func (u *use) release(ctx context.Context, verdict error) {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	var system *SystemError
	var err error
	switch {
	case u.lease.Err() != nil: // revoked: the manager knows more than we do
	case aboutContact(u.unclean):
		err = u.lease.ReleaseAfter(ctx, u.unclean)
	case u.unclean != nil:
		err = u.lease.ReleaseDoubtful(ctx, u.unclean.Error())
	case aboutContact(u.failed):
		err = u.lease.ReleaseAfter(ctx, u.failed)
	case errors.As(verdict, &system): // it answers, and could not do what a job needs
		err = u.lease.ReleaseDoubtful(ctx, system.Error())
	default:
		err = u.lease.Release(ctx)
	}
	var revoked *taskscaler.RevokedError
	if err != nil && !errors.As(err, &revoked) {
		u.runner.Note(fmt.Sprintf("the slot of job %s could not be released: %v", u.job.ID, err))
	}
}
