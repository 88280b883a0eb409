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

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestSlowCreateStallsNothing: while a create call runs, leases are granted and released, lists are read and instances are deleted.
func TestSlowCreateStallsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.Policies = idle(t, 2, 30*time.Second) }))
		defer f.end()
		f.until("two free slots", func() bool { return f.status().Counts.Free == 2 })
		hold := make(chan struct{})
		f.group.change(func() {
			f.group.onIncrease = func(context.Context, int) (int, error) { <-hold; return 0, errors.New("too late") }
		})
		first := f.acquire("first") // needs one more instance, whose create hangs
		f.until("the create", func() bool { return f.group.count("increase") == 2 })
		lists := f.group.count("update")
		for i := range 50 {
			l := f.acquire(fmt.Sprint("job-", i))
			if l.Waited() != 0 {
				t.Fatalf("job %d waited %v", i, l.Waited())
			}
			if err := l.Release(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("the delete", func() bool { return f.group.count("decrease") == 1 })
		time.Sleep(10 * time.Second)
		if f.group.count("update") == lists {
			t.Error("no list while a create hung")
		}
		if n := f.group.count("increase"); n != 2 {
			t.Errorf("%d creates at the same time", n-1)
		}
		close(hold)
	})
}

func TestOneSlowPrepareHoldsUpNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var now, most atomic.Int32
		hold := make(chan struct{})
		f := start(t, withConfig(func(c *Config) {
			c.MaxInstances, c.Policies, c.CapacityPerInstance = 200, idle(t, 100, time.Hour), 1
		}),
			withNet(func(n *testNet) {
				n.run = func(_ context.Context, id string, _ connector.RunOptions) error {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					if id == "i-0001" {
						<-hold
					}
					return nil
				}
			}), withConfig(func(c *Config) { c.ReadyCommand = "true" }))
		defer f.end()
		f.until("99 of 100 instances are ready", func() bool { return f.status().Counts.ReadyCount == 99 })
		if m := most.Load(); m > preparesAtOnce {
			t.Errorf("%d preparations at the same time, the bound is %d", m, preparesAtOnce)
		}
		close(hold)
		f.until("all instances are ready", func() bool { return f.status().Counts.ReadyCount == 100 })
	})
}

func TestDeletesOfOneBatchAreOneCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.Policies = idle(t, 8, time.Hour); c.DeleteOnShutdown = true }))
		f.until("the fleet", func() bool { return f.status().Counts.ReadyCount == 4 })
		if err := f.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := f.group.deletes; len(d) != 1 || len(d[0]) != 4 || !slices.IsSorted(d[0]) {
			t.Errorf("deletes: %v, want all four in one call", d)
		}
	})
}

func TestDeletesThatComeDuringACallGoOutTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance = 1 }))
		defer f.end()
		var leases []*Lease
		for i := range 4 {
			leases = append(leases, f.acquire(fmt.Sprint("job-", i)))
		}
		f.group.change(func() {
			f.group.onDecrease = func(_ context.Context, ids []string) ([]string, error) { <-hold; return ids, nil }
		})
		for _, l := range leases {
			if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		close(hold)
		f.until("the deletes", func() bool { return f.group.count("decrease") >= 2 })
		f.group.mu.Lock()
		defer f.group.mu.Unlock()
		if d := f.group.deletes; len(d) != 2 || len(d[0]) != 1 || len(d[1]) != 3 {
			t.Errorf("deletes: %v, want one call with one, then one call with three", d)
		}
	})
}

// TestAnswersToDeletes: the provider's answer to a call for several instances becomes one answer per instance.
func TestAnswersToDeletes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[record.ID]scaler.Event{}
		obs := observe.Observer{Events: func(_ scaler.Time, evs []scaler.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, ev := range evs {
				if ev.Kind == scaler.EvDeleted {
					if _, again := got[ev.ID]; !again {
						got[ev.ID] = ev
					}
				}
			}
		}}
		f := start(t, withTap(obs), withConfig(func(c *Config) { c.Policies = idle(t, 8, time.Hour); c.DeleteOnShutdown = true }))
		f.until("the fleet", func() bool { return f.status().Counts.ReadyCount == 4 })
		n := 0
		f.group.change(func() {
			f.group.onDecrease = func(_ context.Context, ids []string) ([]string, error) {
				if n++; n > 1 {
					return nil, nil
				}
				return ids[:1], provider.Errorf(provider.KindThrottled, "enough")
			}
		})
		if err := f.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []record.ID{"i-0001", "i-0002", "i-0003", "i-0004"} {
			want := failure.Throttled
			if id == "i-0001" {
				want = failure.None
			}
			if ev, ok := got[id]; !ok || ev.Failure.Kind != want {
				t.Errorf("%s: %+v (answered: %v), want %v", id, ev.Failure, ok, want)
			}
		}
	})
}

func TestPanicOfTheProviderIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		f := start(t, withGroup(func(g *testGroup) {
			g.onIncrease = func(_ context.Context, k int) (int, error) {
				if n++; n == 1 {
					panic("nil map")
				}
				return k, nil
			}
		}))
		defer f.end()
		f.acquire("job") // the second try succeeds
		refused := f.facts.of(scaler.FactRefused)
		if len(refused) != 1 || refused[0].Failure.Message != "transient: panic: nil map" {
			t.Errorf("facts: %+v", refused)
		}
		if !f.log.has("group_test.go") && !f.log.has("workers_test.go") {
			t.Error("the log has no stack of the panic")
		}
	})
}

func TestCallsHaveTimeouts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var took time.Duration
		f := start(t, withConfig(func(c *Config) { c.IncreaseTimeout = 3 * time.Minute }), withGroup(func(g *testGroup) {
			g.onIncrease = func(ctx context.Context, n int) (int, error) {
				if took != 0 {
					return n, nil
				}
				from := time.Now()
				<-ctx.Done()
				took = time.Since(from)
				return 0, ctx.Err()
			}
		}))
		defer f.end()
		f.acquire("job")
		if want := f.cfg.IncreaseTimeout; took != want {
			t.Errorf("a hanging create ended after %v, want %v", took, want)
		}
		if refused := f.facts.of(scaler.FactRefused); len(refused) != 1 || !strings.Contains(refused[0].Failure.Message, "raise call_timeouts.increase") {
			t.Errorf("the failure does not name the limit that ended the call: %+v", refused)
		}
	})
}

func TestFailedHeartbeatsRevoke(t *testing.T) {
	for name, failed := range map[string]error{
		"at once":          fmt.Errorf("%w: the agent reports a full disk", provider.ErrInstanceUnhealthy),
		"at the threshold": errors.New("the agent does not answer"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var sick atomic.Bool
				f := start(t, withGroup(func(g *testGroup) {
					g.onHeartbeat = func(_ context.Context, id string) error {
						if sick.Load() && id == "i-0001" {
							return failed
						}
						return nil
					}
				}))
				defer f.end()
				l := f.acquire("job")
				time.Sleep(5 * time.Minute)
				if n := f.group.count("heartbeat"); n == 0 || l.Err() != nil {
					t.Errorf("%d heartbeats, lease %v", n, l.Err())
				}
				sick.Store(true)
				<-l.Context().Done()
				var revoked *RevokedError
				if !errors.As(l.Err(), &revoked) || revoked.Cause != record.CauseUnhealthy || !strings.Contains(revoked.Sentence, "the agent ") {
					t.Errorf("the lease: %v", l.Err())
				}
			})
		})
	}
}

func TestReadyCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		run       func(ctx context.Context, o connector.RunOptions) error
		instances int    // instances that are prepared
		fact      string // text in the failure of the fact
	}{
		"fails": {func(_ context.Context, o connector.RunOptions) error {
			_, _ = fmt.Fprint(o.Stderr, "one\ntwo\nno docker here: password is s3cr3t-pass\nsorry\n")
			return connector.NewExitError(7, "")
		}, 2, "status 7; its last words: two | no docker here: password is [password] | sorry"},
		"fails at length": {func(context.Context, connector.RunOptions) error { // the message is cut somewhere, and wherever that is, in a password
			return provider.Errorf(provider.KindConfig, "%s", strings.Repeat("s3cr3t-pass", safetext.MaxMessage/4))
		}, 1, "[password][password]"},
		"is cut off": {func(context.Context, connector.RunOptions) error {
			return &connector.LostError{Err: errors.New("reset")}
		}, 1, "did not finish"},
		"panics": {func(context.Context, connector.RunOptions) error { panic("oh") }, 1, "panic: oh"},
		"hangs":  {func(ctx context.Context, _ connector.RunOptions) error { <-ctx.Done(); return ctx.Err() }, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var commands []string
				f := start(t, withConfig(func(c *Config) { c.ReadyCommand = "docker info" }), withNet(func(n *testNet) {
					n.run = func(ctx context.Context, _ string, o connector.RunOptions) error {
						if commands = append(commands, o.Command); len(commands) > 1 {
							return nil
						}
						return tc.run(ctx, o)
					}
				}), withGroup(func(g *testGroup) {
					g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
						return provider.ConnectInfo{ID: id, ConnectorConfig: provider.ConnectorConfig{Password: "s3cr3t-pass"}}, nil
					}
				}))
				defer f.end()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				l, err := f.Acquire(ctx, "job")
				if err != nil {
					t.Fatal(err)
				}
				if commands[0] != "docker info" {
					t.Errorf("ran %q", commands[0])
				}
				if got := l.InstanceID(); got != fmt.Sprintf("i-%04d", tc.instances) {
					t.Errorf("leased %s, want instance number %d", got, tc.instances)
				}
				facts := f.facts.of(scaler.FactPrepare)
				if tc.fact != "" && (len(facts) == 0 || !strings.Contains(facts[0].Failure.Message, tc.fact)) {
					t.Errorf("facts %+v, want one with %q", facts, tc.fact)
				}
				if f.log.has("s3cr3t-pass") || f.log.has("s3c") || len(facts) > 0 && strings.Contains(facts[0].Failure.Message, "s3") {
					t.Error("the password, or a part of it, is in the log")
				}
			})
		})
	}
}

