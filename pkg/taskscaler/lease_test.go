package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

func TestLeaseFromRequestToRelease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job-1")
		if l.Key() != "job-1" || l.InstanceID() != "i-0001" || l.Slot() != 0 || l.Use() != 1 || l.Waited() != 2*time.Second {
			t.Errorf("lease = %q on %s slot %d use %d after %v", l.Key(), l.InstanceID(), l.Slot(), l.Use(), l.Waited())
		}
		ctx := l.Context()
		if ctx.Err() != nil || l.Err() != nil {
			t.Errorf("a held lease has ended: %v, %v", ctx.Err(), l.Err())
		}
		if err := l.Release(context.Background()); err != nil {
			t.Error(err)
		}
		if cause := context.Cause(ctx); cause != context.Canceled {
			t.Errorf("the context ended with %v, want context.Canceled", cause)
		}
		if err := l.Release(context.Background()); err != nil {
			t.Errorf("a second Release: %v", err)
		}
		if err := f.Release(context.Background(), "job-1"); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("Release of a released key: %v, want ErrUnknownKey", err)
		}
		if _, err := l.ConnectInfo(t.Context()); err == nil {
			t.Error("a released lease still returns connect info")
		}
		if again := f.acquire("job-1"); again.Use() != 2 {
			t.Errorf("use = %d, want 2", again.Use())
		}
		if err := f.Release(context.Background(), "job-1"); err != nil {
			t.Errorf("Release by key: %v", err)
		}
	})
}

func TestReleasedHandleDoesNotReleaseItsKeysNextLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		first := f.acquire("job")
		if err := first.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		second := f.acquire("job")
		if err := first.Release(context.Background()); err != nil {
			t.Error(err)
		}
		if second.Err() != nil || f.status().Counts.Leases != 1 {
			t.Error("the old *Lease released the new lease")
		}
	})
}

func TestDuplicateKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		f.acquire("job")
		_, err := f.Acquire(t.Context(), "job")
		if !errors.Is(err, ErrDuplicateKey) {
			t.Errorf("err = %v, want ErrDuplicateKey", err)
		}
		if err := f.Reserve(t.Context(), "job"); !errors.Is(err, ErrDuplicateKey) {
			t.Errorf("Reserve: %v, want ErrDuplicateKey", err)
		}
	})
}

func TestWaitersAreServedInTurnAndToldWhyTheyWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		var held []*Lease
		for i := range 8 {
			held = append(held, f.acquire(fmt.Sprint("holder-", i)))
		}
		got := make(chan string, 2)
		for i := range 2 {
			key := fmt.Sprint("waiter-", i)
			go func() {
				l, err := f.Acquire(context.Background(), key)
				if err != nil {
					t.Error(err)
					return
				}
				got <- l.Key()
			}()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		w, ok, err := f.Wait(t.Context(), "waiter-1")
		if err != nil || !ok || w.Position != 2 || w.Cause != record.CauseMaxInstances.String() || w.Waited < 55*time.Second {
			t.Errorf("Wait = %+v, %v, %v", w, ok, err)
		}
		if !strings.Contains(w.Sentence, "max_instances") {
			t.Errorf("sentence %q does not name max_instances", w.Sentence)
		}
		if _, ok, err := f.Wait(t.Context(), "holder-1"); ok || err != nil {
			t.Errorf("Wait of a key with a lease: %v, %v", ok, err)
		}
		if s := f.status(); len(s.Waiters) != 2 || s.Waiters[0].Key != "waiter-0" || s.Waiting.Cause != "max_instances" {
			t.Errorf("waiters = %+v, waiting = %+v", s.Waiters, s.Waiting)
		}
		for i := range 2 {
			if err := held[i].Release(context.Background()); err != nil {
				t.Fatal(err)
			}
			if key := <-got; key != fmt.Sprint("waiter-", i) {
				t.Errorf("%s got its slot as number %d", key, i)
			}
		}
	})
}

func TestAcquireEndsAtItsDeadlineAndSaysWhatItWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout time.Duration // of the context; 0: none
		config  time.Duration
		want    time.Duration
	}{
		"the context's":            {timeout: 3 * time.Minute, want: 3 * time.Minute},
		"instance_acquire_timeout": {config: 5 * time.Minute, want: 5 * time.Minute},
		"default":                  {want: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := start(t, withConfig(func(c *Config) { c.AcquireTimeout = tc.config }), withGroup(func(g *testGroup) {
					g.onIncrease = func(context.Context, int) (int, error) { return 0, provider.Errorf(provider.KindCapacity, "sold out") }
				}))
				defer f.end()
				ctx := context.Background()
				if tc.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.timeout)
					defer cancel()
				}
				from := time.Now()
				_, err := f.Acquire(ctx, "job")
				if took := time.Since(from); took != tc.want {
					t.Errorf("it took %v, want %v", took, tc.want)
				}
				var wait *WaitError
				if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &wait) {
					t.Fatalf("err = %v, want a WaitError that is DeadlineExceeded", err)
				}
				if wait.Why != record.CauseStockOut || !strings.Contains(err.Error(), "the provider has no capacity left") {
					t.Errorf("why = %v in %q, want the stock-out", wait.Why, err)
				}
			})
		})
	}
}

func TestCancelledAcquireHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel) // while the instance boots
		_, err := f.Acquire(ctx, "job")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		time.Sleep(10 * time.Second)
		if c := f.status().Counts; c.Leases != 0 || c.Waiters != 0 {
			t.Errorf("counts = %+v", c)
		}
	})
}

func TestReserve(t *testing.T) {
	bubble(t, func(t *testing.T) {
		preemptive, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: 2, IdleTime: time.Hour, Preemptive: true}}}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		f := start(t, withConfig(func(c *Config) { c.Policies = preemptive }))
		defer f.end()
		err = f.Reserve(t.Context(), "early")
		var none *NoCapacityError
		if !errors.Is(err, ErrNoCapacity) || !errors.As(err, &none) {
			t.Fatalf("before the boot: %v, want a NoCapacityError", err)
		}
		const want = "no capacity: no immediately available capacity (idle:0,acquired:0,unavailable:0,unhealthy:0,unready:1)"
		time.Sleep(100 * time.Millisecond)
		if err := f.Reserve(t.Context(), "early"); err == nil || err.Error() != want {
			t.Errorf("err = %v, want %s", err, want)
		}
		time.Sleep(10 * time.Second)
		for _, key := range []string{"a", "b"} {
			if err := f.Reserve(t.Context(), key); err != nil {
				t.Errorf("Reserve(%q): %v", key, err)
			}
		}
		if c := f.status().Counts; c.Reservations != 2 || c.Free != 0 {
			t.Errorf("counts = %+v", c)
		}
		f.Unreserve("b")
		if l := f.acquire("a"); l.Waited() != 0 {
			t.Errorf("Acquire waited for a reserved slot: %v", l.Waited())
		}
		if c := f.status().Counts; c.Reservations != 0 || c.Leases != 1 || c.Free != 1 {
			t.Errorf("counts = %+v", c)
		}
	})
}

func TestReserveOfACallerThatHasGoneHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Reserve(ctx, "job"); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v, want context.Canceled", err)
		}
		if c := f.status().Counts; c.Reservations != 0 {
			t.Errorf("counts = %+v", c)
		}
	})
}

func TestLeaseEndsWithItsInstance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		ctx, cancel := l.WithContext(t.Context())
		defer cancel()
		f.group.vanish(l.InstanceID())
		<-ctx.Done()
		var revoked *RevokedError
		if !errors.As(context.Cause(ctx), &revoked) || revoked.Cause != record.CauseMissing || revoked.Instance != "i-0001" || revoked.Key != "job" {
			t.Errorf("cause = %v, want a RevokedError for i-0001", context.Cause(ctx))
		}
		if err := l.Release(context.Background()); !errors.As(err, &revoked) {
			t.Errorf("Release of a revoked lease: %v, want its RevokedError", err)
		}
		if late := l.Context(); context.Cause(late) == nil {
			t.Error("the context of an ended lease has not ended")
		}
	})
}

func TestContextOfAnEndedLeaseHasItsCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		if err := l.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := l.WithContext(t.Context())
		defer cancel()
		if <-ctx.Done(); context.Cause(ctx) != context.Canceled {
			t.Errorf("cause = %v", context.Cause(ctx))
		}
	})
}

func TestWithContextEndsWithItsParent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		why := errors.New("the job was cancelled")
		parent, end := context.WithCancelCause(t.Context())
		ctx, cancel := l.WithContext(parent)
		defer cancel()
		end(why)
		if <-ctx.Done(); context.Cause(ctx) != why || l.Err() != nil {
			t.Errorf("cause = %v, lease = %v", context.Cause(ctx), l.Err())
		}
	})
}

func TestReplace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		old := f.acquire("job")
		next, err := f.Replace(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		if next.InstanceID() == old.InstanceID() {
			t.Errorf("both leases are on %s", next.InstanceID())
		}
		if old.Err() != context.Canceled || next.Err() != nil {
			t.Errorf("old: %v, new: %v", old.Err(), next.Err())
		}
		if err := old.Release(context.Background()); err != nil || next.Err() != nil {
			t.Errorf("Release of the old lease: %v; the new lease: %v", err, next.Err())
		}
		if _, err := f.Replace(t.Context(), "nobody"); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("err = %v, want ErrUnknownKey", err)
		}
	})
}

func TestReplaceWhileDrainingKeepsTheLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain with a lease: %v", err)
		}
		if _, err := f.Replace(t.Context(), "job"); !errors.Is(err, ErrDraining) {
			t.Errorf("Replace: %v, want ErrDraining", err)
		}
		if l.Err() != nil {
			t.Errorf("the lease ended: %v", l.Err())
		}
		if err := l.Release(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestDetachedLeaseIsRevokedUnlessItsCallerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		lost, kept := f.acquire("lost"), f.acquire("kept")
		f.Detach("lost")
		f.Detach("kept")
		time.Sleep(20 * time.Second)
		back, err := f.Reattach(t.Context(), "kept")
		if err != nil {
			t.Fatal(err)
		}
		if back.InstanceID() != kept.InstanceID() || back.Slot() != kept.Slot() || !errors.Is(kept.Err(), errTakenOver) {
			t.Errorf("reattached to %s/%d, was %s/%d; old *Lease: %v", back.InstanceID(), back.Slot(), kept.InstanceID(), kept.Slot(), kept.Err())
		}
		time.Sleep(20 * time.Second)
		var revoked *RevokedError
		if !errors.As(lost.Err(), &revoked) || revoked.Cause != record.CauseAbandoned {
			t.Errorf("lost: %v, want abandoned", lost.Err())
		}
		if back.Err() != nil {
			t.Errorf("kept: %v", back.Err())
		}
		if _, err := f.Reattach(t.Context(), "lost"); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("Reattach of a revoked lease: %v", err)
		}
	})
}

func TestUnhealthyInstanceGetsNoFurtherLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		a, b := f.acquire("a"), f.acquire("b")
		if a.InstanceID() != b.InstanceID() {
			t.Fatalf("%s and %s, want one instance", a.InstanceID(), b.InstanceID())
		}
		if err := a.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		<-b.Context().Done() // the release is answered before the other callers hear of it
		var revoked *RevokedError
		if !errors.As(b.Err(), &revoked) || revoked.Cause != record.CauseUnhealthy {
			t.Errorf("the other lease of the instance: %v", b.Err())
		}
		f.until("the delete", func() bool { return !slices.Contains(f.group.ids(), a.InstanceID()) })
		if c := f.acquire("c"); c.InstanceID() == a.InstanceID() {
			t.Error("the unhealthy instance got a lease")
		}
	})
}

func TestConnectInfoIsFetchedAgainWhenItExpired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var n atomic.Int32
		f := start(t, withGroup(func(g *testGroup) {
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				at := time.Now().Add(time.Minute)
				return provider.ConnectInfo{ID: id, Expires: &at, ConnectorConfig: provider.ConnectorConfig{Password: fmt.Sprint("once-", n.Add(1))}}, nil
			}
		}))
		defer f.end()
		l := f.acquire("job")
		info := func() provider.ConnectInfo {
			t.Helper()
			info, err := l.ConnectInfo(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(info.HostKeys) != 1 || info.HostKeys[0] != "ssh-ed25519 i-0001" {
				t.Errorf("host keys %q, want the pinned one", info.HostKeys)
			}
			return info
		}
		if p := info().Password; p != "once-1" {
			t.Errorf("password %q", p)
		}
		time.Sleep(58 * time.Second)
		if p := info().Password; p != "once-2" {
			t.Errorf("after its expiry: password %q", p)
		}
		if p := info().Password; p != "once-2" {
			t.Errorf("the new credentials were not kept: password %q", p)
		}
	})
}

