package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func TestListedOf(t *testing.T) {
	for state, want := range map[provider.State]fleet.Listed{
		provider.StateCreating: fleet.ListedCreating, provider.StateRunning: fleet.ListedRunning, provider.StateDeleting: fleet.ListedDeleting,
		provider.StateDeleted: fleet.ListedDeleted, provider.StateTimeout: fleet.ListedTimeout, provider.StateSuspending: fleet.ListedSuspended,
		provider.StateSuspended: fleet.ListedSuspended, provider.StateResuming: fleet.ListedSuspended,
		"rebooting": fleet.ListedCreating, "": fleet.ListedCreating,
	} {
		if got := fleet.ListedOf(string(state)); got != want {
			t.Errorf("ListedOf(%q) = %v, want %v", state, got, want)
		}
	}
}

func TestDiffer(t *testing.T) {
	type list []found
	const run, boot = fleet.ListedRunning, fleet.ListedCreating
	d := differ{known: map[record.ID]entry{}}
	for n, tc := range []struct {
		list list
		want string
	}{
		{list{}, "[]"},
		{list{{"b", boot}, {"a", run}}, "[+b creating +a running]"},
		{list{{"a", run}, {"b", boot}}, "[]"},
		{list{{"a", run}, {"b", run}}, "[~b running]"},
		{list{{"a", run}, {"b", run}, {"a", boot}}, "[]"}, // listed twice: the first entry counts
		{list{{"c", run}}, "[+c running -a -b]"},
		{list{{"c", run}, {"a", run}, {"a", run}}, "[+a running]"},
		{list{}, "[-a -c]"},
		{list{{"a", run}}, "[+a running]"},
	} {
		since := time.Duration(n) * time.Second
		evs := d.events(tc.list, since)
		if last := evs[len(evs)-1]; last.Kind != scaler.EvListed || last.Since != since {
			t.Errorf("list %d ends with %+v", n, last)
		}
		if got := fmt.Sprint(texts(evs[:len(evs)-1])); got != tc.want {
			t.Errorf("list %d: %s, want %s", n, got, tc.want)
		}
	}
}

func texts(evs []scaler.Event) []string {
	var out []string
	for _, ev := range evs {
		switch ev.Kind {
		case scaler.EvAppeared:
			out = append(out, fmt.Sprintf("+%s %s", ev.ID, ev.Listed))
		case scaler.EvChanged:
			out = append(out, fmt.Sprintf("~%s %s", ev.ID, ev.Listed))
		case scaler.EvMissing:
			out = append(out, fmt.Sprintf("-%s", ev.ID))
		}
	}
	return out
}

// TestDifferAgainstOracle applies the events to a map. The map must always equal the list.
func TestDifferAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	d := differ{known: map[record.ID]entry{}}
	state := map[record.ID]fleet.Listed{}
	for range 2000 {
		var list []found
		want := map[record.ID]fleet.Listed{}
		for _, n := range rng.Perm(12)[:rng.IntN(13)] {
			f := found{record.ID(fmt.Sprint("i-", n)), fleet.ListedCreating + fleet.Listed(rng.IntN(3))}
			list = append(list, f)
			want[f.id] = f.listed
		}
		for _, ev := range d.events(list, 0) {
			was, known := state[ev.ID]
			switch ev.Kind {
			case scaler.EvAppeared:
				if known {
					t.Fatalf("%s appeared twice", ev.ID)
				}
				state[ev.ID] = ev.Listed
			case scaler.EvChanged:
				if !known || was == ev.Listed {
					t.Fatalf("%s changed from %v (known: %v) to %v", ev.ID, was, known, ev.Listed)
				}
				state[ev.ID] = ev.Listed
			case scaler.EvMissing:
				if !known {
					t.Fatalf("%s is missing, but was not known", ev.ID)
				}
				delete(state, ev.ID)
			}
		}
		if fmt.Sprint(state) != fmt.Sprint(want) {
			t.Fatalf("state %v, list %v", state, want)
		}
	}
}

// TestListPace: the first list comes at once. Then the interval is 2s while a change is expected, and otherwise 1m.
func TestListPace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		f := start(t, withConfig(func(c *Config) { c.Policies = idle(t, 0, time.Hour) }), withGroup(func(g *testGroup) {
			g.boot = 5 * time.Second
			g.onUpdate = func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Since(begin).Round(time.Millisecond)) // a timer that is due at once fires after 1 ns
				return nil
			}
		}))
		defer f.end()
		time.Sleep(90*time.Second + 500*time.Millisecond)
		l := f.acquire("job") // the instance appears in the next list, and runs after 95.5s
		time.Sleep(3 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if l.Waited() > 7*time.Second {
			t.Errorf("a boot of 5s was noticed after %v", l.Waited())
		}
		n := slices.IndexFunc(at, func(d time.Duration) bool { return d > 90*time.Second })
		if at[0] != 0 || n > 3 {
			t.Errorf("lists at %v, want one at once and then one a minute", at[:n])
		}
		want := []time.Duration{90500, 92500, 94500, 96500}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if rest := at[n:]; len(rest) < 4 || !slices.Equal(rest[:4], want) || len(rest) > 9 {
			t.Errorf("lists at %v, want %v, then each minute", rest, want)
		}
	})
}

func TestFailedListReportsNothingButItsFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var fail atomic.Bool
		f := start(t, withConfig(func(c *Config) { c.UpdateInterval = 10 * time.Second }))
		defer f.end()
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error {
				if fail.Load() {
					return provider.Errorf(provider.KindThrottled, "slow down")
				}
				return nil
			}
		})
		l := f.acquire("job")
		fail.Store(true)
		f.group.vanish(l.InstanceID()) // it disappears from a list that fails, which has no effect
		time.Sleep(10 * time.Minute)
		if l.Err() != nil {
			t.Errorf("an incomplete list ended the lease: %v", l.Err())
		}
		if s := f.status().Lists; s.Failures < 10 || s.Error != "throttled: slow down" || time.Since(*s.Since) < 9*time.Minute {
			t.Errorf("the status says %+v", s)
		}
		if n := len(f.facts.of(scaler.FactListFailed)); n != 2 {
			t.Errorf("%d facts about failed lists, want one for the first failure and one for the tenth", n)
		}
		fail.Store(false)
		<-l.Context().Done()
	})
}

// TestFailingListsAreTold: a plugin that reports every instance and an error as well. Whoever waits or looks is told, in the error's own words.
func TestFailingListsAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var fail atomic.Bool
		f := start(t, withConfig(func(c *Config) { c.Policies, c.UpdateInterval = idle(t, 0, time.Minute), 10*time.Second }))
		defer f.end()
		const words = "the console of vm-7 cannot be read"
		f.until("it is ready", func() bool { return f.Ready() == nil })
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error {
				if fail.Load() {
					return errors.New(words)
				}
				return nil
			}
		})
		if s := f.status().Lists; s != (ListsStatus{}) {
			t.Errorf("nothing failed, and the status says %+v", s)
		}
		fail.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		failed := make(chan error, 1)
		go func() { _, err := f.Acquire(ctx, "job"); failed <- err }()
		time.Sleep(20*time.Minute + 50*time.Millisecond) // between two lists
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), words) || f.status().NotReady != err.Error() {
			t.Errorf("Ready: %v", err)
		}
		if w, ok, _ := f.Wait(t.Context(), "job"); !ok || w.Cause != "lists" || !strings.Contains(w.Sentence, words) {
			t.Errorf("the caller is told %+v", w)
		}
		if err := <-failed; err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the caller's error: %v", err)
		}
		if n := strings.Count(f.log.String(), words); n > 6 {
			t.Errorf("the log has it %d times", n)
		}
		fail.Store(false)
		time.Sleep(time.Minute)
		if err := f.Ready(); err != nil || f.status().Lists.Failing {
			t.Errorf("afterwards: %v, %+v", err, f.status().Lists)
		}
	})
}

// TestFirstListFails: a manager whose first list fails says so, and does not only say that there was none.
func TestFirstListFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withGroup(func(g *testGroup) {
			g.onUpdate = func(context.Context) error { return errors.New("no permission to list") }
		}))
		defer f.end()
		time.Sleep(time.Second)
		if err := f.Ready(); err == nil || !strings.Contains(err.Error(), "no permission to list") {
			t.Errorf("Ready: %v", err)
		}
		if h := f.status().Hold; h == nil || h.Cause != "lists" {
			t.Errorf("held back: %+v", h)
		}
	})
}

// TestHangingList: a list call that ignores the end of its context is given up and reported as failed, and the next one starts, until too many
// of them hang. No caller is delayed. What a call reports after it was given up is ignored.
func TestHangingList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t)
		defer f.end()
		held := f.acquire("held")
		release := make(chan struct{})
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error { <-release; return nil }
		})
		lists := f.group.count("update")
		f.until("a list that hangs", func() bool { return f.group.count("update") > lists })
		if l := f.acquire("meanwhile"); l.Waited() != 0 {
			t.Errorf("an Acquire waited %v for a list", l.Waited())
		}
		time.Sleep(time.Hour)
		if n, most := f.group.count("update")-lists, callLimits[callUpdate].abandoned; n != most {
			t.Errorf("%d list calls started while earlier ones hung, want %d", n, most)
		}
		if n := f.status().Lists.Failures; n < 50 {
			t.Errorf("%d failures were reported in an hour", n)
		}
		if held.Err() != nil {
			t.Error(held.Err())
		}
		lists = f.group.count("update")
		close(release)
		time.Sleep(2 * time.Minute)
		if n := f.group.count("update"); n <= lists {
			t.Error("no list after those that hung")
		}
	})
}

func TestPluginAwayMakesTheManagerUnready(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var away atomic.Bool
		f := start(t)
		defer f.end()
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error {
				if away.Load() {
					return fmt.Errorf("update: %w", provider.ErrAway)
				}
				return nil
			}
		})
		f.until("the first list", func() bool { return f.Ready() == nil })
		away.Store(true)
		f.until("not ready because the plugin is away", func() bool { return errors.Is(f.Ready(), provider.ErrAway) })
		if s := f.status(); !s.Plugin.Away || s.Ready {
			t.Errorf("status: %+v, ready %v", s.Plugin, s.Ready)
		}
		away.Store(false)
		f.until("ready again", func() bool { return f.Ready() == nil })
	})
}

func TestManagerIsNotReadyBeforeTheFirstList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var tries []time.Duration
		begin := time.Now()
		f := start(t, withGroup(func(g *testGroup) {
			g.onUpdate = func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				if tries = append(tries, time.Since(begin)); len(tries) < 5 {
					return errors.New("not yet")
				}
				return nil
			}
		}))
		defer f.end()
		time.Sleep(10 * time.Second)
		if err := f.Ready(); err == nil {
			t.Error("ready without a list")
		}
		f.until("the first list", func() bool { return f.Ready() == nil })
		mu.Lock()
		defer mu.Unlock()
		if want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second}; !slices.Equal(tries[:5], want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
	})
}
