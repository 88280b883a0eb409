package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// firstHangs makes the first call of one kind ignore the end of its context. It returns a function that lets the call return.
func firstHangs(g *testGroup, kind callKind, net *testNet) (release func()) {
	gate, first := make(chan struct{}), true
	block := func() {
		g.mu.Lock()
		wait := first
		first = false
		g.mu.Unlock()
		if wait {
			<-gate
		}
	}
	g.change(func() {
		switch kind {
		case callUpdate:
			g.onUpdate = func(context.Context) error { block(); return nil }
		case callIncrease:
			g.onIncrease = func(_ context.Context, n int) (int, error) { block(); return n, nil }
		case callDecrease:
			g.onDecrease = func(_ context.Context, ids []string) ([]string, error) { block(); return ids, nil }
		case callConnectInfo:
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				block()
				return provider.ConnectInfo{ID: id}, nil
			}
		case callHeartbeat:
			g.onHeartbeat = func(context.Context, string) error { block(); return nil }
		}
	})
	if kind == callPrepare {
		net.run = func(context.Context, string, connector.RunOptions) error { block(); return nil }
	}
	return func() { close(gate) }
}

// TestHungCallIsGivenUp: a call that ignores the end of its context holds up the calls of its kind until its time-out, and no longer. The log
// and Status name it until it returns.
func TestHungCallIsGivenUp(t *testing.T) {
	for kind := callUpdate; kind < callKinds; kind++ {
		if kind == callShutdown {
			continue
		}
		name := callLimits[kind].name
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var release func()
				f := start(t, withConfig(func(c *Config) {
					c.CapacityPerInstance, c.Policies, c.ReadyCommand = 1, idle(t, 2, time.Hour), "true"
				}), option(func(x *fixture) {
					x.group.onHeartbeat = func(context.Context, string) error { return nil }
					release = firstHangs(x.group, kind, x.net)
				}))
				defer f.end()
				ids := func() (ids []string) {
					for _, in := range f.status().Instances {
						if in.State == "ready" {
							ids = append(ids, in.ID)
						}
					}
					return ids
				}
				if kind == callDecrease {
					f.until("two free slots", func() bool { return f.status().Counts.Free == 2 })
					for _, id := range ids() {
						f.inbox.put(&scaler.Event{Kind: scaler.EvUnhealthy, ID: record.ID(id), Cause: record.CauseUnhealthy}, nil)
						time.Sleep(time.Second)
					}
				}
				f.until("a call is given up", func() bool { return len(f.status().Plugin.Unanswered) == 1 })
				if u := f.status().Plugin.Unanswered[0]; u.Call != name || u.Count != 1 || u.Since.IsZero() {
					t.Errorf("status: %+v", u)
				}
				if !f.log.has("does not return although its context has ended") || !f.log.has(`call="`+name) && !f.log.has("call="+name) {
					t.Errorf("the log does not name the call:\n%s", f.log)
				}
				f.until("two free slots although a call hangs", func() bool { return f.status().Counts.Free == 2 })
				if kind == callDecrease {
					f.until("the deletes are done", func() bool { return len(f.group.ids()) == 2 })
				}
				if u := f.status().Plugin.Unanswered; len(u) != 1 {
					t.Errorf("the call that hangs is no longer in the status: %+v", u)
				}
				release()
				f.until("the call has returned", func() bool { return len(f.status().Plugin.Unanswered) == 0 })
				if !f.log.has("that was given up has returned") {
					t.Error("the log does not say that the call has returned")
				}
				time.Sleep(time.Hour)
				if c := f.status().Counts; c.Free != 2 || c.ReadyCount != 2 || len(f.group.ids()) > f.cfg.MaxInstances {
					t.Errorf("after its return: %+v, %d instances", c, len(f.group.ids()))
				}
			})
		})
	}
}

