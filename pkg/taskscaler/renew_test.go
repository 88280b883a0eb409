package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestUnreachableInstanceGetsNoFurtherJob: until the provider says again how to reach an instance, no other job gets it, also when the job that
// found out has left. The manager asks on its own.
func TestUnreachableInstanceGetsNoFurtherJob(t *testing.T) {
	for name, failure := range map[string]error{
		"throttled": provider.Errorf(provider.KindThrottled, "slow down"),
		"no plugin": fmt.Errorf("call: %w", provider.ErrAway),
		"transient": errors.New("500 internal error"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				bad := "" // the instance that cannot be reached
				f := start(t, withConfig(func(c *Config) {
					c.CapacityPerInstance, c.MaxInstances, c.FailureThreshold, c.Policies = 2, 2, 10, idle(t, 2, time.Hour)
				}), withGroup(func(g *testGroup) {
					g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
						if id == hook(g, &bad) {
							return provider.ConnectInfo{}, failure
						}
						at := time.Now().Add(20 * time.Second) // too short to be replaced ahead of its end
						return provider.ConnectInfo{ID: id, Expires: &at}, nil
					}
				}))
				defer f.end()
				l := f.acquire("job")
				time.Sleep(2 * time.Minute)
				f.group.change(func() { bad = l.InstanceID() })
				if _, err := l.ConnectInfo(t.Context()); !errors.Is(err, failure) {
					t.Fatal(err)
				}
				synctest.Wait()
				next := f.acquire("next") // the first instance has another slot, and would be the fuller one
				if next.InstanceID() == l.InstanceID() {
					t.Fatal("the next job got the instance that nobody can reach")
				}
				if err := l.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := next.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				if f.status().Counts.ReadyCount != 2 {
					t.Fatalf("it was given up: %s", f.log)
				}
				asked := f.group.count("connect")
				time.Sleep(4 * time.Minute)
				if n := f.group.count("connect") - asked; n < 3 || n > 5 {
					t.Errorf("the provider was asked %d times in four minutes", n)
				}
				f.group.change(func() { bad = "" })
				time.Sleep(2 * time.Minute)
				if facts := f.facts.of(scaler.FactUnreachable); len(facts) != 2 || !facts[0].On || facts[1].On || string(facts[1].ID) != l.InstanceID() {
					t.Fatalf("facts %+v", facts)
				}
				for n := range 4 {
					f.acquire(fmt.Sprint("job-", n)) // every slot can be had again
				}
				if f.status().Counts.Existing() != 2 {
					t.Error("another instance was created")
				}
			})
		})
	}
}

// TestUnreachableInstanceIsGivenUp: an instance whose connect info fails too often is deleted, although no job holds it any more.
func TestUnreachableInstanceIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fails := false
		f := start(t, withGroup(func(g *testGroup) {
			g.onConnect = func(_ context.Context, id string) (provider.ConnectInfo, error) {
				if hook(g, &fails) {
					return provider.ConnectInfo{}, errors.New("no such network interface")
				}
				at := time.Now().Add(time.Minute)
				return provider.ConnectInfo{ID: id, Expires: &at}, nil
			}
		}))
		defer f.end()
		l := f.acquire("job")
		time.Sleep(2 * time.Minute)
		f.group.change(func() { fails = true })
		_, _ = l.ConnectInfo(t.Context())
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.until("it is retired", func() bool { return len(f.facts.of(scaler.FactRetire)) == 1 })
	})
}

// TestFailureThatIsToldAfterTheAnswer: one job's question fails and another one's is answered at the same time, and the core hears of the answer first. The
// instance gets jobs again all the same.
func TestFailureThatIsToldAfterTheAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.MaxInstances, c.FailureThreshold, c.Policies = 1, 10, idle(t, 1, time.Hour) }))
		defer f.end()
		f.until("it is ready", func() bool { return f.status().Counts.ReadyCount == 1 })
		s, ok := f.vault.get(record.ID(f.status().Instances[0].ID))
		if !ok {
			t.Fatal("the vault does not know the instance")
		}
		f.doubt(s.id, s.serial, errors.New("500 internal error"), 1)
		if _, err := f.fetch(t.Context(), s.id, s.serial); err != nil {
			t.Fatal(err)
		}
		f.inbox.put(&scaler.Event{Kind: scaler.EvUnreachable, ID: s.id, Serial: s.serial, On: true}, nil) // that of doubt, as if it came only now
		synctest.Wait()
		if facts := f.facts.of(scaler.FactUnreachable); len(facts) == 0 || !facts[len(facts)-1].On {
			t.Fatalf("facts %+v", facts)
		}
		time.Sleep(2 * probeFirst)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := f.Acquire(ctx, "job"); err != nil {
			t.Errorf("the instance gets no job: %v", err)
		}
	})
}
