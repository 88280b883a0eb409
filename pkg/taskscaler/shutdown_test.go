package taskscaler

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func deleting(c *Config) { c.DeleteOnShutdown = true }

func TestShutdownLeavesInstancesAndLeases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newStore()
		f := start(t, withStore(store))
		l := f.acquire("job")
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} { // eight callers for seven free slots
			wg.Go(func() {
				if _, err := f.Acquire(context.Background(), key); err != nil && !errors.Is(err, ErrShutdown) {
					t.Errorf("a waiter got %v", err)
				}
			})
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		from := time.Now()
		if err := f.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if took := time.Since(from); took != time.Minute {
			t.Errorf("Shutdown waited %v for leases, want the minute of its context", took)
		}
		wg.Wait()
		if cause := context.Cause(l.Context()); !errors.Is(cause, ErrShutdown) {
			t.Errorf("the lease ended with %v", cause)
		}
		if n := f.group.count("decrease"); n != 0 || len(f.group.ids()) != 4 || f.group.shut != 1 || store.Open() {
			t.Errorf("%d deletes, %d instances, shut down %d times, store open %v", n, len(f.group.ids()), f.group.shut, store.Open())
		}
		if !errors.Is(f.Err(), ErrShutdown) {
			t.Errorf("Err = %v", f.Err())
		}
		for name, err := range map[string]error{"Reserve": f.Reserve(t.Context(), "x"), "Release": f.Release(context.Background(), "job"), "again": f.Shutdown(t.Context())} {
			if name != "again" && !errors.Is(err, ErrShutdown) || name == "again" && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		snap, err := store.Memory.Reopen().Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leases := 0
		for _, r := range snap.State.Instances {
			leases += len(r.Leases)
		}
		if leases != 8 {
			t.Errorf("%d leases in the store, want 8", leases)
		}
	})
}

func TestShutdownEndsWithTheLastLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		l := f.acquire("job")
		time.AfterFunc(time.Hour, func() {
			if err := l.Release(context.Background()); err != nil {
				t.Error(err)
			}
		})
		from := time.Now()
		if err := f.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(from); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

func TestShutdownDeletes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting))
		l, done := f.acquire("job"), f.acquire("done")
		time.AfterFunc(time.Second, func() { _ = done.Release(context.Background()) })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		var revoked *RevokedError
		if !errors.As(l.Err(), &revoked) || revoked.Cause != record.CauseShutdown {
			t.Errorf("the remaining lease: %v", l.Err())
		}
		if ids := f.group.ids(); len(ids) != 0 {
			t.Errorf("left: %v", ids)
		}
	})
}

func TestShutdownNamesWhatItCouldNotDelete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting))
		f.acquire("job")
		f.group.change(func() {
			f.group.onDecrease = func(context.Context, []string) ([]string, error) { return nil, errors.New("not allowed") }
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		from := time.Now()
		err := f.Shutdown(ctx)
		var left *LeftoverError
		if !errors.As(err, &left) || len(left.Instances) == 0 || left.Instances[0] != "i-0001" || !strings.Contains(err.Error(), "i-0001") {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(from); took > 2*time.Minute {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// TestShutdownCountsWhatMayStillCome: if a create is not answered before Shutdown stops waiting, the error counts its instances.
func TestShutdownCountsWhatMayStillCome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting))
		f.acquire("job")
		before := f.group.count("increase")
		f.group.change(func() {
			f.group.onIncrease = func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		})
		go func() { _, _ = f.Acquire(t.Context(), "more") }()
		f.until("the create", func() bool { return f.group.count("increase") > before })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := f.Shutdown(ctx)
		var left *LeftoverError
		if !errors.As(err, &left) || left.Expected == 0 || !strings.Contains(err.Error(), "may still appear") {
			t.Errorf("err = %v", err)
		}
	})
}

