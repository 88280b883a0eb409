package pluginkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Times calls do n times, for i from 0 to n-1, with at most atOnce calls at the same time, and returns how many succeeded: what Increase returns. After the
// first error it starts no further call, because the next machine would meet the same quota; calls that run are waited for. It starts none after the end of
// ctx either. The error is that of the failed calls; see Together. A panic of do is raised again in the goroutine of the caller.
func Times(ctx context.Context, n, atOnce int, do func(ctx context.Context, i int) error) (succeeded int, err error) {
	errs := run(ctx, n, atOnce, true, do)
	for _, err := range errs {
		if err == nil {
			succeeded++
		}
	}
	return succeeded, Together(errs)
}

// Each calls do once for each id, with at most atOnce calls at the same time, and returns the ids that succeeded, in their order: what Decrease returns. It
// goes on after an error, except one of KindThrottled, and starts no call after the end of ctx. An id that is repeated is called once. For a delete, let do
// return Gone(err). The error is that of the failed calls; see Together. A panic of do is raised again in the goroutine of the caller.
func Each(ctx context.Context, ids []string, atOnce int, do func(ctx context.Context, id string) error) (succeeded []string, err error) {
	ids = unique(ids)
	errs := run(ctx, len(ids), atOnce, false, func(ctx context.Context, i int) error { return do(ctx, ids[i]) })
	for i, err := range errs {
		if err == nil {
			succeeded = append(succeeded, ids[i])
		}
	}
	return succeeded, Together(errs)
}

// Batches calls do for at most size ids at a time, one call after the other, for an API that takes lists. do returns the ids that succeeded. Batches goes on
// after an error, except one of KindThrottled, and starts no call after the end of ctx. It returns all ids that succeeded; for the error see Together.
func Batches(ctx context.Context, ids []string, size int, do func(ctx context.Context, batch []string) (succeeded []string, err error)) (succeeded []string, err error) {
	var errs []error
	for batch := range slices.Chunk(unique(ids), max(size, 1)) {
		if ctx.Err() != nil {
			errs = append(errs, unasked(ctx))
			break
		}
		done, err := do(ctx, batch)
		succeeded, errs = append(succeeded, done...), append(errs, err)
		if provider.KindOf(err) == provider.KindThrottled {
			break
		}
	}
	return succeeded, Together(errs)
}

// Gone returns nil for an error of KindNotFound, and else err: a machine that the provider does not know is deleted.
func Gone(err error) error {
	if provider.KindOf(err) == provider.KindNotFound {
		return nil
	}
	return err
}

// errNotStarted is in the place of a call that was not made, because another one failed.
var errNotStarted = errors.New("the call was not made, because an earlier one failed")

// unasked is the error of a call that was not made, because the context had ended: it asked nothing of the provider, so its outcome is not in doubt.
func unasked(ctx context.Context) error {
	return provider.Errorf(provider.KindThrottled, "no time was left for all calls: %w", context.Cause(ctx))
}

// crew makes calls in a few goroutines.
type crew struct {
	do     func(ctx context.Context, i int) error
	stop   bool // the first error ends the calls; else only one of KindThrottled does
	errs   []error
	mu     sync.Mutex // guards the fields below
	next   int
	failed bool
	panics string // the first panic, with its stack
}

// run returns one error for each call.
func run(ctx context.Context, n, atOnce int, stop bool, do func(ctx context.Context, i int) error) []error {
	c := &crew{do: do, stop: stop, errs: make([]error, max(n, 0))}
	var all sync.WaitGroup
	for range min(max(atOnce, 1), n) {
		all.Go(func() { c.work(ctx) })
	}
	all.Wait()
	if c.panics != "" {
		panic(c.panics)
	}
	return c.errs
}

func (c *crew) work(ctx context.Context) {
	for {
		i, err := c.take(ctx)
		if i < 0 {
			return
		}
		if err == nil {
			err = c.call(ctx, i)
		}
		c.errs[i] = err
		if err != nil && (c.stop || provider.KindOf(err) == provider.KindThrottled) {
			c.fail("")
		}
	}
}

// take returns the number of the next call, or -1. An error says why it is not made.
func (c *crew) take(ctx context.Context) (i int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == len(c.errs) {
		return -1, nil
	}
	c.next++
	switch {
	case c.failed:
		err = errNotStarted
	case ctx.Err() != nil:
		err = unasked(ctx)
	}
	return c.next - 1, err
}

func (c *crew) call(ctx context.Context, i int) error {
	defer func() {
		if p := recover(); p != nil {
			c.fail(fmt.Sprintf("%v\n%s", p, debug.Stack()))
		}
	}()
	return c.do(ctx, i)
}

func (c *crew) fail(panics string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed, c.panics = true, cmp.Or(c.panics, panics)
}

// unique returns the ids without repetitions, in their order.
func unique(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}
