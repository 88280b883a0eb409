package fake

import (
	"context"
	"errors"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Update lists the instances as the model shows them. A modelled list may be slow, end early, or omit instances.
func (g *InstanceGroup) Update(ctx context.Context, update func(id string, state provider.State)) error {
	var answer cloudmodel.Listed
	var ids []string
	var states []provider.State
	err := g.locked(ctx, func(now time.Time) error {
		if g.cloud == nil {
			return nil
		}
		var list []cloudmodel.Instance
		list, answer = g.cloud.List(g.elapsed(now), nil)
		listed := map[string]bool{}
		for _, i := range list {
			id := g.state.id(i.Number)
			ids, states = append(ids, id), append(states, g.shown(id, i.State))
			listed[id] = true
		}
		// An instance that is gone for the model is still being deleted while its process runs.
		for _, id := range sortedIDs(g.machines) {
			if _, exists := g.cloud.State(g.machines[id].spec.Number); !exists && !listed[id] {
				ids, states = append(ids, id), append(states, provider.StateDeleting)
			}
		}
		return nil
	})
	if err == nil {
		err = sleep(ctx, answer.Delay)
	}
	if err != nil {
		return err
	}
	for i, id := range ids {
		update(id, states[i])
	}
	return errorOf(answer.Failure.Kind, answer.Failure.RetryAfter, answer.Failure.Message)
}

// shown returns the provider's state for a state of the model. An instance that should run is still creating until its process is ready.
func (g *InstanceGroup) shown(id string, s cloudmodel.State) provider.State {
	if f := g.machines[id]; s == cloudmodel.Running && f != nil && f.ready == nil {
		s = cloudmodel.Creating
	}
	return provider.State(s.ProviderWord())
}

// Increase starts processes for the instances that the model grants.
func (g *InstanceGroup) Increase(ctx context.Context, delta int) (int, error) {
	if delta <= 0 {
		return 0, nil
	}
	var r cloudmodel.Created
	err := g.locked(ctx, func(now time.Time) error {
		if err := g.establish(ctx, now); err != nil {
			return err
		}
		r = g.cloud.Create(g.elapsed(now), delta)
		// Before the first folder is created, because a number must never be used twice.
		if err := g.save(); err != nil {
			return g.abandon(&r, 0, now, err)
		}
		for i := range r.Made {
			if err := g.start(r.First+uint64(i), now); err != nil {
				return g.abandon(&r, i, now, err)
			}
		}
		return nil
	})
	if slow := sleep(ctx, r.Delay); slow != nil {
		return 0, slow // they exist, but the caller's context has ended
	}
	if err != nil {
		return r.Told, err
	}
	return r.Told, errorOf(r.Failure.Kind, r.Failure.RetryAfter, r.Failure.Message)
}

// abandon removes from the model the granted instances that this machine could not start: all but the first made ones.
func (g *InstanceGroup) abandon(r *cloudmodel.Created, made int, now time.Time, err error) error {
	for i := made; i < r.Made; i++ {
		g.cloud.Kill(g.elapsed(now), r.First+uint64(i))
	}
	r.Made, r.Told = made, min(r.Told, made)
	return provider.Errorf(provider.KindTransient, "start an instance: %w", err)
}

// Decrease deletes instances. They stop serving SSH at once, and are gone after the modelled time.
func (g *InstanceGroup) Decrease(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var done []string
	var faults []error
	var delay time.Duration
	err := g.locked(ctx, func(now time.Time) error {
		for _, id := range ids {
			slow, err := g.remove(id, now)
			delay = max(delay, slow)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			done = append(done, id)
		}
		return g.save()
	})
	if slow := sleep(ctx, delay); slow != nil {
		return nil, slow
	}
	if err != nil {
		return done, err
	}
	return done, errors.Join(faults...)
}

// remove deletes one instance. An instance that does not exist counts as removed.
func (g *InstanceGroup) remove(id string, now time.Time) (delay time.Duration, err error) {
	f := g.machines[id]
	if f == nil {
		return 0, nil
	}
	r := g.cloud.Delete(g.elapsed(now), f.spec.Number)
	if r.Failure.Failed() {
		return r.Delay, errorOf(r.Failure.Kind, r.Failure.RetryAfter, r.Failure.Message)
	}
	if f.deleting != nil {
		return r.Delay, nil
	}
	order := deletion{Asked: now, Until: later(now, f.spec.Fate.Delete)}
	if err := writeJSON(f.path(deletingFile), order); err != nil {
		return r.Delay, provider.Errorf(provider.KindTransient, "delete %s: %w", id, err)
	}
	f.deleting = &order
	if alive, pid := f.alive(); alive && pid > 0 {
		signalProcess(pid, lookSignal)
	}
	return r.Delay, nil
}

// errorOf returns the error for a modelled failure, or nil if there is none.
func errorOf(kind provider.FailureKind, retryAfter time.Duration, message string) error {
	if kind == 0 { // no failure
		return nil
	}
	return &provider.Error{Kind: kind, RetryAfter: retryAfter, Err: errors.New(message)}
}
