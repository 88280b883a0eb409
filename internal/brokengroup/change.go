package brokengroup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Increase implements provider.InstanceGroup.
func (g *Group) Increase(ctx context.Context, delta int) (int, error) {
	done, err := g.alone()
	if err != nil {
		return 0, err
	}
	defer done()
	switch g.fault() {
	case "increase-fails":
		return 0, provider.Errorf(provider.KindCapacity, "no machine of this type is left")
	case "increase-panics":
		panic("nil pointer dereference")
	case "increase-dies":
		go panic("a fault in a goroutine")
		select {}
	case "increase-blocks":
		g.block()
	case "increase-zero":
		return 0, nil
	case "increase-silent":
		return delta, nil
	case "increase-undercounts":
		n, err := g.Memory.Increase(ctx, delta)
		return max(min(n, 1), n-1), err
	case "increase-drops":
		_, err := g.Memory.Increase(ctx, max(1, delta-1))
		return delta, err
	case "increase-doubles":
		n, err := g.Memory.Increase(ctx, 2*delta)
		return min(n, delta), err
	}
	if ctx.Err() != nil {
		return g.increaseCancelled(ctx)
	}
	return g.atLimit(ctx, delta)
}

func (g *Group) increaseCancelled(ctx context.Context) (int, error) {
	switch g.fault() {
	case "cancelled-zero":
		return 0, nil
	case "cancelled-quota":
		return 0, provider.Errorf(provider.KindQuota, "the quota is reached: %w", ctx.Err())
	}
	return 0, ctx.Err()
}

// atLimit makes the machines, with the faults that show when there is no room.
func (g *Group) atLimit(ctx context.Context, delta int) (int, error) {
	if g.is("limit-ignored") {
		limit := g.MaxSize
		defer func() { g.MaxSize = limit }()
		g.MaxSize = 100
	}
	n, err := g.Memory.Increase(ctx, delta)
	if g.is("increase-overcounts") {
		n++
	}
	if err == nil {
		return n, nil
	}
	switch g.fault() {
	case "limit-drops-partial":
		return 0, err
	case "limit-silent":
		return n, nil
	case "limit-no-kind":
		return n, errors.New("HTTP 403: LimitExceeded")
	}
	return n, err
}

// Decrease implements provider.InstanceGroup.
func (g *Group) Decrease(ctx context.Context, ids []string) ([]string, error) {
	done, err := g.alone()
	if err != nil {
		return nil, err
	}
	defer done()
	if g.is("decrease-blocks") && len(ids) > 0 { // without the lock: only this call hangs
		g.block()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(ids) == 0 {
		return g.decreaseNothing(ctx)
	}
	if err := g.decreaseRefuses(ctx, ids); err != nil {
		return nil, err
	}
	switch g.fault() {
	case "decrease-panics":
		panic("slice bounds out of range")
	case "decrease-nothing":
		return ids, nil
	case "decrease-other":
		if g.known[ids[0]] {
			return g.insteadOf(ctx, ids, g.another(ctx, ids))
		}
	case "decrease-unknown-any":
		if !g.known[ids[0]] {
			return g.insteadOf(ctx, ids, g.another(ctx, ids))
		}
	case "decrease-again-other":
		if g.count[ids[0]] > 0 {
			return g.insteadOf(ctx, ids, g.another(ctx, ids))
		}
	}
	for _, id := range ids {
		g.asked[id] = true
	}
	if g.again() {
		for _, id := range ids {
			if g.known[id] && g.count[id] == 0 {
				g.count[id] = 1
			}
		}
		return ids, nil
	}
	accepted, err := g.Memory.Decrease(ctx, ids)
	switch {
	case g.is("decrease-accepts-nothing") && err == nil && g.known[ids[0]]:
		return nil, nil
	case g.is("decrease-foreign") && err == nil && (g.known[ids[0]] || len(ids) > 1):
		return append(slices.Clone(accepted), "m-9999"), nil
	}
	return accepted, err
}

// insteadOf removes other machines, and accepts ids.
func (g *Group) insteadOf(ctx context.Context, ids, others []string) ([]string, error) {
	if _, err := g.Memory.Decrease(ctx, others); err != nil {
		return nil, err
	}
	return ids, nil
}

func (g *Group) decreaseNothing(ctx context.Context) ([]string, error) {
	switch g.fault() {
	case "decrease-empty-all":
		return nil, g.removeAll(ctx)
	case "decrease-empty-fails":
		return nil, errors.New("the request has no instance ids")
	}
	return nil, nil
}

// decreaseRefuses returns the errors of calls that should succeed.
func (g *Group) decreaseRefuses(ctx context.Context, ids []string) error {
	present, err := g.machines(ctx, "")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, id := range ids {
		there := contains(present, id)
		switch {
		case g.is("decrease-unknown-fails") && !g.known[id]:
			return provider.Errorf(provider.KindNotFound, "there is no machine %q", id)
		case g.is("decrease-gone-fails") && g.known[id] && !there:
			return provider.Errorf(provider.KindNotFound, "there is no machine %q", id)
		case g.is("decrease-again-fails") && g.count[id] > 0 && there && !seen[id]:
			return fmt.Errorf("machine %s has an operation in progress", id)
		case g.is("decrease-twice-fails") && seen[id]:
			return fmt.Errorf("machine %s is named twice", id)
		}
		seen[id] = true
	}
	if g.is("lock-stays") {
		return g.lock()
	}
	return nil
}

// Suspend implements provider.Suspender.
func (g *Group) Suspend(ctx context.Context, ids []string) ([]string, error) {
	switch g.fault() {
	case "claims-suspend":
		return nil, provider.ErrSuspendResumeNotSupported
	case "suspend-nothing":
		return ids, nil
	case "suspend-panics":
		panic("not implemented")
	}
	return g.Memory.Suspend(ctx, ids)
}

// Resume implements provider.Suspender.
func (g *Group) Resume(ctx context.Context, ids []string) ([]string, error) {
	switch g.fault() {
	case "claims-suspend":
		return nil, provider.ErrSuspendResumeNotSupported
	case "resume-fails":
		return nil, errors.New("the machine cannot be resumed")
	}
	return g.Memory.Resume(ctx, ids)
}
