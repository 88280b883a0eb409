package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// How long a shutdown waits for what it cannot hurry.
const (
	deleteSlack   = 30 * time.Second // for the calls of the last deletes, beyond their retries
	callGrace     = 5 * time.Second  // for calls to the group to finish by themselves, and again after they were cancelled
	loopGrace     = 15 * time.Second // for the loop to commit what it has
	groupShutdown = 30 * time.Second
)

// Shutdown ends the manager: no new grants, and the waiters are told so. It waits for leases to be released until ctx ends. What is left then is
// revoked and deleted with Config.DeleteOnShutdown (within Core.ShutdownDeletionRetries × Core.ShutdownDeletionRetry and a little more), and
// otherwise stays in the store for Reattach after the next start. Then it closes group and store. The error is nil, or has a *LeftoverError
// with instances that could not be deleted or may still appear, or why group or store could not be closed. A second call waits for the first.
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
		t.log.Warn("the provider does not return from a call; it is left behind")
	}
	t.inbox.close()
	if !t.await(t.loopDone, loopGrace) {
		t.giveUpHope(ErrShutdown)
		t.await(t.loopDone, time.Second)
	}
	t.giveUpHope(ErrShutdown)
	t.await(t.observer.done, time.Second)
	closeJournal(t.journal, t.log)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), groupShutdown)
	defer cancel()
	if e := guard(t.log, func() error { return t.group.Shutdown(end) }); e != nil {
		err = errors.Join(err, fmt.Errorf("shut the provider down: %w", e))
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

// emptyFleet waits for the leases and, where instances are to be deleted, for their end.
func (t *Taskscaler) emptyFleet(ctx context.Context) error {
	cfg := t.config()
	t.inbox.put(&scaler.Event{Kind: scaler.EvShutdown, On: cfg.DeleteOnShutdown}, nil)
	select {
	case <-t.finished:
		return t.leftovers(cfg)
	case <-t.dead:
		return t.stopErr
	case <-ctx.Done():
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

// leftovers is the error that names the instances of ours that are still there, and counts those that may still come.
func (t *Taskscaler) leftovers(cfg *Config) error {
	if !cfg.DeleteOnShutdown {
		return nil
	}
	found := make(chan *LeftoverError, 1)
	asked := t.inbox.ask(func(l *loop) {
		var left LeftoverError
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