// TestShutdownCountsWhatIsInDoubt: a create that was refused may have created its instance all the same. Until lists show that it did not, the
// error counts it.
func TestShutdownCountsWhatIsInDoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting), withGroup(func(g *testGroup) {
			g.onIncrease = func(context.Context, int) (int, error) {
				g.change(func() { g.onUpdate = func(context.Context) error { return errors.New("no lists any more") } })
				return 0, provider.Errorf(provider.KindQuota, "the account's limit")
			}
		}))
		f.until("the create", func() bool { return f.group.count("increase") > 0 })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := f.Shutdown(ctx)
		var left *LeftoverError
		if !errors.As(err, &left) || left.Expected != 1 || len(left.Instances) != 0 {
			t.Errorf("err = %v, want one instance that may still appear", err)
		}
	})
}

func TestShutdownReportsWhatDoesNotClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		no := errors.New("no")
		f := start(t, withGroup(func(g *testGroup) { g.onShutdown = func(context.Context) error { return no } }))
		if err := f.Shutdown(t.Context()); !errors.Is(err, no) {
			t.Errorf("err = %v", err)
		}
	})
}

// TestShutdownOfAManagerWithAStuckProvider: Shutdown does not wait for a call that ignores its context.
func TestShutdownOfAManagerWithAStuckProvider(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		f := start(t, withGroup(func(g *testGroup) { g.onIncrease = func(context.Context, int) (int, error) { <-hold; return 0, nil } }))
		f.until("the create", func() bool { return f.group.count("increase") == 1 })
		from := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(from); took > time.Minute {
			t.Errorf("Shutdown took %v", took)
		}
		if !f.log.has("no longer waits for it") {
			t.Error("the log does not mention the call")
		}
		close(hold)
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting))
		defer f.end()
		l := f.acquire("job")
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(context.Background()) }()
		synctest.Wait()
		if _, err := f.Acquire(t.Context(), "new"); !errors.Is(err, ErrDraining) {
			t.Errorf("Acquire: %v", err)
		}
		if err := f.Reserve(t.Context(), "new"); !errors.Is(err, ErrDraining) {
			t.Errorf("Reserve: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if s := f.status(); !s.Draining || s.Counts.Leases != 1 {
			t.Errorf("status: draining %v, %+v", s.Draining, s.Counts)
		}
		select {
		case err := <-drained:
			t.Fatalf("Drain returned with a lease left: %v", err)
		default:
		}
		if err := l.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if ids := f.group.ids(); len(ids) != 0 {
			t.Errorf("left: %v", ids)
		}
		if err := f.Undrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.acquire("after")
	})
}

// TestDrainWaitsForACreate: a create that is not answered may still bring an instance, which has to be deleted too.
func TestDrainWaitsForACreate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		answer := make(chan struct{})
		f := start(t, withConfig(deleting), withGroup(func(g *testGroup) {
			g.onIncrease = func(_ context.Context, n int) (int, error) { <-answer; return n, nil }
		}))
		defer f.end()
		f.until("the create", func() bool { return f.group.count("increase") == 1 })
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(context.Background()) }()
		time.Sleep(time.Minute)
		select {
		case err := <-drained:
			t.Errorf("Drain returned while a create was under way: %v", err)
			close(answer)
			return
		default:
		}
		close(answer)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if ids := f.group.ids(); len(ids) != 0 || f.group.count("decrease") == 0 {
			t.Errorf("left: %v, after %d deletes", ids, f.group.count("decrease"))
		}
	})
}

// TestDrainWaitsForWhatIsInDoubt: a create was refused, and its instance appears nevertheless. Drain does not return before that.
func TestDrainWaitsForWhatIsInDoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(deleting), withGroup(func(g *testGroup) {
			g.onIncrease = func(context.Context, int) (int, error) {
				return 0, provider.Errorf(provider.KindQuota, "the account's limit")
			}
		}))
		defer f.end()
		f.until("a doubt", func() bool { return f.status().Counts.Doubt == 1 })
		f.group.change(func() { f.group.onUpdate = func(context.Context) error { return errors.New("no lists") } })
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(context.Background()) }()
		time.Sleep(time.Minute)
		f.group.add(1)
		f.group.change(func() { f.group.onUpdate = nil })
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if ids := f.group.ids(); len(ids) != 0 || f.group.count("decrease") == 0 {
			t.Errorf("left: %v, after %d deletes", ids, f.group.count("decrease"))
		}
	})
}

func TestUndrainEndsADrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		drained := make(chan error, 1)
		go func() { drained <- f.Drain(context.Background()) }()
		synctest.Wait()
		if err := f.Undrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-drained; !errors.Is(err, ErrUndrained) {
			t.Errorf("the drain that was undone: %v", err)
		}
		if s := f.status(); s.Draining || l.Err() != nil {
			t.Errorf("draining %v, lease %v", s.Draining, l.Err())
		}
		f.acquire("more")
	})
}

func TestReload(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		cfg := f.cfg
		cfg.Policies = idle(t, 6, time.Hour)
		if err := f.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		f.until("four ready instances", func() bool { return f.status().Counts.ReadyCount == 4 })
		if l.Err() != nil || f.status().Policy.IdleCount != 6 {
			t.Errorf("lease %v, policy %+v", l.Err(), f.status().Policy)
		}
		bad := cfg
		bad.MaxUseCount = -1
		if err := f.Reload(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "MaxUseCount is negative") {
			t.Errorf("a bad configuration: %v", err)
		}
		other := cfg
		other.Connector.Username = "somebody"
		if err := f.Reload(t.Context(), other); err == nil || !strings.Contains(err.Error(), "restart") {
			t.Errorf("other settings: %v", err)
		}
	})
}

func TestStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withGroup(func(g *testGroup) { g.max = 3; g.onHeartbeat = func(context.Context, string) error { return nil } }))
		defer f.end()
		f.acquire("b")
		f.acquire("a")
		f.until("the second instance", func() bool { return f.status().Counts.ReadyCount == 2 })
		s := f.status()
		if s.Name != "test" || !s.Ready || !s.Started || s.NotReady != "" || s.Stale || s.ShuttingDown {
			t.Errorf("status: %+v", s)
		}
		want := GroupStatus{ID: "test/group", MaxSize: 3, Version: "1.2.3", Capabilities: []string{"heartbeat"}, MaxInstances: 4, Capacity: 2}
		if !reflect.DeepEqual(s.Group, want) {
			t.Errorf("group: %+v", s.Group)
		}
		if s.Counts != (Counts{ReadyCount: 2, Idle: 1, Leases: 2, Free: 2}) || s.Counts.Existing() != 2 {
			t.Errorf("counts: %+v", s.Counts)
		}
		if s.Sizing.Decision.Needed != 3 || !strings.HasPrefix(s.Sizing.Sentence, "needed 3 = leased 2 + waiting 0 + idle target 1") {
			t.Errorf("sizing: %+v", s.Sizing)
		}
		if len(s.Instances) != 2 || s.Instances[0].ID != "i-0001" || s.Instances[0].State != "ready" || s.Instances[0].Listed != "running" ||
			s.Instances[0].Uses != 2 || s.Instances[0].Origin != "created" || s.Instances[0].Idle != nil || s.Instances[1].Idle == nil {
			t.Errorf("instances: %+v", s.Instances)
		}
		if l := s.Instances[0].Leases; len(l) != 2 || l[0].Key != "b" || l[0].Slot != 0 || l[1].Key != "a" || l[1].Slot != 1 {
			t.Errorf("leases: %+v", l)
		}
		for limit, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2} {
			some, err := f.StatusOf(t.Context(), limit)
			if err != nil || len(some.Instances) != want || some.MoreInstances != 2-want || some.Counts != s.Counts || want > 0 && some.Instances[0].ID != "i-0001" {
				t.Errorf("with at most %d instances: %+v, %v", limit, some, err)
			}
		}
		first, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			again, err := json.Marshal(f.status())
			if err != nil || string(again) != string(first) {
				t.Fatalf("two calls at the same moment returned different statuses:\n%s\n%s (%v)", first, again, err)
			}
		}
		if !strings.Contains(string(first), `"waiters":[]`) {
			t.Errorf("an empty list is not []: %s", first)
		}
	})
}

