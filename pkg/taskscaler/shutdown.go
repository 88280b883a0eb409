package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// How long Shutdown waits for what it cannot speed up.
const (
	deleteSlack = 30 * time.Second // for the last delete calls, after the time of their retries
	callGrace   = 5 * time.Second  // for running calls to the group to return; again after they are cancelled
	loopGrace   = 15 * time.Second // for the loop to commit its last changes
)

// Shutdown stops the manager. It proceeds as follows:
//
//  1. Reserve, Acquire and Replace are refused with ErrShutdown. Calls that wait get ErrShutdown too.
//  2. Shutdown waits until all leases are released, or until ctx ends.
//  3. With Config.DeleteOnShutdown, it revokes the remaining leases and deletes every instance. After the end of ctx, this takes at most
//     Config.ShutdownDeletionRetries times Config.ShutdownDeletionInterval, plus 30s; without that end, at most Config.DeletingAlarm after
//     the last lease. A try that fails because the plugin is away does not count. Without DeleteOnShutdown, leases and instances stay,
//     and the store keeps them for Reattach after the next start.
//  4. It closes the group and the store.
//
// The returned error is nil, or joins what went wrong: a *LeftoverError with instances that could not be deleted or may still appear,
// a *StopError if the manager had stopped itself, and the errors of closing the group and the store. A second call waits for the first one
// and returns the same error.
func (t *Taskscaler) Shutdown(ctx context.Context) error {
	t.shutOnce.Do(func() { t.shutErr = t.shutdown(ctx) })
	return t.shutErr
}

func (t *Taskscaler) shutdown(ctx context.Context) error {
	err := t.emptyFleet(ctx)
	t.endWatch()
	t.work.running.wait(callGrace)
	t.endWork(ErrShutdown)
	if !t.work.running.wait(callGrace) {
		t.log.Warn("a call to the provider does not return, and the shutdown no longer waits for it: check the provider for instances that are left")
	}
	t.inbox.close()
	if !t.await(t.loopDone, loopGrace) {
		t.giveUpHope(ErrShutdown)
		t.await(t.loopDone, time.Second)
	}
	t.giveUpHope(ErrShutdown)
	t.await(t.observer.done, time.Second)
	closeJournal(t.journal, t.log)
	if e := shutdownGroup(ctx, t.log, t.config(), t.group); e != nil {
		err = errors.Join(err, fmt.Errorf("shut down the provider: %w", e))
	}
	if e := t.store.Close(); e != nil {
		err = errors.Join(err, fmt.Errorf("close the state: %w", e))
	}
	t.stop(nil)
	t.finish()
	return err
}

func (t *Taskscaler) await(c <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

// emptyFleet waits for the end of the leases and, with DeleteOnShutdown, for the end of the instances.
func (t *Taskscaler) emptyFleet(ctx context.Context) error {
	cfg := t.config()
	t.inbox.put(&scaler.Event{Kind: scaler.EvShutdown, On: cfg.DeleteOnShutdown}, nil)
	if over, err := t.untilEmpty(ctx, cfg); over {
		return err
	}
	if !cfg.DeleteOnShutdown {
		return nil
	}
	t.inbox.put(&scaler.Event{Kind: scaler.EvRevokeAll, Cause: record.CauseShutdown}, nil)
	patience := time.Duration(cfg.ShutdownDeletionRetries)*cfg.ShutdownDeletionInterval + deleteSlack
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-t.finished:
	case <-timer.C:
	case <-t.dead:
		return t.stopErr
	}
	return t.leftovers(cfg)
}

// untilEmpty waits for the end of the leases and, with DeleteOnShutdown, of the instances. After the last lease has ended, it waits no longer
// than DeletingAlarm: the plugin may be away for good. over is false if ctx ended first.
func (t *Taskscaler) untilEmpty(ctx context.Context, cfg *Config) (over bool, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	leases := make(chan int, 1)
	var limit <-chan time.Time
	for {
		select {
		case <-t.finished:
			return true, t.leftovers(cfg)
		case <-t.dead:
			return true, t.stopErr
		case <-ctx.Done():
			return false, nil
		case <-limit:
			return true, t.leftovers(cfg)
		case n := <-leases:
			if n == 0 && limit == nil {
				limit = time.After(cfg.DeletingAlarm)
			}
		case <-tick.C:
			if cfg.DeleteOnShutdown && limit == nil {
				t.inbox.ask(func(l *loop) {
					select {
					case leases <- l.core.Summary().Leases:
					default: // the last answer was not read yet
					}
				})
			}
		}
	}
}

// leftovers returns a *LeftoverError if instances of ours still exist or may still appear. Without DeleteOnShutdown it returns nil.
func (t *Taskscaler) leftovers(cfg *Config) error {
	if !cfg.DeleteOnShutdown {
		return nil
	}
	found := make(chan *LeftoverError, 1)
	asked := t.inbox.ask(func(l *loop) {
		left := LeftoverError{Paused: l.core.Summary().Paused}
		l.core.Instances(func(v scaler.InstanceView) bool {
			if v.State.Exists() && v.State != record.Unclaimed {
				left.Instances = append(left.Instances, string(v.ID))
			}
			return true
		})
		l.core.Intents(func(in record.Intent) bool {
			left.Expected += in.Open + in.Doubt
			return true
		})
		found <- &left
	})
	if !asked {
		return nil
	}
	select {
	case left := <-found:
		if len(left.Instances)+left.Expected > 0 {
			return left
		}
	case <-t.dead:
	}
	return nil
}