func TestReadyFunc(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []ReadyInstance
		ready := func(_ context.Context, inst ReadyInstance) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, inst)
			switch len(seen) {
			case 1:
				return errors.New("not good enough")
			case 2:
				return provider.Errorf(provider.KindTransient, "ask again")
			}
			return nil
		}
		f := start(t, WithReadyFunc(ready))
		l := f.acquire("job")
		mu.Lock()
		if len(seen) != 3 || seen[0].ID != "i-0001" || seen[1].ID != "i-0002" || seen[2].ID != "i-0002" || l.InstanceID() != "i-0002" {
			t.Errorf("ReadyFunc got %+v, leased %s", seen, l.InstanceID())
		}
		if s := seen[2]; s.Restored || s.Client == nil || s.Info.ID != "i-0002" || len(s.Info.HostKeys) != 1 {
			t.Errorf("ReadyFunc got %+v", s)
		}
		select {
		case <-seen[2].Client.(*testClient).closed:
		default:
			t.Error("the connection of the ReadyFunc was not closed")
		}
		mu.Unlock()
		f.end()
	})
}

func TestReadyFuncKnowsRestoredInstances(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ended := make(chan struct{})
		f := start(t, WithReadyFunc(func(ctx context.Context, _ ReadyInstance) error { <-ctx.Done(); close(ended); return ctx.Err() }))
		f.until("an instance is preparing", func() bool { return f.status().Counts.Preparing == 1 })
		store, group := f.crash()
		<-ended
		asked := make(chan ReadyInstance, 1)
		f = start(t, withStore(store), onGroup(group, f.net), WithReadyFunc(func(_ context.Context, inst ReadyInstance) error {
			asked <- inst
			return nil
		}))
		defer f.end()
		if inst := <-asked; inst.ID != "i-0001" || !inst.Restored {
			t.Errorf("ReadyFunc got %+v", inst)
		}
	})
}

func TestDialFailures(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want provider.FailureKind
	}{
		{&connector.ConnectError{Last: errors.New("refused"), Cause: context.DeadlineExceeded}, provider.KindTransient},
		{&connector.ConnectError{Last: &connector.HostKeyError{}}, provider.KindUnhealthy},
		{&connector.ConnectError{Last: &connector.AuthError{Err: errors.New("denied")}}, provider.KindTransient},
		{&connector.UnsupportedProtocolError{Protocol: "telnet"}, provider.KindConfig},
		{&connector.SettingError{Reason: "no such shell"}, provider.KindConfig},
		{connector.ErrNoPassword, provider.KindConfig},
		{connector.ErrPlainBasic, provider.KindConfig},
		{&connector.KeyError{Reason: "encrypted"}, provider.KindConfig},
		{connector.ErrNoUsername, provider.KindConfig},
		{connector.ErrNoAddress, provider.KindTransient},
	} {
		if got := provider.KindOf(dialFailure(tc.err)); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.err, got, tc.want)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var tl tail
	for i := range 10_000 {
		_, _ = fmt.Fprintf(&tl, "line %d\n", i)
	}
	if got, want := tl.String(), "; its last words: line 9997 | line 9998 | line 9999"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	var none tail
	if _, _ = none.Write([]byte(" \n")); none.String() != "" {
		t.Errorf("%q without output", none.String())
	}
	var bad tail
	if _, _ = bad.Write([]byte{0xff, 'x'}); bad.String() != "; its last words: ?x" {
		t.Errorf("%q", bad.String())
	}
}

func TestRedact(t *testing.T) {
	key := []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nQyNTUxOQAAACB\n-----END OPENSSH PRIVATE KEY-----\n")
	c := &provider.ConnectorConfig{Password: "correct horse", Key: key}
	got := withoutSecrets("tried correct horse and b3BlbnNzaC1rZXktdjEAAAAA in vain", c)
	if got != "tried [password] and [key] in vain" {
		t.Errorf("%q", got)
	}
	if got := withoutSecrets("abc", &provider.ConnectorConfig{Password: "a"}); got != "abc" {
		t.Errorf("a password of one letter was redacted: %q", got)
	}
}

func TestAddressesAreLoggedOnlyOnRequest(t *testing.T) {
	for _, log := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			f := start(t, withConfig(func(c *Config) { c.LogInternalIP = log }))
			defer f.end()
			f.acquire("job")
			if got := f.log.has("10.0.0.1"); got != log {
				t.Errorf("log_internal_ip %v: the address is in the log: %v", log, got)
			}
		})
	}
}
