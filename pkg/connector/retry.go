package connector

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/taskscaler/taskscaler/internal/words"
)

// retrier repeats attempts to connect to one address.
type retrier struct {
	address string
	timeout time.Duration // of all attempts; 0: limits.timeout
	limits  *limits
	log     *slog.Logger
	onRetry func(error) // may be nil
}

// connect repeats attempt until it succeeds, cannot succeed, or the time is used up.
func connect[T any](ctx context.Context, r retrier, attempt func(context.Context) (T, error)) (T, error) {
	timeout := r.timeout
	if timeout <= 0 {
		timeout = r.limits.timeout
	}
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
	defer cancel()

	failure := &ConnectError{Address: r.address}
	start := time.Now()
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = r.limits.firstBackoff, r.limits.maxBackoff

	var none T
	client, err := backoff.Retry(ctx, func() (T, error) {
		if ctx.Err() != nil {
			return none, backoff.Permanent(context.Cause(ctx))
		}
		failure.Attempts++
		client, err := attempt(ctx)
		switch {
		case err == nil:
			return client, nil
		case ctx.Err() == nil || failure.Last == nil:
			failure.Last = err // else the attempt was cut short: the error of the one before says more
		}
		if final(err) {
			return none, backoff.Permanent(err)
		}
		return none, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, next time.Duration) {
		r.log.Debug("connecting failed, will be retried", "attempt", failure.Attempts, "error", err, "wait", words.Span(next))
		if r.onRetry != nil {
			r.onRetry(err)
		}
	}))
	if err == nil {
		r.log.Debug("connected", "attempts", failure.Attempts)
		return client, nil
	}
	failure.Elapsed = time.Since(start)
	if !final(failure.Last) {
		failure.Cause = context.Cause(ctx)
	}
	if outer.Err() != nil {
		failure.Cause = context.Cause(outer)
	}
	return none, failure
}
