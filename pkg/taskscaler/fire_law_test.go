package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// ledger is a store that records when each change became durable. The tests compare everything that leaves the manager with it.
type ledger struct {
	*testStore
	mu     sync.Mutex
	at     map[record.Key]record.ID // the instance of each live lease, as committed
	leased map[record.Key]bool      // keys whose lease was durable at some time
	ended  map[record.Key]bool      // keys whose end of lease was durable at some time
}

func newLedger() *ledger {
	return &ledger{testStore: newStore(), at: map[record.Key]record.ID{}, leased: map[record.Key]bool{}, ended: map[record.Key]bool{}}
}

// Commit implements statestore.Store.
func (l *ledger) Commit(ctx context.Context, c statestore.Commit) error {
	if err := l.testStore.Commit(ctx, c); err != nil || c.Changes == nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, rec := range c.Changes.Put {
		for key, id := range l.at {
			if id == rec.ID {
				l.ended[key] = true
				delete(l.at, key)
			}
		}
		for _, lease := range rec.Leases {
			l.at[lease.Key], l.leased[lease.Key] = rec.ID, true
			delete(l.ended, lease.Key)
		}
	}
	return nil
}

// held reports whether a lease of key was durable at some time, and whether its end is. A lease that began and ended in one commit was
// never held: the record has only its use.
func (l *ledger) held(key record.Key) (ever, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leased[key], l.ended[key]
}

// record returns the stored record of an instance.
func (l *ledger) record(id string) (rec record.Instance, ok bool) {
	snap, err := l.Load(context.Background())
	if err != nil {
		return record.Instance{Cause: record.CauseShutdown}, false
	}
	for _, rec := range snap.State.Instances {
		if string(rec.ID) == id {
			return rec, true
		}
	}
	return rec, false
}

func (l *ledger) intents() (open int) {
	snap, _ := l.Load(context.Background())
	for _, in := range snap.State.Intents {
		if !in.Answered {
			open += in.Asked
		}
	}
	return open
}

// TestFireNothingLeavesBeforeItIsDurable compares every call to the provider, every answer to a caller and every published fact with the
// content of the store at that moment, while commits are slow and fail.
func TestFireNothingLeavesBeforeItIsDurable(t *testing.T) {
	for seed := range uint64(8) {
		bubble(t, func(t *testing.T) {
			books := newLedger()
			r := newRandom(seed)
			books.set(func(_ context.Context, c statestore.Commit) error {
				if c.Changes != nil && c.Changes.Meta != nil && c.Changes.Meta.LastOp == 0 {
					return nil // the commit in New that records the group: without it there is no manager
				}
				if r.chance(0.3) {
					time.Sleep(r.upTo(3 * time.Second))
				}
				if r.chance(0.2) {
					return errors.New("disk full")
				}
				return nil
			})
			f := start(t, withStore(books), withGroup(func(g *testGroup) { holdAgainst(t, g, books, r) }), withTap(observe.Observer{Fact: factsAgainst(t, books)}),
				withConfig(func(c *Config) { c.MaxInstances, c.MaxUseCount = 6, 5; c.UpdateInterval = 5 * time.Second }))
			var wg sync.WaitGroup
			for n := range 12 {
				wg.Go(func() { workAgainst(t, f, books, r, n) })
			}
			wg.Wait()
			books.set(nil)
			f.end()
			if f.group.count("increase") < 3 || f.group.count("decrease") < 3 {
				t.Errorf("%d creates and %d deletes: the test needs both", f.group.count("increase"), f.group.count("decrease"))
			}
		})
	}
}

// random is a source of random numbers for many goroutines.
type random struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRandom(seed uint64) *random { return &random{r: rand.New(rand.NewPCG(seed, 3))} }

func (r *random) chance(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.Float64() < p
}

func (r *random) upTo(d time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.r.Int64N(int64(d)))
}

func holdAgainst(t *testing.T, g *testGroup, books *ledger, r *random) {
	g.onIncrease = func(_ context.Context, n int) (int, error) {
		if open := books.intents(); open < n {
			t.Errorf("a create of %d instances was called, the store has intents for %d", n, open)
		}
		return n, nil
	}
	g.onDecrease = func(_ context.Context, ids []string) ([]string, error) {
		for _, id := range ids {
			if rec, ok := books.record(id); !ok || !rec.DeleteAsked || len(rec.Leases) > 0 {
				t.Errorf("a delete of %s was called, the store has %+v (found: %v)", id, rec, ok)
			}
		}
		return ids, nil
	}
	g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
		if rec, ok := books.record(id); !ok || rec.State != record.Preparing {
			t.Errorf("%s was prepared, the store has %+v (found: %v)", id, rec, ok)
		}
		return provider.ConnectInfo{ID: id}, nil
	}
	g.onHeartbeat = func(_ context.Context, id string) error {
		if _, ok := books.record(id); !ok {
			t.Errorf("a heartbeat was sent to %s, which is not in the store", id)
		}
		if r.chance(0.02) {
			return provider.ErrInstanceUnhealthy
		}
		return nil
	}
}

