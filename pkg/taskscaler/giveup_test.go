package taskscaler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// summary returns what the core says about itself.
func (f *fixture) summary() scaler.Summary {
	f.t.Helper()
	got := make(chan scaler.Summary, 1)
	if !f.inbox.ask(func(l *loop) { got <- l.core.Summary() }) {
		f.t.Fatal("the manager has stopped")
	}
	return <-got
}

// holds reports whether the core has a lease of key.
func (f *fixture) holds(key string) bool {
	f.t.Helper()
	got := make(chan bool, 1)
	f.inbox.ask(func(l *loop) { _, _, ok := l.core.Lease(record.Key(key)); got <- ok })
	return <-got
}

// TestCallIsGivenUpWhileCommitsFail: a caller stops waiting while the state cannot be committed, at each stage of its call. In the end the call
// has happened, or it has not: core and shell agree, nothing is held for a caller that has left, and no running job loses its lease.
func TestCallIsGivenUpWhileCommitsFail(t *testing.T) {
	stages := map[string]func(f *fixture){
		"in the inbox":            func(f *fixture) { go func() { _, _ = f.Acquire(context.Background(), "other") }(); synctest.Wait() },
		"in the batch that fails": func(*fixture) {},
	}
	cases := map[string]struct {
		before func(f *fixture)
		call   func(ctx context.Context, f *fixture) error
		after  func(t *testing.T, f *fixture, job *Lease)
	}{
		"Acquire": {
			call: func(ctx context.Context, f *fixture) error { _, err := f.Acquire(ctx, "new"); return err },
			after: func(t *testing.T, f *fixture, _ *Lease) {
				if s := f.summary(); s.Waiters != 0 || f.holds("new") {
					t.Errorf("the lease is held: %v, %d waiters", f.holds("new"), s.Waiters)
				}
			},
		},
		"Reserve": {
			call: func(ctx context.Context, f *fixture) error { return f.Reserve(ctx, "new") },
			after: func(t *testing.T, f *fixture, _ *Lease) {
				if s := f.summary(); s.Reservations > 0 {
					t.Errorf("%d reservations", s.Reservations)
				}
			},
		},
		"Replace": {
			call: func(ctx context.Context, f *fixture) error { _, err := f.Replace(ctx, "job"); return err },
			after: func(t *testing.T, f *fixture, job *Lease) {
				if s := f.summary(); f.holds("job") || s.Waiters != 0 || job.Err() == nil {
					t.Errorf("a lease is held: %v, %d waiters, the old lease: %v", f.holds("job"), s.Waiters, job.Err())
				}
			},
		},
		"Release": {
			call: func(ctx context.Context, f *fixture) error { return f.Release(ctx, "job") },
			after: func(t *testing.T, f *fixture, job *Lease) {
				if f.holds("job") || !errors.Is(job.Err(), context.Canceled) {
					t.Errorf("the lease is held: %v, its handle: %v", f.holds("job"), job.Err())
				}
			},
		},
		"Reattach": {
			call: func(ctx context.Context, f *fixture) error { _, err := f.Reattach(ctx, "job"); return err },
			after: func(t *testing.T, f *fixture, job *Lease) {
				time.Sleep(time.Hour)
				if !f.holds("job") || job.Err() != nil {
					t.Errorf("the lease of a running job: held %v, its handle: %v", f.holds("job"), job.Err())
				}
			},
		},
		"Reattach to a lost connection": {
			before: func(f *fixture) { f.Detach("job"); synctest.Wait() },
			call:   func(ctx context.Context, f *fixture) error { _, err := f.Reattach(ctx, "job"); return err },
			after: func(t *testing.T, f *fixture, _ *Lease) {
				if !f.holds("job") {
					t.Fatal("the lease is gone at once")
				}
				time.Sleep(f.cfg.ReattachAfterDisconnect)
				if f.holds("job") {
					t.Error("the lease is held although nobody came back")
				}
			},
		},
		"Reload": {
			call: func(ctx context.Context, f *fixture) error {
				cfg := f.cfg
				cfg.MaxInstances, cfg.DeleteOnShutdown = 7, true
				return f.Reload(ctx, cfg)
			},
			after: func(t *testing.T, f *fixture, _ *Lease) {
				if core, shell := f.summary().MaxInstances, f.config(); core != 7 || shell.MaxInstances != 7 || !shell.DeleteOnShutdown {
					t.Errorf("the core has max_instances %d, the shell %d", core, shell.MaxInstances)
				}
			},
		},
		"Drain": {
			call: func(ctx context.Context, f *fixture) error { return f.Drain(ctx) },
			after: func(t *testing.T, f *fixture, job *Lease) {
				if !f.summary().Closed || job.Err() != nil {
					t.Errorf("draining %v, the lease: %v", f.summary().Closed, job.Err())
				}
			},
		},
		"Undrain": {
			before: func(f *fixture) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = f.Drain(ctx)
			},
			call: func(ctx context.Context, f *fixture) error { return f.Undrain(ctx) },
			after: func(t *testing.T, f *fixture, _ *Lease) {
				if f.summary().Closed {
					t.Error("it still drains")
				}
			},
		},
	}
	for name, c := range cases {
		for stage, prepare := range stages {
			t.Run(name+" "+stage, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					store := newStore()
					f := start(t, withStore(store), withConfig(func(c *Config) { c.ReattachAfterDisconnect = 5 * time.Second }))
					job := f.acquire("job")
					f.until("a free slot", func() bool { return f.status().Counts.Free > 0 })
					if c.before != nil {
						c.before(f)
					}
					store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
					prepare(f)
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := c.call(ctx, f)
					store.set(nil)
					if err == nil { // nothing had to be committed, so the call succeeded
						f.end()
						return
					}
					time.Sleep(500 * time.Millisecond)
					f.until("the commit", func() bool { return f.Ready() == nil })
					c.after(t, f, job)
					f.end()
				})
			})
		}
	}
}

// TestReattachAfterARestartIsGivenUp: the lease waits for its caller as after the restart, and is revoked in the end if none comes.
func TestReattachAfterARestartIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		f.acquire("job")
		next, group := f.crash()
		store := &testStore{Memory: next.(*statestore.Memory)}
		f = start(t, withStore(store), onGroup(group, f.net))
		defer f.end()
		f.until("it is ready", func() bool { return f.Ready() == nil })
		store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
		go func() { _, _ = f.Acquire(context.Background(), "other") }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Reattach(ctx, "job"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Reattach = %v", err)
		}
		store.set(nil)
		time.Sleep(time.Minute)
		if !f.holds("job") {
			t.Fatal("the lease of a running job was ended by a Reattach that timed out")
		}
		time.Sleep(f.config().ReattachAfterRestart)
		if f.holds("job") {
			t.Error("the lease is held although nobody came back")
		}
	})
}
