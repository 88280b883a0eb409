package taskscaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// leased reports whether a commit records a lease of key.
func leased(c statestore.Commit, key string) bool {
	if c.Changes == nil {
		return false
	}
	for _, r := range c.Changes.Put {
		for _, l := range r.Leases {
			if string(l.Key) == key {
				return true
			}
		}
	}
	return false
}

func TestNoCallerSeesALeaseBeforeItsCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		f.acquire("first")
		release := make(chan struct{})
		store.set(func(_ context.Context, c statestore.Commit) error {
			if leased(c, "job") {
				<-release
			}
			return nil
		})
		got := make(chan *Lease, 1)
		go func() {
			l, err := f.Acquire(context.Background(), "job")
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		time.Sleep(time.Minute)
		select {
		case <-got:
			t.Fatal("the caller got the lease before its commit")
		default:
		}
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "commit") {
			t.Errorf("Ready = %v while a commit hangs", err)
		}
		close(release)
		if l := <-got; l == nil || l.Key() != "job" {
			t.Error("no lease after the commit")
		}
		if err := f.Ready(); err != nil {
			t.Errorf("Ready = %v", err)
		}
	})
}

func TestFailedCommitIsRetriedAsItIsAndNothingIsDoneMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		held := f.acquire("held")
		var mu sync.Mutex
		var tried []string
		var at []time.Time
		failing := true
		store.set(func(_ context.Context, c statestore.Commit) error {
			mu.Lock()
			defer mu.Unlock()
			text, err := json.Marshal(c.Changes)
			if err != nil {
				return err
			}
			tried, at = append(tried, string(text)), append(at, time.Now())
			if failing {
				return errors.New("disk full")
			}
			return nil
		})
		increases := f.group.count("increase")
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if _, err := f.Acquire(context.Background(), fmt.Sprint("job-", i)); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(2 * time.Minute)
		if n := f.group.count("increase"); n != increases {
			t.Errorf("%d creates were sent before they were committed", n-increases)
		}
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("Ready = %v, want the failure", err)
		}
		s := f.status()
		if !s.Stale || !s.Commit.Failing || s.Commit.Error != "disk full" || s.Commit.Failures < 10 || s.Counts.Leases != 1 || s.Ready {
			t.Errorf("status = %+v", s)
		}
		if held.Err() != nil {
			t.Errorf("a live lease ended: %v", held.Err())
		}
		mu.Lock()
		for i := 1; i < len(tried); i++ {
			gap, want := at[i].Sub(at[i-1]), min(100*time.Millisecond<<(i-1), 10*time.Second)
			if tried[i] != tried[0] || gap != want {
				t.Errorf("attempt %d after %v, want %v; the same changes: %v", i, gap, want, tried[i] == tried[0])
			}
		}
		failing = false
		mu.Unlock()
		wg.Wait()
		if s := f.status(); s.Stale || s.Commit.Failing || s.Counts.Leases != 4 {
			t.Errorf("after the recovery: stale %v, %+v, %+v", s.Stale, s.Commit, s.Counts)
		}
		if !f.log.has("committed again") {
			t.Error("the recovery is not in the log")
		}
	})
}

func TestManagerStopsAtOnceWhenTheStoreFailsPermanently(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		held := f.acquire("held")
		gone := &statestore.PermanentError{Err: errors.New("the file was removed")}
		store.set(func(context.Context, statestore.Commit) error { return fmt.Errorf("commit: %w", gone) })
		from, commits, increases := time.Now(), store.count(), f.group.count("increase")
		_, err := f.Acquire(context.Background(), "job")
		if took := time.Since(from); took != 0 {
			t.Errorf("it stopped after %v, want at once", took)
		}
		var stop *StopError
		if !errors.As(err, &stop) || !errors.Is(err, gone) {
			t.Errorf("the caller got %v", err)
		}
		<-f.Done()
		if err := f.Err(); !errors.As(err, &stop) || !errors.Is(err, gone) {
			t.Errorf("Err = %v", err)
		}
		synctest.Wait()
		if n := store.count() - commits; n != 1 {
			t.Errorf("%d commits were tried, want 1", n)
		}
		if n := f.group.count("increase") - increases; n != 0 {
			t.Errorf("%d creates were sent that were never committed", n)
		}
		if !errors.Is(held.Err(), ErrShutdown) {
			t.Errorf("a lease of the stopped manager: %v", held.Err())
		}
		if err := f.Shutdown(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Shutdown = %v", err)
		}
	})
}

func TestManagerStopsWhenItCannotCommitForFiveMinutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		held := f.acquire("held")
		full := errors.New("disk full")
		store.set(func(context.Context, statestore.Commit) error { return full })
		from := time.Now()
		_, err := f.Acquire(context.Background(), "job")
		if took := time.Since(from); took < 5*time.Minute || took > 5*time.Minute+15*time.Second {
			t.Errorf("it stopped after %v, want 5m", took)
		}
		var stop *StopError
		if !errors.As(err, &stop) || !errors.Is(err, full) {
			t.Errorf("the caller got %v", err)
		}
		<-f.Done()
		if err := f.Err(); !errors.As(err, &stop) {
			t.Errorf("Err = %v", err)
		}
		if !errors.Is(f.Ready(), f.Err()) {
			t.Errorf("Ready = %v", f.Ready())
		}
		synctest.Wait()
		if !errors.Is(held.Err(), ErrShutdown) {
			t.Errorf("a lease of the stopped manager: %v", held.Err())
		}
		for name, err := range map[string]error{
			"Reserve": f.Reserve(t.Context(), "x"), "Release": f.Release(context.Background(), "held"), "Reload": f.Reload(t.Context(), f.cfg), "Drain": f.Drain(t.Context()),
		} {
			if !errors.As(err, &stop) {
				t.Errorf("%s on a stopped manager: %v", name, err)
			}
		}
		if _, err := f.Status(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Status: %v", err)
		}
		if err := f.Shutdown(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Shutdown: %v", err)
		}
		if f.group.shut != 1 || store.Open() {
			t.Errorf("group shut down %d times, store open: %v", f.group.shut, store.Open())
		}
	})
}

func TestManagerStopsWhenACommitHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		f.acquire("held")
		release := make(chan struct{})
		store.set(func(context.Context, statestore.Commit) error { <-release; return nil })
		_, err := f.Acquire(context.Background(), "job")
		var stop *StopError
		if !errors.As(err, &stop) || !strings.Contains(err.Error(), "hangs") {
			t.Errorf("the caller got %v", err)
		}
		<-f.Done()
		close(release)
		if err := f.Shutdown(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestCallerThatGaveUpDuringAFailingCommitHoldsNothingAfterwards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		f.acquire("held")
		store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		from := time.Now()
		if _, err := f.Acquire(ctx, "job"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", err)
		}
		if took := time.Since(from); took > 10*time.Second+cancelGrace {
			t.Errorf("it took %v to give up", took)
		}
		if err := f.Reserve(ctx, "reserved"); err == nil {
			t.Error("a reservation without a commit")
		}
		store.set(nil)
		f.until("the slot is free again", func() bool {
			s := f.status() // a stale status describes the time before the commit
			return !s.Stale && s.Counts.Leases == 1 && s.Counts.Waiters == 0 && s.Counts.Reservations == 0
		})
	})
}

func TestReserveThatGaveUpDuringAFailingCommitReservesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		f.acquire("held")
		store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { _, _ = f.Acquire(ctx, "first in the commit") }()
		synctest.Wait()
		if err := f.Reserve(ctx, "job"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v, want DeadlineExceeded", err)
		}
		store.set(nil)
		recovered := time.Now()
		f.until("a commit", func() bool { return !f.status().Stale })
		time.Sleep(time.Second) // the slot is given back in the commit after that of the grant
		if c := f.status().Counts; c.Reservations != 0 {
			t.Errorf("%v after the recovery: %+v", time.Since(recovered), c)
		}
		if err := f.Reserve(t.Context(), "job"); err != nil {
			t.Errorf("the next Reserve of the key: %v", err)
		}
	})
}

func TestNothingIsCommittedWhenNothingChanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store), withConfig(func(c *Config) { c.Policies = idle(t, 2, time.Hour) }))
		defer f.end()
		f.until("two free slots", func() bool { return f.status().Counts.Free == 2 })
		time.Sleep(time.Minute)
		n := store.count()
		time.Sleep(time.Hour)
		if got := store.count(); got != n {
			t.Errorf("%d commits in an idle hour", got-n)
		}
	})
}

// TestReplay passes the recorded events to a second core, which must produce the same batches.
func TestReplay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type step struct {
			now    scaler.Time
			events []scaler.Event
		}
		var steps []step
		var batches []string
		mark := -1
		obs := observe.Observer{
			Events: func(now scaler.Time, events []scaler.Event) {
				steps = append(steps, step{now, append([]scaler.Event(nil), events...)})
			},
			Batch: func(b *scaler.Batch) { batches, mark = append(batches, text(t, b)), len(steps) },
		}
		mono, wall := time.Duration(0), time.Now().Round(0)
		f := start(t, withTap(obs))
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i*i) * time.Second)
				l, err := f.Acquire(context.Background(), fmt.Sprint("job-", i))
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(30+7*i) * time.Second)
				if i == 5 {
					f.group.vanish(l.InstanceID())
				}
				_ = l.Release(context.Background())
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Minute)
		reloaded := f.cfg
		reloaded.MaxInstances = 2
		if err := f.Reload(t.Context(), reloaded); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		f.end()

		core, err := scaler.New(f.coreConfig(ptr(f.cfg.WithDefaults())), record.Saved{Meta: record.Meta{Group: "test/group"}}, false,
			scaler.Time{Mono: mono, Wall: wall})
		if err != nil {
			t.Fatal(err)
		}
		if len(steps) < 100 || mark != len(steps) {
			t.Fatalf("%d steps, the last batch after %d", len(steps), mark)
		}
		for i, s := range steps {
			for _, ev := range s.events {
				core.Step(s.now, ev)
			}
			if got := text(t, core.Take()); got != batches[i] {
				t.Fatalf("batch %d differs\nreplayed %s\nlive     %s", i, got, batches[i])
			}
			if err := core.Check(); err != nil {
				t.Fatalf("after batch %d: %v", i, err)
			}
		}
	})
}

func ptr[T any](v T) *T { return &v }

func text(t *testing.T, b *scaler.Batch) string {
	t.Helper()
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A core that finds a contradiction stops the manager. Nothing of the batch is committed or carried out.
func TestBugStopsTheManagerWithNothingCommitted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		f.acquire("job")
		before := store.count()
		increases := f.group.count("increase")
		f.inbox.ask(func(l *loop) { l.inspect = func(b *scaler.Batch) { b.Bug = errors.New("slot 0 is taken twice") } })
		synctest.Wait()
		_, err := f.Acquire(context.Background(), "next")
		var stop *StopError
		if !errors.As(err, &stop) || !strings.Contains(err.Error(), "slot 0 is taken twice") {
			t.Errorf("err = %v", err)
		}
		if store.count() != before || f.group.count("increase") != increases {
			t.Error("a part of the batch was committed or carried out")
		}
		if err := f.Shutdown(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}