// TestLateAnswerOfACreate: a create that was given up, and creates its instances in the end, is counted once. The group never exceeds its
// limit, and settles at what is needed.
func TestLateAnswerOfACreate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) {
			c.CapacityPerInstance, c.MaxInstances, c.Policies, c.IncreaseTimeout = 1, 4, idle(t, 3, time.Minute), time.Minute
		}))
		defer f.end()
		f.until("three free slots", func() bool { return f.status().Counts.Free == 3 })
		release := firstHangs(f.group, callIncrease, f.net)
		f.acquire("job") // needs one more
		f.until("the create is given up", func() bool { return len(f.status().Plugin.Unanswered) == 1 })
		release()
		f.until("three free slots again", func() bool { return f.status().Counts.Free == 3 })
		time.Sleep(time.Hour)
		if c := f.status().Counts; c.Free != 3 || c.Requested+c.Doubt != 0 || len(f.group.ids()) != 4 {
			t.Errorf("%+v, %d instances", c, len(f.group.ids()))
		}
	})
}

// TestAbandonedCallsAreLimited: when too many calls of one kind hang, no further one starts. The error names the calls, says nothing about an
// instance, and other kinds of calls go on.
func TestAbandonedCallsAreLimited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		var calls atomic.Int64
		gate := make(chan struct{})
		call := func(kind callKind, id string) error {
			_, err := ask(f.work.ctx, f.work, kind, id, time.Minute, func(context.Context) (struct{}, error) {
				calls.Add(1)
				<-gate
				return struct{}{}, errors.New("late")
			})
			return err
		}
		for range callLimits[callDecrease].abandoned {
			if err := call(callDecrease, ""); !errors.Is(err, provider.ErrAway) || !strings.Contains(err.Error(), "Decrease was cancelled after 1m0s: raise call_timeouts.decrease") {
				t.Errorf("a call that hangs: %v", err)
			}
		}
		before := calls.Load()
		if err := call(callDecrease, ""); !errors.Is(err, provider.ErrAway) || calls.Load() != before || !strings.Contains(err.Error(), "3 earlier calls of Decrease") {
			t.Errorf("a call beyond the limit: %v", err)
		}
		for range 2 { // one for each instance
			if err := call(callHeartbeat, "i-1"); !errors.Is(err, provider.ErrAway) {
				t.Error(err)
			}
		}
		if n := calls.Load() - before; n != 1 {
			t.Errorf("%d heartbeats of one instance hang", n)
		}
		for n := range 2 * heartbeatsAtOnce {
			_ = call(callHeartbeat, fmt.Sprint("other-", n))
		}
		if n := calls.Load() - before; n != heartbeatsAtOnce {
			t.Errorf("%d heartbeats hang, the limit is %d", n, heartbeatsAtOnce)
		}
		if got := fmt.Sprint(f.status().Plugin.Unanswered); !strings.Contains(got, "Decrease does not return: 3 since") || !strings.Contains(got, "Heartbeat does not return: 16 since") {
			t.Errorf("status: %s", got)
		}
		f.acquire("job")
		close(gate)
		f.until("all have returned", func() bool { return len(f.status().Plugin.Unanswered) == 0 })
		if err := call(callDecrease, ""); err == nil || err.Error() != "late" {
			t.Errorf("a call after that: %v", err)
		}
	})
}

// TestHungInitAndShutdown: New ends although Init and Shutdown of the group ignore their contexts.
func TestHungInitAndShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		g := newGroup()
		g.onInit = func() error { <-gate; return nil }
		g.onShutdown = func(context.Context) error { <-gate; return nil }
		began := time.Now()
		_, err := New(t.Context(), g, Config{InitTimeout: 40 * time.Second, ShutdownTimeout: 20 * time.Second})
		if took := time.Since(began); took != time.Minute+2*returnGrace {
			t.Errorf("New ended after %v", took)
		}
		for _, want := range []string{"Init was cancelled after 40s: raise call_timeouts.init", "Shutdown was cancelled after 20s: raise call_timeouts.shutdown"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is missing in: %v", want, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := New(ctx, g, Config{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("New with a deadline: %v", err)
		}
		close(gate)
	})
}

// TestReturnedBeforeItIsGivenUp: a call that returns in the moment in which its caller gives up counts as returned. Else no further call for
// its instance would ever be made.
func TestReturnedBeforeItIsGivenUp(t *testing.T) {
	a := abandoned{log: slog.New(slog.DiscardHandler)}
	c := &running{kind: callHeartbeat, id: "i-1"}
	a.returned(c, time.Minute)
	a.add(c)
	if err := a.admit(callHeartbeat, "i-1"); err != nil || len(a.status()) != 0 {
		t.Errorf("%v, status %+v", err, a.status())
	}
}