// TestConnectInfoThatFails: what the provider's failure says of the instance decides whether the instance stays.
func TestConnectInfoThatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		asks int // until the instance is given up; 0: it never is
	}{
		"not found":  {provider.Errorf(provider.KindNotFound, "i-1 is terminated"), 1},
		"unhealthy":  {provider.ErrInstanceUnhealthy, 1},
		"transient":  {errors.New("500 internal error"), 3},
		"throttled":  {provider.Errorf(provider.KindThrottled, "slow down"), 0},
		"no plugin":  {fmt.Errorf("call: %w", provider.ErrAway), 0},
		"after once": {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var mu sync.Mutex // questions come from workers too
				prepared, fails := false, false
				set := func(v bool) { mu.Lock(); prepared = v; mu.Unlock() }
				f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 1, 2 }), withGroup(func(g *testGroup) {
					g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
						mu.Lock()
						defer mu.Unlock()
						at := time.Now().Add(20 * time.Second) // too short to be replaced ahead of its end
						info := provider.ConnectInfo{ID: id, Expires: &at}
						if fails = prepared && (tc.err != nil || !fails); !fails { // without an error of its own: every other question fails
							return info, nil
						}
						if tc.err == nil {
							return provider.ConnectInfo{}, errors.New("now and then")
						}
						return provider.ConnectInfo{}, tc.err
					}
				}))
				defer f.end()
				l := f.acquire("job")
				time.Sleep(time.Minute)
				set(true)
				for ask := 1; ask <= lookupsAtOnce+2; ask++ { // a question that failed does not keep its place
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					_, err := l.ConnectInfo(ctx)
					cancel()
					if tc.err != nil && !errors.Is(err, tc.err) {
						t.Fatalf("question %d: %v", ask, err)
					}
					synctest.Wait()
					if given := l.Err() != nil; given != (ask == tc.asks) {
						t.Fatalf("after question %d the lease ended: %v, %v", ask, given, l.Err())
					}
					if ask == tc.asks {
						break
					}
					if tc.err == nil {
						time.Sleep(time.Minute) // credentials that came are used up again
					}
				}
				if tc.asks == 0 {
					return
				}
				var revoked *RevokedError
				if !errors.As(l.Err(), &revoked) || revoked.Cause != record.CauseUnhealthy || !strings.Contains(revoked.Sentence, "connect info: ") {
					t.Errorf("revoked by %v", l.Err())
				}
				set(false)
				if next := f.acquire("next"); next.InstanceID() == l.InstanceID() {
					t.Error("the next job got the instance that nobody can reach")
				}
			})
		})
	}
}

// TestLateConnectInfoIsDropped: connect info that comes when its instance has gone does not replace what is known of the next one.
func TestLateConnectInfoIsDropped(t *testing.T) {
	v := vault{all: map[record.ID]access{"i-1": {id: "i-1", serial: 2, info: secret.Hide(provider.ConnectInfo{InternalAddr: "new"})}}}
	v.renew(access{id: "i-1", serial: 1, info: secret.Hide(provider.ConnectInfo{InternalAddr: "old"})})
	v.renew(access{id: "i-2", serial: 1})
	if s, ok := v.get("i-1"); !ok || s.info.Reveal().InternalAddr != "new" || len(v.all) != 1 {
		t.Errorf("%+v", v.all)
	}
	fail := func(what string, serial uint64, counts bool, want int, wantFirst bool) {
		t.Helper()
		if n, first := v.fail("i-1", serial, counts); n != want || first != wantFirst {
			t.Errorf("%s: %d, the first %v; want %d, %v", what, n, first, want, wantFirst)
		}
	}
	fail("of another instance", 1, true, 1, false)
	fail("the first", 2, true, 1, true)
	fail("the second", 2, true, 2, false)
	fail("one that says nothing", 2, false, 2, false)
	if !v.renew(access{id: "i-1", serial: 2}) || v.renew(access{id: "i-1", serial: 2}) {
		t.Error("an answer does not say once that the instance can be reached again")
	}
	fail("after an answer", 2, false, 0, true)
}

func TestConnectInfoIsTheCallersOwnCopy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		one, err := l.ConnectInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one.HostKeys[0] = "forged"
		if two, _ := l.ConnectInfo(t.Context()); two.HostKeys[0] == "forged" {
			t.Error("a caller changed the pinned host key")
		}
	})
}

func TestDialIsClosedWithTheLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		c, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		inner := c.(*leasedClient).Client.(*testClient)
		if err := l.Release(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-inner.closed:
		default:
			t.Error("the connection is still open after its lease ended")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Dial(t.Context()); err == nil {
			t.Error("Dial of an ended lease succeeded")
		}
	})
}

func TestChangedHostKeyMakesTheInstanceUnusable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		l := f.acquire("job")
		f.net.rekey(l.InstanceID(), "ssh-ed25519 somebody-else")
		_, err := l.Dial(t.Context())
		var changed *connector.HostKeyError
		if !errors.As(err, &changed) {
			t.Fatalf("err = %v, want a HostKeyError", err)
		}
		<-l.Context().Done()
		var revoked *RevokedError
		if !errors.As(l.Err(), &revoked) || revoked.Cause != record.CauseChangedHostKey || !strings.Contains(revoked.Sentence, bounded(changed.Error())) {
			t.Errorf("the lease: %v", l.Err())
		}
		f.until("the delete", func() bool { return !slices.Contains(f.group.ids(), l.InstanceID()) })
	})
}
