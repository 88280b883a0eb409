package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// hang limits every wait in real time in the tests of this package. It is much longer than a busy machine needs, so only a hang reaches it.
// In a bubble (see bubble) time is virtual and needs no limit.
const hang = 2 * time.Minute

// TestCancelAgainstGrant cancels callers at every possible moment. No slot is leased twice, and none is lost.
func TestCancelAgainstGrant(t *testing.T) {
	g, n := newGroup(), &testNet{}
	g.boot = 0
	cfg := Config{UpdateIntervalWhenExpecting: 5 * time.Millisecond, UpdateInterval: 20 * time.Millisecond}
	cfg.CapacityPerInstance, cfg.MaxInstances, cfg.Policies = 2, 2, idle(t, 4, time.Hour)
	ts, err := New(t.Context(), g, cfg, WithDialer(n.dial))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	held := map[string]string{} // key by place
	var granted, gaveUp int
	raced := func() bool { mu.Lock(); defer mu.Unlock(); return granted > 0 && gaveUp > 0 }
	began := time.Now()
	var wg sync.WaitGroup
	for c := range 24 {
		rng := rand.New(rand.NewPCG(uint64(c), 7))
		wg.Go(func() {
			// On a busy machine it can happen that no caller gets a slot in time. Then there are more rounds, and the callers wait longer.
			for i := 0; i < 150 || !raced() && time.Since(began) < hang; i++ {
				key := fmt.Sprintf("job-%d-%d", c, i)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(1200*(1+i/150)))*time.Microsecond)
				if rng.IntN(3) == 0 {
					_ = ts.Reserve(ctx, key)
				}
				l, err := ts.Acquire(ctx, key)
				cancel()
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", key, err)
					}
					ts.Unreserve(key)
					mu.Lock()
					gaveUp++
					mu.Unlock()
					continue
				}
				place := fmt.Sprintf("%s/%d", l.InstanceID(), l.Slot())
				mu.Lock()
				granted++
				if other := held[place]; other != "" {
					t.Errorf("%s is held by %s and %s", place, other, key)
				}
				held[place] = key
				mu.Unlock()
				if rng.IntN(2) == 0 {
					time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
				}
				mu.Lock()
				delete(held, place)
				mu.Unlock()
				if err := l.Release(context.Background()); err != nil {
					t.Errorf("release of %s: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
	s, err := ts.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Counts; c.Leases != 0 || c.Waiters != 0 || c.Reservations != 0 {
		t.Errorf("counts at the end: %+v", c)
	}
	if granted == 0 || gaveUp == 0 {
		t.Errorf("%d granted, %d cancelled: the test needs both", granted, gaveUp)
	}
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEverythingAtOnce calls every method from many goroutines during a shutdown, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	g, n := newGroup(), &testNet{}
	g.boot = 0
	store, err := statestore.OpenBolt(t.TempDir(), statestore.BoltOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{UpdateIntervalWhenExpecting: 5 * time.Millisecond, UpdateInterval: 10 * time.Millisecond, DeleteOnShutdown: true}
	cfg.CapacityPerInstance, cfg.MaxInstances, cfg.Policies = 2, 4, idle(t, 2, time.Millisecond)
	cfg.ShutdownDeletionInterval = time.Second
	ts, err := New(t.Context(), g, cfg, WithDialer(n.dial), WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg, warm sync.WaitGroup
	for c := range 8 {
		key := fmt.Sprint("job-", c)
		warm.Add(1)
		wg.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				if round == 50 {
					warm.Done()
				}
				_ = ts.Reserve(ctx, key)
				if l, err := ts.Acquire(ctx, key); err == nil {
					if client, err := l.Dial(ctx); err == nil {
						_ = client.Close()
					}
					if c%2 == 0 {
						ts.Detach(key)
						_, _ = ts.Reattach(ctx, key)
						_, _ = ts.Replace(ctx, key)
					}
					_ = ts.Release(context.Background(), key)
				}
				_, _ = ts.Status(ctx)
				_, _, _ = ts.Wait(ctx, key)
				_ = ts.Ready()
				if c == 0 {
					_ = ts.Reload(ctx, cfg)
				}
			}
		})
	}
	warm.Wait() // every caller has called every method many times
	end, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if err := ts.Shutdown(end); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	cancel()
	wg.Wait()
	if ids := g.ids(); len(ids) != 0 {
		t.Errorf("left: %v", ids)
	}
}

func TestInboxLosesNothing(t *testing.T) {
	b := newInbox()
	const producers, each = 8, 5000
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for i := range each {
				if i%2 == 0 {
					b.tick()
				}
				b.ask(func(*loop) {})
			}
		})
	}
	go func() {
		wg.Wait()
		b.close()
	}()
	var m mail
	got := 0
	for {
		m.reset()
		some, open := b.take(&m)
		got += len(m.queries)
		if !some && !open {
			break
		}
		if !some {
			<-b.wake
		}
	}
	if got != producers*each {
		t.Errorf("%d of %d arrived", got, producers*each)
	}
	if b.ask(func(*loop) {}) || b.putAll(nil) {
		t.Error("a closed inbox accepted an event")
	}
}
