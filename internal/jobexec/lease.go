package jobexec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/taskscaler/taskscaler/internal/control"
)

// LostLeaseError is why a lease ended before its command did.
type LostLeaseError struct {
	Instance string
	Cause    string // a name of record.Cause; empty where the manager no longer knows
	Sentence string
}

// Error says what happened.
func (e *LostLeaseError) Error() string {
	if e.Instance == "" {
		return "the lease was lost: " + e.Sentence
	}
	return fmt.Sprintf("the lease on instance %s was lost: %s", e.Instance, e.Sentence)
}

// acquire waits for a lease. A manager that goes while this waits is waited for, and its successor is asked. The stream lives as long as
// holding, which must end with ctx as long as this waits.
func (r *run) acquire(ctx, holding context.Context) (control.Lease, *control.Stream, error) {
	req := control.LeaseRequest{Runner: r.job.Runner, Key: r.job.Key, Holder: r.holder, Mode: control.ModeAcquire}
	again := newPause()
	for queued := false; ; {
		lease, stream, err := r.ask(holding, req, &queued)
		switch {
		case err == nil:
			return lease, stream, nil
		case ctx.Err() != nil:
			r.release("", "") // a grant may have crossed the end of ctx
			return lease, nil, ended(ctx, strings.TrimSuffix("no slot was leased, "+r.waited, ", "))
		case errors.Is(err, &control.APIError{Code: control.CodeTimeout}):
			return lease, nil, &Error{Code: ExitTimeout, Err: err}
		case !queued || !passing(err):
			return lease, nil, err
		}
		r.note("%s", sentence("waiting for a manager to come back", err))
		req.Mode = control.ModeResume // the old manager may have committed a grant that it could not answer
		if !again.wait(ctx) {
			return lease, nil, ended(ctx, "no manager came back")
		}
	}
}

// ask opens one stream and reads it until the lease. queued is set as soon as the manager lets the caller wait.
func (r *run) ask(ctx context.Context, req control.LeaseRequest, queued *bool) (lease control.Lease, stream *control.Stream, err error) {
	stream, err = r.manager.Lease(ctx, req)
	if err != nil {
		return lease, nil, err
	}
	for {
		ev, err := stream.Next()
		switch {
		case err != nil:
			*queued = true // it was accepted, and then the manager went
		case ev.Wait != nil:
			*queued = true
			r.waited = ev.Wait.Sentence
			r.note("%s", ev.Wait.Sentence)
			continue
		case ev.Lease != nil:
			return *ev.Lease, stream, nil
		case ev.Error != nil:
			err = ev.Error
		default:
			err = errors.New("the manager's answer makes no sense: is it another version of taskscaler?")
		}
		_ = stream.Close()
		return lease, nil, err
	}
}

// follow reads the lease's stream while the command runs, and opens it again when the manager went. It ends the command, by end, when the
// lease is lost, and returns when ctx ends.
func (r *run) follow(ctx context.Context, stream *control.Stream, end context.CancelCauseFunc) {
	defer func() { _ = stream.Close() }()
	for {
		ev, err := stream.Next()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && ev.Revoked != nil:
			end(lost(ev.Revoked.Instance, ev.Revoked.Cause, ev.Revoked.Sentence))
			return
		case err == nil && ev.Released:
			end(lost("", "", "it was given back by somebody else"))
			return
		}
		again, err := r.reattach(ctx)
		if err != nil {
			end(err)
			return
		}
		_ = stream.Close()
		stream = again
	}
}

func lost(instance, cause, sentence string) error {
	return &Error{Code: ExitLost, Err: &LostLeaseError{Instance: instance, Cause: cause, Sentence: sentence}}
}

// reattach waits for a manager and takes the lease up again.
func (r *run) reattach(ctx context.Context) (*control.Stream, error) {
	req := control.LeaseRequest{Runner: r.job.Runner, Key: r.job.Key, Holder: r.holder, Mode: control.ModeReattach}
	again := newPause()
	for {
		var queued bool
		_, stream, err := r.ask(ctx, req, &queued)
		switch {
		case err == nil:
			r.note("the manager is back and the lease stands")
			return stream, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}):
			return nil, lost("", "", "the manager does not know it any more")
		case !passing(err):
			return nil, lost("", "", err.Error())
		}
		r.note("%s", sentence("the command goes on", err))
		if !again.wait(ctx) {
			return nil, context.Cause(ctx)
		}
	}
}

// release gives the lease back, waiting a while for a manager that is away. It also works after the end of the job's context.
func (r *run) release(found control.Unhealthy, reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), releasePatient)
	defer cancel()
	again := newPause()
	for {
		err := r.manager.Release(ctx, control.ReleaseRequest{Runner: r.job.Runner, Key: r.job.Key, Unhealthy: found, Reason: reason})
		if err == nil || errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}) {
			return
		}
		if !passing(err) || !again.wait(ctx) {
			r.note("the slot could not be given back, the manager will take it when the lease's time is over: %v", err)
			return
		}
	}
}

// sentence says what is done about a manager that is away. Why it is away is only said where that is not plain.
func sentence(doing string, err error) string {
	var away *control.AwayError
	if errors.As(err, &away) && away.Gone() {
		return "the manager went away: " + doing
	}
	return fmt.Sprintf("%s: %v", doing, err)
}

// passing reports whether err is the absence of a manager rather than its answer.
func passing(err error) bool {
	var away *control.AwayError
	var api *control.APIError
	switch {
	case errors.As(err, &away):
		return true
	case errors.As(err, &api):
		return api.Code == control.CodeShutdown || api.Code == control.CodeDraining || api.Code == control.CodeNotReady
	}
	return false
}

// pause is the time between two looks for a manager.
type pause struct{ backoff *backoff.ExponentialBackOff }

func newPause() pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 50*time.Millisecond, time.Second
	b.Reset()
	return pause{b}
}

// wait pauses; false: ctx ended.
func (p pause) wait(ctx context.Context) bool {
	timer := time.NewTimer(p.backoff.NextBackOff())
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
