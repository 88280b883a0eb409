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

// LostLeaseError says why a lease ended before its command.
type LostLeaseError struct {
	Instance string
	Cause    string // a name of record.Cause; empty if the manager does not know it
	Sentence string
	released bool // by another caller, on purpose
}

// Error says what happened.
func (e *LostLeaseError) Error() string {
	if e.Instance == "" {
		return "the lease was lost: " + e.Sentence
	}
	return fmt.Sprintf("the lease on instance %s was lost: %s", e.Instance, e.Sentence)
}

// acquire waits for a lease. If the manager goes away during the wait, it waits for the next manager and asks it. The stream lives as long as
// holding. While acquire waits, holding must end when ctx ends.
func (r *run) acquire(ctx, holding context.Context) (control.Lease, *control.Stream, error) {
	req := control.LeaseRequest{Runner: r.job.Runner, Key: r.job.Key, Holder: r.holder, Mode: control.ModeAcquire}
	again := newPause()
	for queued := false; ; {
		lease, stream, err := r.ask(holding, req, &queued)
		switch {
		case err == nil:
			return lease, stream, nil
		case ctx.Err() != nil:
			r.leave()
			var silent *control.UnansweredError
			if errors.As(err, &silent) {
				r.waited = "and " + silent.Error()
			}
			return lease, nil, ended(ctx, strings.TrimSuffix("no slot was leased, "+r.waited, ", "), ExitFailed)
		case errors.Is(err, &control.APIError{Code: control.CodeTimeout}):
			return lease, nil, &Error{Code: ExitTimeout, Err: err}
		case errors.Is(err, &control.APIError{Code: control.CodeBusy}): // it was not queued, but a place becomes free when another job ends
			r.note("%v", err)
			if !again.wait(ctx) {
				return lease, nil, ended(ctx, "the manager had no place for another client", ExitFailed)
			}
			continue
		case !queued || !passing(err):
			return lease, nil, err
		}
		r.note("%s", sentence("waiting for the manager to come back", err))
		req.Mode = control.ModeResume // the old manager may have granted a lease without answering
		if !again.wait(ctx) {
			return lease, nil, ended(ctx, "the manager did not come back", ExitFailed)
		}
	}
}

// quietTime is how long a manager may leave a request without any answer before the caller is told so.
const quietTime = 5 * time.Second

// ask opens one stream and reads it until the lease is granted. It sets queued when the manager has accepted the request.
func (r *run) ask(ctx context.Context, req control.LeaseRequest, queued *bool) (lease control.Lease, stream *control.Stream, err error) {
	quiet := r.job.quiet
	if quiet == 0 {
		quiet = quietTime
	}
	silence := time.AfterFunc(quiet, func() {
		r.note("waiting for the manager to answer: it is busy, or it cannot write its state; `taskscaler status` may say more")
	})
	defer silence.Stop()
	r.waited = ""
	stream, err = r.manager.Lease(ctx, req)
	if err != nil {
		return lease, nil, err
	}
	for {
		ev, err := stream.Next()
		silence.Stop()
		switch {
		case err != nil:
			*queued = true // the request was accepted, then the manager went away
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
			err = errors.New("the manager's answer is not understood: use the same version of taskscaler for both")
		}
		_ = stream.Close()
		return lease, nil, err
	}
}

// follow reads the stream of the lease while the command runs, and opens it again when the manager went away. When the lease is lost, it calls
// end, which ends the command. It returns when ctx ends.
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
			end(&Error{Code: ExitLost, Err: &LostLeaseError{Sentence: "another caller released it", released: true}})
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

// reattach waits for a manager and reattaches to the lease.
func (r *run) reattach(ctx context.Context) (*control.Stream, error) {
	req := control.LeaseRequest{Runner: r.job.Runner, Key: r.job.Key, Holder: r.holder, Mode: control.ModeReattach}
	again := newPause()
	for {
		var queued bool
		_, stream, err := r.ask(ctx, req, &queued)
		switch {
		case err == nil:
			r.note("the manager is back, and the lease is still valid")
			return stream, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}):
			return nil, lost("", "", "the manager no longer has this lease")
		case refused(err):
			return nil, lost("", "", err.Error())
		}
		r.note("%s", sentence("the command continues", err))
		if !again.wait(ctx) {
			return nil, context.Cause(ctx)
		}
	}
}

// leave releases the lease that may have been granted when the caller's time was over. If the manager does not answer, it sees the end of the
// stream, and revokes the lease after reattach_after_disconnect.
func (r *run) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leavePatient)
	defer cancel()
	_ = r.manager.Release(ctx, control.ReleaseRequest{Runner: r.job.Runner, Key: r.job.Key})
}

// release releases the lease. It waits for at most patience for a manager that is away. It also works after the job's context ended.
func (r *run) release(found verdict, patience time.Duration) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("the manager did not answer within %s", patience))
	defer cancel()
	again := newPause()
	for {
		err := r.manager.Release(ctx, control.ReleaseRequest{Runner: r.job.Runner, Key: r.job.Key, Unhealthy: found.unhealthy, Reason: found.reason})
		if err == nil || errors.Is(err, &control.APIError{Code: control.CodeUnknownKey}) {
			return
		}
		if !passing(err) || !again.wait(ctx) {
			r.note("the slot could not be released; the manager revokes the lease after reattach_after_disconnect: %v", err)
			return
		}
	}
}

// sentence says what is done while the manager is away. It adds the error only if the manager still seems to exist.
func sentence(doing string, err error) string {
	var away *control.AwayError
	if errors.As(err, &away) && away.Gone() {
		return "the manager went away: " + doing
	}
	if errors.Is(err, &control.APIError{Code: control.CodeDraining}) {
		return "the manager is draining and takes no new work: waiting for `taskscaler drain --undo`, or for the next manager"
	}
	return fmt.Sprintf("%s: %v", doing, err)
}

// passing reports whether err will pass: no manager answered, or it is shutting down, draining, not ready or busy.
func passing(err error) bool {
	var away *control.AwayError
	var api *control.APIError
	switch {
	case errors.As(err, &away):
		return true
	case errors.As(err, &api):
		return api.Code == control.CodeShutdown || api.Code == control.CodeDraining || api.Code == control.CodeNotReady || api.Code == control.CodeBusy
	}
	return false
}

// refused reports whether the manager refused a reattach for good. Any other error says nothing about the lease, so the command continues: the
// manager may be stopping, because its state cannot be written.
func refused(err error) bool {
	var api *control.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.Code {
	case control.CodeDuplicateKey, control.CodeUnknownRunner, control.CodeRefused, control.CodeBadRequest:
		return true
	}
	return false
}

// pause is the time between two tries to reach a manager.
type pause struct{ backoff *backoff.ExponentialBackOff }

func newPause() pause {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 50*time.Millisecond, time.Second
	b.Reset()
	return pause{b}
}

// wait waits for the pause. It returns false if ctx ended.
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
