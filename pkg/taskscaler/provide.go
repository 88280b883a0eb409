package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/internal/words"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// callKind is one kind of call to the group or to an instance. A slow call delays only calls of the same kind.
type callKind uint8

const (
	callInit callKind = iota
	callUpdate
	callIncrease
	callDecrease
	callConnectInfo
	callHeartbeat
	callShutdown
	callPrepare
	callKinds
)

// callLimits says, for each kind, how it is called, which key of the configuration limits it, and how many calls of the kind may be
// abandoned at the same time.
var callLimits = [callKinds]struct {
	name, key string
	limit     func(*Config) time.Duration
	abandoned int
}{
	callInit:        {"Init", "call_timeouts.init", func(c *Config) time.Duration { return c.InitTimeout }, 1},
	callUpdate:      {"Update", "call_timeouts.update", func(c *Config) time.Duration { return c.UpdateTimeout }, 3},
	callIncrease:    {"Increase", "call_timeouts.increase", func(c *Config) time.Duration { return c.IncreaseTimeout }, 3},
	callDecrease:    {"Decrease", "call_timeouts.decrease", func(c *Config) time.Duration { return c.DecreaseTimeout }, 3},
	callConnectInfo: {"ConnectInfo", "call_timeouts.connect_info", func(c *Config) time.Duration { return c.ConnectInfoTimeout }, lookupsAtOnce},
	callHeartbeat:   {"Heartbeat", "call_timeouts.heartbeat", func(c *Config) time.Duration { return c.HeartbeatTimeout }, heartbeatsAtOnce},
	callShutdown:    {"Shutdown", "call_timeouts.shutdown", func(c *Config) time.Duration { return c.ShutdownTimeout }, 1},
	callPrepare:     {"the preparation", "instance_deadlines.preparing", func(c *Config) time.Duration { return c.PreparingDeadline }, preparesAtOnce},
}

// returnGrace is how long a call may take to return after its context has ended. Then it is abandoned.
const returnGrace = 5 * time.Second

// reply is what a call returned.
type reply[R any] struct {
	value R
	err   error
}

// ask makes one call to the group, or prepares one instance. id is the instance, or "" for a call to the whole group. The call ends with
// ctx, and after limit at the latest; 0 is the limit of its kind. A panic is a failure of this call.
//
// A call that does not return although its context has ended is abandoned: ask returns an error with provider.ErrAway in its chain, because it
// is the provider that hangs, and ignores a result that comes later.
// After w.ctx has ended, ask makes no call: the loop may still dispatch commands at its end, when the provider is already shut down.
func ask[R any](ctx context.Context, w *workers, kind callKind, id string, limit time.Duration, f func(context.Context) (R, error)) (R, error) {
	var none R
	if w.ctx.Err() != nil {
		return none, context.Cause(w.ctx)
	}
	if err := w.abandoned.admit(kind, id); err != nil {
		return none, err
	}
	if limit <= 0 {
		limit = callLimits[kind].limit(w.t.config())
	}
	began := w.t.clock.Mono()
	own, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := &running{kind: kind, id: id}
	done := make(chan reply[R], 1)
	w.running.start(func() {
		var r reply[R]
		r.err = guard(w.t.log, func() (err error) { r.value, err = f(own); return err })
		done <- r
		w.abandoned.returned(c, w.t.clock.Mono()-began)
	})
	r, returned := await(own, w.ctx, done)
	if !returned {
		w.abandoned.add(c)
		r.err = provider.Errorf(provider.KindTransient, "%w: the call does not return, and was given up", provider.ErrAway)
		if ctx.Err() != nil { // the caller does not wait longer
			r.err = fmt.Errorf("%w: %w", context.Cause(ctx), r.err)
		}
	}
	if r.err != nil {
		r.err = overdue(kind, limit, w.t.clock.Mono()-began, r.err)
	}
	if kind != callPrepare {
		w.t.health.heard(r.err)
	}
	return r.value, r.err
}

// overdue adds the limit of the call to err if the call took that long. A plugin process gets a little less time, so that its answer still
// arrives.
func overdue(kind callKind, limit, took time.Duration, err error) error {
	if took < limit-min(limit/10, time.Second) {
		return err
	}
	k := &callLimits[kind]
	return fmt.Errorf("%s was cancelled after %s: raise %s if it needs more time: %w", k.name, words.Span(limit), k.key, err)
}

// shutdownGroup calls the group's Shutdown. It waits for the call no longer than its limit.
func shutdownGroup(ctx context.Context, log *slog.Logger, cfg *Config, group provider.InstanceGroup) error {
	limit := callLimits[callShutdown].limit(cfg)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	done := make(chan reply[struct{}], 1)
	go func() { done <- reply[struct{}]{err: guard(log, func() error { return group.Shutdown(ctx) })} }()
	r, returned := await(ctx, context.Background(), done)
	if !returned {
		r.err = errors.New("it does not return, and was given up")
	}
	if r.err == nil || ctx.Err() == nil {
		return r.err
	}
	return overdue(callShutdown, limit, limit, r.err)
}

// await waits for a result until returnGrace after the end of ctx. After the end of life it waits as long as it takes: Shutdown waits only
// for a limited time.
func await[R any](ctx, life context.Context, done <-chan reply[R]) (r reply[R], returned bool) {
	select {
	case r = <-done:
		return r, true
	case <-ctx.Done():
	}
	grace := time.NewTimer(returnGrace)
	defer grace.Stop()
	select {
	case r = <-done:
		return r, true
	case <-life.Done():
		return <-done, true
	case <-grace.C:
	}
	select {
	case r = <-done: // it came with the end of the grace
		return r, true
	default:
		return r, false
	}
}