func factsAgainst(t *testing.T, books *ledger) func(*scaler.Fact) {
	return func(f *scaler.Fact) {
		rec, ok := books.record(string(f.ID))
		switch f.Kind {
		case scaler.FactCreate:
			if books.intents() < f.Count {
				t.Error("a create was published before its intent was durable")
			}
		case scaler.FactAppeared, scaler.FactAdopt:
			if !ok {
				t.Errorf("%s was published before its record was durable", f.ID)
			}
		case scaler.FactDelete:
			if !rec.DeleteAsked {
				t.Errorf("the delete of %s was published before it was durable", f.ID)
			}
		case scaler.FactRevoke:
			if ever, over := books.held(f.Key); ever && !over {
				t.Errorf("the end of the lease of %s was published before it was durable", f.Key)
			}
		}
	}
}

// workAgainst acquires and releases leases for half an hour.
func workAgainst(t *testing.T, f *fixture, books *ledger, r *random, n int) {
	end := time.Now().Add(30 * time.Minute)
	for i := 0; time.Now().Before(end); i++ {
		key := fmt.Sprintf("job-%d-%d", n, i)
		ctx, cancel := context.WithTimeout(t.Context(), r.upTo(5*time.Minute))
		l, err := f.Acquire(ctx, key)
		cancel()
		if err != nil {
			continue
		}
		if ever, _ := books.held(l.key); !ever {
			time.Sleep(time.Nanosecond) // on virtual time: a lease that its own batch revoked has ended then
			if l.Err() == nil {
				t.Errorf("the caller got the lease of %s before it was durable", key)
			}
		}
		select {
		case <-l.Context().Done():
		case <-time.After(r.upTo(2 * time.Minute)):
		}
		switch end := l.Err(); {
		case end != nil:
			err = nil
		case r.chance(0.1):
			err = l.ReleaseUnhealthy(context.Background(), "it is broken")
		default:
			err = l.Release(context.Background())
		}
		var revoked *RevokedError
		if err != nil && !errors.As(err, &revoked) {
			t.Errorf("release of %s: %v", key, err)
		}
		if ever, over := books.held(l.key); ever && !over {
			t.Errorf("the caller of %s was told of the end of its lease before the end was durable", key)
		}
		time.Sleep(r.upTo(time.Minute))
	}
}

// TestFireFailingCommitHoldsEverything: releases, revocations, deletes, facts, drains and reloads wait for the commit. Queries are
// answered.
func TestFireFailingCommitHoldsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		defer f.end()
		a, b := f.acquire("a"), f.acquire("b")
		store.set(func(context.Context, statestore.Commit) error { return errors.New("disk full") })
		facts, deletes := len(f.facts.of(scaler.FactRevoke))+len(f.facts.of(scaler.FactRetire)), f.group.count("decrease")
		told := make(chan string, 10)
		go func() { told <- fmt.Sprint("unhealthy ", a.ReleaseUnhealthy(context.Background(), "it is broken")) }()
		synctest.Wait() // this event is in the batch that fails; the events below wait behind it
		go func() { told <- fmt.Sprint("release ", f.Release(context.Background(), "b")) }()
		go func() { told <- fmt.Sprint("reload ", f.Reload(context.Background(), f.cfg)) }()
		go func() { told <- fmt.Sprint("undrain ", f.Undrain(context.Background())) }()
		for range 8 {
			time.Sleep(30 * time.Second)
			if s := f.status(); !s.Stale || !s.Commit.Failing || s.Commit.Error != "disk full" {
				t.Fatalf("a query was answered %+v", s.Commit)
			}
			if _, _, err := f.Wait(t.Context(), "nobody"); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(told); n > 0 {
			t.Errorf("%d callers were answered, the first: %s", n, <-told)
		}
		if a.Err() != nil || b.Err() != nil || f.group.count("decrease") != deletes {
			t.Errorf("leases %v and %v, %d deletes", a.Err(), b.Err(), f.group.count("decrease")-deletes)
		}
		if n := len(f.facts.of(scaler.FactRevoke)) + len(f.facts.of(scaler.FactRetire)); n != facts {
			t.Errorf("%d facts were published", n-facts)
		}
		store.set(nil)
		var all []string
		for range 4 {
			all = append(all, <-told)
		}
		text := strings.Join(all, ", ")
		for _, want := range []string{"unhealthy <nil>", "reload <nil>", "undrain <nil>", "release "} {
			if !strings.Contains(text, want) {
				t.Errorf("answer: %s; want %q", text, want)
			}
		}
		var revoked *RevokedError
		if !errors.As(b.Err(), &revoked) {
			t.Errorf("the other lease of an unhealthy instance ended with %v", b.Err())
		}
		f.until("the delete", func() bool { return f.group.count("decrease") > deletes })
	})
}