func TestStatusTellsOfBackoffAndCreates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		f := start(t, withGroup(func(g *testGroup) {
			g.onIncrease = func(context.Context, int) (int, error) {
				<-hold
				return 0, provider.Errorf(provider.KindQuota, "no more vCPUs")
			}
		}))
		defer f.end()
		synctest.Wait()
		if s := f.status(); len(s.Intents) != 1 || s.Intents[0].Asked != 1 || s.Intents[0].Answered || s.Counts.Requested != 1 {
			t.Errorf("intents: %+v, counts %+v", s.Intents, s.Counts)
		}
		close(hold)
		synctest.Wait()
		s := f.status()
		if s.Backoff == nil || s.Backoff.Cause != "quota" || s.Backoff.Latest != "quota: no more vCPUs" || !s.Backoff.Until.After(s.At) {
			t.Errorf("back-off: %+v", s.Backoff)
		}
		if s.Hold == nil || s.Hold.Cause != "quota" || s.Hold.Count != 1 || s.Breaker != nil {
			t.Errorf("what is held back: %+v, breaker: %+v", s.Hold, s.Breaker)
		}
		if refused := f.facts.of(scaler.FactRefused); len(refused) != 1 || !f.log.has("no more vCPUs") {
			t.Errorf("facts: %+v", refused)
		}
	})
}

func TestStatusGivesUpWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		why := errors.New("the client went")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		block := make(chan struct{})
		f.inbox.ask(func(*loop) { <-block })
		if _, err := f.Status(ctx); !errors.Is(err, why) {
			t.Errorf("err = %v", err)
		}
		close(block)
	})
}

// TestShutdownWhilePluginIsAway: deletes that fail because the plugin is away use up no try. When the plugin is back, the instances are deleted.
// If it stays away, the shutdown ends after DeletingAlarm and says what is left.
func TestShutdownWhilePluginIsAway(t *testing.T) {
	for name, back := range map[string]bool{"it comes back": true, "it stays away": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withConfig(func(c *Config) {
					c.Policies, c.DeleteOnShutdown, c.DeletingAlarm = idle(t, 4, time.Hour), true, 30*time.Minute
				}))
				f.until("the fleet", func() bool { return f.status().Counts.ReadyCount == 2 })
				gone := time.Now().Add(10 * time.Minute)
				f.group.change(func() {
					f.group.onDecrease = func(context.Context, []string) ([]string, error) {
						if back && time.Now().After(gone) {
							return nil, nil
						}
						return nil, provider.Errorf(provider.KindTransient, "%w: it died", provider.ErrAway)
					}
				})
				began := time.Now()
				err := f.Shutdown(t.Context())
				var left *LeftoverError
				switch {
				case back && (err != nil || len(f.group.ids()) != 0):
					t.Errorf("Shutdown = %v, %d instances are left", err, len(f.group.ids()))
				case !back && (!errors.As(err, &left) || len(left.Instances) != 2):
					t.Errorf("Shutdown = %v", err)
				case !back && time.Since(began) > 31*time.Minute:
					t.Errorf("Shutdown took %v", time.Since(began))
				}
			})
		})
	}
}

// TestProviderIsShutDownAfterTheTimeLimit: when the time limit of the shutdown is over, the provider still gets the time of its own limit to end in
// order: its context has not ended.
func TestProviderIsShutDownAfterTheTimeLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ended error
		f := start(t, withGroup(func(g *testGroup) { g.onShutdown = func(ctx context.Context) error { ended = ctx.Err(); return nil } }))
		f.acquire("job")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = f.Shutdown(ctx) // the job goes on, so it ends by its limit
		if f.group.shut != 1 || ended != nil {
			t.Errorf("the provider was shut down %d times, with a context that ended: %v", f.group.shut, ended)
		}
	})
}
