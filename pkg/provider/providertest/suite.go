package providertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Options says how to make the groups under test. Only New is required.
type Options struct {
	// New returns a configured group before its Init. Each call returns a provider group of its own: an empty one, or one with the
	// machines of a fixed list. The suite calls Shutdown. New registers every other cleanup with t.Cleanup.
	New func(t *testing.T) provider.InstanceGroup

	// Reopen returns another value, before its Init, for the same provider group as old, which was shut down. Nil: the suite does not
	// check that Shutdown leaves instances, and logs this.
	Reopen func(t *testing.T, old provider.InstanceGroup) provider.InstanceGroup

	// Fixed says that the group's machines can be neither created nor removed (a static list).
	Fixed bool

	// Sicken makes a running instance unhealthy. Nil: the suite checks the heartbeat of healthy instances only.
	Sicken func(ctx context.Context, g provider.InstanceGroup, id string) error

	// Settle is called between two lists while the suite waits for a state. A modelled cloud advances its clock here. Nil: the suite
	// waits 20 ms.
	Settle func(ctx context.Context, g provider.InstanceGroup)

	// Settings are passed to Init. Some tests change them.
	Settings provider.Settings

	// Timeout is how long one wait (for a boot or a removal) may take. Default: 2m.
	Timeout time.Duration

	// Give is how long a call may take to return after its context has ended. Default: 2m.
	Give time.Duration

	// Machines is how many instances a test may have at once. Default: 3.
	Machines int
}

// hang bounds everything that the suite waits for, unless the options set another time. Only a hang reaches it: it is far longer than a
// busy machine needs.
const hang = 2 * time.Minute

// suite holds the options and what the tests of one run share.
type suite struct {
	Options
	shut *sync.Map // groups whose Shutdown was called; it must be called only once
}

// Run checks everything that package provider promises about an InstanceGroup, in subtests of t. It compares no error texts.
func Run(t *testing.T, opts Options) {
	if opts.Timeout == 0 {
		opts.Timeout = hang
	}
	if opts.Give == 0 {
		opts.Give = hang
	}
	if opts.Machines == 0 {
		opts.Machines = 3
	}
	s := suite{opts, new(sync.Map)}
	for _, c := range []struct {
		name    string
		changes bool // it needs a group that can grow and shrink
		check   func(*testing.T)
	}{
		{"Init says what the group is", false, s.initInfo},
		{"Update lists every instance once", false, s.updateComplete},
		{"ConnectInfo starts from the settings", false, s.connectInfo},
		{"ConnectInfo keeps what the operator set", false, s.connectInfoPreset},
		{"ConnectInfo of an unknown id is NotFound", false, s.connectInfoUnknown},
		{"Heartbeat tells healthy from unhealthy", false, s.heartbeat},
		{"capabilities match the methods", false, s.capabilities},
		{"calls give up with their context", false, s.cancelled},
		{"Increase appears in Update", true, s.increaseAppears},
		{"Increase beyond the limit is partial", true, s.increaseBeyond},
		{"Decrease removes exactly what it is asked to", true, s.decreaseExact},
		{"Decrease may be repeated", true, s.decreaseRepeated},
		{"Decrease of nothing is nothing", true, s.decreaseEmpty},
		{"Decrease of an unknown id counts as removed", true, s.decreaseUnknown},
		{"Suspend and Resume", true, s.suspendResume},
		{"all calls at once", true, s.concurrent},
		{"Shutdown leaves instances", true, s.shutdownLeaves},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.changes && s.Fixed {
				t.Skip("the group's machines are fixed (Options.Fixed)")
			}
			c.check(t)
		})
	}
}

// open makes a group and initialises it. The group is shut down at the end of the test.
func (s suite) open(t *testing.T, adjust ...func(*provider.Settings)) (provider.InstanceGroup, provider.ProviderInfo) {
	t.Helper()
	return s.initialise(t, s.New(t), adjust...)
}

func (s suite) initialise(
	t *testing.T, g provider.InstanceGroup, adjust ...func(*provider.Settings),
) (provider.InstanceGroup, provider.ProviderInfo) {
	t.Helper()
	settings := s.Settings
	for _, a := range adjust {
		a(&settings)
	}
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	info, err := g.Init(ctx, hclog.NewNullLogger(), settings)
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	t.Cleanup(func() { s.close(t, g) })
	return g, info
}

func (s suite) close(t *testing.T, g provider.InstanceGroup) {
	t.Helper()
	if _, already := s.shut.LoadOrStore(g, true); already {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout) // in a cleanup the test's own context has ended
	defer cancel()
	if err := g.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// list returns the result of one complete Update. An id that is empty or listed twice fails the test.
func (s suite) list(t *testing.T, g provider.InstanceGroup) map[string]provider.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	states := map[string]provider.State{}
	err := g.Update(ctx, func(id string, state provider.State) {
		if _, twice := states[id]; twice {
			t.Errorf("Update reported %q twice", id)
		}
		if id == "" || state == "" {
			t.Errorf("Update reported id %q in state %q", id, state)
		}
		states[id] = state
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	return states
}

// present returns the ids of a list whose machines exist.
func present(states map[string]provider.State) []string {
	var ids []string
	for id, state := range states {
		if state != provider.StateDeleted {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func inState(states map[string]provider.State, want provider.State) []string {
	var ids []string
	for id, state := range states {
		if state == want {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// await lists the group until ok returns true.
func (s suite) await(t *testing.T, g provider.InstanceGroup, what string, ok func(map[string]provider.State) bool) map[string]provider.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	for {
		states := s.list(t, g)
		if ok(states) {
			return states
		}
		if s.Settle != nil {
			s.Settle(ctx, g)
		}
		wait := 20 * time.Millisecond
		if s.Settle != nil {
			wait = 0
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s; the group is %v", s.Timeout, what, states)
		case <-time.After(wait):
		}
	}
}

// grow makes n running machines and returns their ids.
func (s suite) grow(t *testing.T, g provider.InstanceGroup, n int) []string {
	t.Helper()
	before := present(s.list(t, g))
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	for asked := 0; asked < n; {
		got, err := g.Increase(ctx, n-asked)
		if err != nil {
			t.Fatalf("Increase(%d) = %d, %v", n-asked, got, err)
		}
		if got < 1 || got > n-asked {
			t.Fatalf("Increase(%d) = %d without an error", n-asked, got)
		}
		asked += got
	}
	var fresh []string
	s.await(t, g, fmt.Sprintf("%d new running machines", n), func(states map[string]provider.State) bool {
		fresh = slices.DeleteFunc(inState(states, provider.StateRunning), func(id string) bool { return slices.Contains(before, id) })
		return len(fresh) >= n
	})
	if len(fresh) != n {
		t.Fatalf("Increase(%d) made %v", n, fresh)
	}
	return fresh
}

// running returns one running machine: a new one, or one of a fixed group.
func (s suite) running(t *testing.T, g provider.InstanceGroup) string {
	t.Helper()
	if !s.Fixed {
		return s.grow(t, g, 1)[0]
	}
	states := s.await(t, g, "a running machine", func(states map[string]provider.State) bool {
		return len(inState(states, provider.StateRunning)) > 0
	})
	return inState(states, provider.StateRunning)[0]
}