// TestFireGroupCommit: all callers that wait while a commit runs share the next commit.
func TestFireGroupCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const callers = 60
		store := newStore()
		f := start(t, withStore(store), withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 100, 1 }))
		defer f.end()
		f.acquire("first")
		f.until("99 free slots", func() bool { return f.status().Counts.Free == 99 })
		hold := make(chan struct{})
		store.set(func(_ context.Context, c statestore.Commit) error {
			if leased(c, "plug") {
				<-hold
			}
			return nil
		})
		var wg sync.WaitGroup
		take := func(key string) {
			wg.Go(func() {
				if _, err := f.Acquire(context.Background(), key); err != nil {
					t.Error(err)
				}
			})
		}
		take("plug")
		synctest.Wait()
		for i := range callers {
			take(fmt.Sprint("job-", i))
		}
		synctest.Wait()
		store.set(nil)
		n := store.count()
		close(hold)
		wg.Wait()
		if got := store.count() - n; got != 1 {
			t.Errorf("%d callers took %d commits, want 1", callers, got)
		}
	})
}

// TestFireHungCommitTakesNothingAlong: a commit that returns after the watchdog has stopped the manager has no further effect.
func TestFireHungCommitTakesNothingAlong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store), withConfig(func(c *Config) { c.CapacityPerInstance = 1 }))
		held := f.acquire("held")
		f.until("a free slot", func() bool { return f.status().Counts.Free == 1 })
		hold := make(chan struct{})
		store.set(func(context.Context, statestore.Commit) error { <-hold; return nil })
		calls, facts := f.group.count("increase"), len(f.facts.of(scaler.FactCreate))
		from := time.Now()
		_, err := f.Acquire(context.Background(), "job") // takes the free slot, and the policy then needs another one
		var stop *StopError
		if !errors.As(err, &stop) {
			t.Errorf("the caller got %v", err)
		}
		if took := time.Since(from); took < commitPatience || took > commitPatience+2*time.Minute {
			t.Errorf("the manager stopped after %v", took)
		}
		if cause := held.Err(); !errors.Is(cause, ErrShutdown) || !errors.As(cause, &stop) {
			t.Errorf("a lease of the stopped manager: %v", cause)
		}
		close(hold)
		synctest.Wait()
		if f.group.count("increase") != calls || len(f.facts.of(scaler.FactCreate)) != facts {
			t.Error("the batch of the hung commit was carried out after the manager had stopped")
		}
		if err := f.Shutdown(t.Context()); !errors.As(err, &stop) {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// TestFireRevocationComesBeforeTheDelete: the loop is blocked in the middle of a batch's revocations. No delete of the batch has started by
// then.
func TestFireRevocationComesBeforeTheDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances, c.Policies = 3, 1, idle(t, 0, time.Hour) }))
		defer f.end()
		a, b, c := f.acquire("a"), f.acquire("b"), f.acquire("c")
		c.mu.Lock() // the loop blocks when it ends this lease
		go func() { _ = a.ReleaseUnhealthy(context.Background(), "it is broken") }()
		<-b.Context().Done()
		d := &f.work.deletes
		d.mu.Lock()
		if d.running || len(d.queue) > 0 || f.group.count("decrease") > 0 {
			t.Error("a delete has started before every caller was told")
		}
		d.mu.Unlock()
		c.mu.Unlock()
		f.until("the delete", func() bool { return f.group.count("decrease") == 1 })
		var revoked *RevokedError
		if !errors.As(c.Err(), &revoked) || revoked.Cause != record.CauseUnhealthy {
			t.Errorf("the last lease: %v", c.Err())
		}
	})
}

// TestFireCancelOfAQueuedCaller: a caller that stops waiting leaves the queue at once, and the next waiter gets the slot.
func TestFireCancelOfAQueuedCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances, c.Policies = 1, 1, idle(t, 0, time.Hour) }))
		defer f.end()
		held := f.acquire("held")
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan *Lease, 1)
		go func() { _, err := f.Acquire(ctx, "first"); first <- err }()
		synctest.Wait()
		go func() { l, _ := f.Acquire(context.Background(), "second"); second <- l }()
		synctest.Wait()
		from := time.Now()
		cancel()
		var wait *WaitError
		if err := <-first; !errors.As(err, &wait) || wait.Cause != record.CauseCancelled || time.Since(from) != 0 {
			t.Errorf("Acquire = %v after %v", err, time.Since(from))
		}
		if s := f.status(); len(s.Waiters) != 1 || s.Waiters[0].Key != "second" {
			t.Errorf("waiters: %+v", s.Waiters)
		}
		if err := held.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		if l := <-second; l == nil || time.Since(from) != 0 {
			t.Errorf("the next waiter: %v after %v", l, time.Since(from))
		}
	})
}
