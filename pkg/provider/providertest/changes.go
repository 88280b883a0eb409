package providertest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func (s suite) increaseAppears(t *testing.T) {
	g, _ := s.open(t)
	before := present(s.list(t, g))
	fresh := s.grow(t, g, s.Machines)
	after := present(s.list(t, g))
	if len(after) != len(before)+s.Machines {
		t.Errorf("%d instances were added to %v, and the list is %v", s.Machines, before, after)
	}
	for _, id := range fresh {
		if slices.Contains(before, id) {
			t.Errorf("the new instance %q has the id of an old one", id)
		}
	}
}

// increaseBeyond asks for one machine more than a small group can hold. It skips groups whose limit is too high to reach.
func (s suite) increaseBeyond(t *testing.T) {
	g, info := s.open(t)
	room := info.MaxSize - len(present(s.list(t, g)))
	if info.MaxSize == 0 || room > s.Machines {
		t.Skipf("the group holds %d instances, more than this test may make (Options.Machines is %d)", info.MaxSize, s.Machines)
	}
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	n, err := g.Increase(ctx, room+1)
	if n < 0 || n > room {
		t.Errorf("Increase(%d) with room for %d accepted %d", room+1, room, n)
	}
	switch provider.KindOf(err) {
	case provider.KindQuota, provider.KindCapacity, provider.KindConfig:
	default:
		t.Errorf("Increase beyond the group's limit: kind %v (%v)", provider.KindOf(err), err)
	}
	s.await(t, g, "what was accepted", func(states map[string]provider.State) bool {
		return len(present(states)) == info.MaxSize-room+n
	})
}

func (s suite) decrease(t *testing.T, g provider.InstanceGroup, ids ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	done, err := g.Decrease(ctx, ids)
	if err != nil {
		t.Fatalf("Decrease(%v) = %v, %v", ids, done, err)
	}
	slices.Sort(done)
	want := slices.Sorted(slices.Values(ids))
	if !slices.Equal(done, want) {
		t.Fatalf("Decrease(%v) accepted %v without an error", ids, done)
	}
}

func (s suite) decreaseExact(t *testing.T) {
	g, _ := s.open(t)
	ids := s.grow(t, g, s.Machines)
	victim, rest := ids[len(ids)/2], slices.Delete(slices.Clone(ids), len(ids)/2, len(ids)/2+1)
	s.decrease(t, g, victim)
	states := s.await(t, g, "the removal of "+victim, func(states map[string]provider.State) bool {
		return !slices.Contains(present(states), victim)
	})
	for _, id := range rest {
		if states[id] != provider.StateRunning {
			t.Errorf("after the removal of %q, %q is %q", victim, id, states[id])
		}
	}
	if len(present(states)) != len(rest) {
		t.Errorf("%v are left, want %v", present(states), rest)
	}
}

// decreaseRepeated repeats a removal while it is in progress, and once more when the machine is gone.
func (s suite) decreaseRepeated(t *testing.T) {
	g, _ := s.open(t)
	id := s.running(t, g)
	s.decrease(t, g, id)
	s.decrease(t, g, id)
	s.await(t, g, "the removal of "+id, func(states map[string]provider.State) bool { return !slices.Contains(present(states), id) })
	s.decrease(t, g, id)
	if left := present(s.list(t, g)); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

func (s suite) decreaseEmpty(t *testing.T) {
	g, _ := s.open(t)
	ids := s.grow(t, g, 1)
	for _, none := range [][]string{nil, {}} {
		if done, err := g.Decrease(t.Context(), none); len(done) != 0 || err != nil {
			t.Errorf("Decrease of nothing = %v, %v", done, err)
		}
	}
	if left := present(s.list(t, g)); !slices.Equal(left, ids) {
		t.Errorf("Decrease of nothing left %v of %v", left, ids)
	}
}

func (s suite) decreaseUnknown(t *testing.T) {
	g, _ := s.open(t)
	keep := s.running(t, g)
	s.decrease(t, g, unknownID)
	if left := present(s.list(t, g)); !slices.Equal(left, []string{keep}) {
		t.Errorf("after the removal of an unknown id %v are left, want %q", left, keep)
	}
}

func (s suite) suspendResume(t *testing.T) {
	g, info := s.open(t)
	sus, ok := g.(provider.Suspender)
	if !ok || !slices.Contains(info.CapabilitiesOf(g), provider.CapabilitySuspendResume) {
		t.Skip("the group cannot suspend")
	}
	id := s.running(t, g)
	for _, step := range []struct {
		name string
		call func(context.Context, []string) ([]string, error)
		want provider.State
	}{{"Suspend", sus.Suspend, provider.StateSuspended}, {"Resume", sus.Resume, provider.StateRunning}} {
		ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
		done, err := step.call(ctx, []string{id})
		cancel()
		if err != nil || !slices.Equal(done, []string{id}) {
			t.Fatalf("%s = %v, %v", step.name, done, err)
		}
		s.await(t, g, id+" to be "+string(step.want), func(states map[string]provider.State) bool { return states[id] == step.want })
	}
}

// concurrent calls every method from several goroutines at once, for the race detector.
func (s suite) concurrent(t *testing.T) {
	g, info := s.open(t)
	id := s.running(t, g)
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := g.Update(ctx, func(string, provider.State) {}); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := g.ConnectInfo(ctx, id); err != nil {
				t.Errorf("ConnectInfo: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := g.Decrease(ctx, []string{unknownID}); err != nil {
				t.Errorf("Decrease: %v", err)
			}
		})
		if h, ok := g.(provider.Heartbeater); ok && slices.Contains(info.CapabilitiesOf(g), provider.CapabilityHeartbeat) {
			wg.Go(func() {
				if err := h.Heartbeat(ctx, id); err != nil {
					t.Errorf("Heartbeat: %v", err)
				}
			})
		}
	}
	for range s.Machines - 1 {
		wg.Go(func() {
			if n, err := g.Increase(ctx, 1); n != 1 || err != nil {
				t.Errorf("Increase(1) = %d, %v", n, err)
			}
		})
	}
	wg.Wait()
	s.await(t, g, "all that were asked for", func(states map[string]provider.State) bool {
		return len(inState(states, provider.StateRunning)) == s.Machines
	})
}

func (s suite) shutdownLeaves(t *testing.T) {
	if s.Reopen == nil {
		t.Skip("there is no way to look at the group again (Options.Reopen)")
	}
	g, _ := s.open(t)
	ids := s.grow(t, g, min(2, s.Machines))
	s.close(t, g)
	again, _ := s.initialise(t, s.Reopen(t, g))
	s.await(t, again, "the instances from before the Shutdown", func(states map[string]provider.State) bool {
		return slices.Equal(inState(states, provider.StateRunning), ids)
	})
	s.decrease(t, again, ids...)
	s.await(t, again, "an empty group", func(states map[string]provider.State) bool { return len(present(states)) == 0 })
}
