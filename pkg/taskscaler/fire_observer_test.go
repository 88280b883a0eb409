package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// listLog records the events that the observer sent to the loop, one entry per list.
type listLog struct {
	mu    sync.Mutex
	lists [][]string
	at    []time.Duration
	since []time.Duration
	open  []string
}

func (l *listLog) events(now scaler.Time, evs []scaler.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range evs {
		switch ev.Kind {
		case scaler.EvAppeared, scaler.EvChanged, scaler.EvMissing:
			l.open = append(l.open, texts([]scaler.Event{ev})...)
		case scaler.EvListed, scaler.EvListFailed:
			if ev.Kind == scaler.EvListFailed {
				l.open = append(l.open, "failed")
			}
			l.lists, l.at, l.since, l.open = append(l.lists, l.open), append(l.at, now.Mono), append(l.since, ev.Since), nil
		}
	}
}

// take returns the entries since the last take.
func (l *listLog) take() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.lists
	l.lists, l.at, l.since = nil, nil, nil
	return out
}

// quiet starts a manager that needs no instance, with n unclaimed instances, which it lists every ten seconds.
func quiet(t *testing.T, n int, log *listLog, opts ...any) *fixture {
	return start(t, append([]any{withTap(observe.Observer{Events: log.events}), withGroup(func(g *testGroup) { g.boot = 0; g.add(n) }), withConfig(func(c *Config) {
		c.Policies, c.UpdateInterval, c.UpdateIntervalWhenExpecting = idle(t, 0, time.Hour), 10*time.Second, 10*time.Second
	})}, opts...)...)
}

// TestFireListThatFailsHalfway: the content of a failed list has no effect. The next complete list reports every change once.
func TestFireListThatFailsHalfway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &listLog{}
		f := quiet(t, 4, log)
		defer f.end()
		cut := func(after int) {
			f.group.change(func() {
				f.group.onReport = func(n int) error {
					if n == after {
						return errors.New("page 2: 503")
					}
					return nil
				}
			})
		}
		expect := func(want string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if got := fmt.Sprint(log.take()); got != want {
				t.Errorf("events %s, want %s", got, want)
			}
		}
		synctest.Wait()
		if got := fmt.Sprint(log.take()); got != "[[+i-0001 running +i-0002 running +i-0003 running +i-0004 running]]" {
			t.Errorf("the first list: %s", got)
		}
		cut(2) // the list ends before 3 and 4, which does not make them missing
		expect("[[failed]]")
		cut(-1)
		expect("[[]]")
		f.group.vanish("i-0001")
		f.group.add(1)
		f.group.change(func() { f.group.states["i-0002"] = provider.StateDeleting })
		cut(3) // this list has a change and an absence, which do not count
		expect("[[failed]]")
		expect("[[failed]]")
		cut(-1)
		expect("[[~i-0002 deleting +i-0005 running -i-0001]]")
		expect("[[]]")
	})
}

// TestFireListIsAsOldAsItsBeginning: a list is dated by the start of its call. A slow list confirms nothing that was done after its start.
func TestFireListIsAsOldAsItsBeginning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &listLog{}
		f := quiet(t, 2, log, withGroup(func(g *testGroup) {
			g.onUpdate = func(context.Context) error { time.Sleep(30 * time.Second); return nil }
		}))
		defer f.end()
		time.Sleep(5 * time.Minute)
		log.mu.Lock()
		defer log.mu.Unlock()
		for n := range log.at {
			if age := log.at[n] - log.since[n]; age != 30*time.Second {
				t.Errorf("list %d is dated %v and was reported at %v", n, log.since[n], log.at[n])
			}
			if n > 0 && log.since[n]-log.at[n-1] != 10*time.Second {
				t.Errorf("list %d began %v after the end of the one before, want 10s", n, log.since[n]-log.at[n-1])
			}
		}
		if len(log.at) < 7 {
			t.Errorf("%d lists in five minutes", len(log.at))
		}
	})
}

// TestFireListsNeverOverlap: one list call runs at a time, even if calls are slow, fail or panic, and even if the observer is told to hurry.
// A call whose context has ended, and which ignores that, does not count: it was given up.
func TestFireListsNeverOverlap(t *testing.T) {
	for seed := range uint64(4) {
		bubble(t, func(t *testing.T) {
			r := newRandom(seed)
			log := &listLog{}
			f := quiet(t, 3, log)
			f.group.change(func() {
				f.group.onUpdate = func(ctx context.Context) error {
					switch wait := time.After(r.upTo(5 * time.Minute)); {
					case r.chance(0.3):
						<-wait // ignores its context
					case r.chance(0.1):
						panic("oh")
					default:
						select {
						case <-ctx.Done():
							return ctx.Err()
						case <-wait:
						}
					}
					if r.chance(0.2) {
						return provider.Errorf(provider.KindThrottled, "slow down")
					}
					return nil
				}
			})
			for range 200 {
				time.Sleep(r.upTo(time.Minute))
				switch {
				case r.chance(0.3):
					if err := f.Reload(t.Context(), f.cfg); err != nil { // makes the observer list at once
						t.Fatal(err)
					}
				case r.chance(0.3):
					f.observer.expect(r.chance(0.5))
				}
			}
			if f.log.has("two lists at once") {
				t.Error("two list calls ran at the same time")
			}
			if n := len(log.take()); n < 20 {
				t.Errorf("%d lists were reported", n)
			}
			f.group.change(func() { f.group.onUpdate = nil })
			time.Sleep(5 * time.Minute) // until the call that ignores its context returns
			f.end()
		})
	}
}

// TestFireRestThatTheProviderAskedFor: the observer keeps the pause that the provider requests, even if a list is urgent.
func TestFireRestThatTheProviderAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := quiet(t, 0, &listLog{})
		defer f.end()
		time.Sleep(time.Minute)
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error {
				return &provider.Error{Kind: provider.KindThrottled, RetryAfter: 5 * time.Minute, Err: errors.New("slow down")}
			}
		})
		time.Sleep(20 * time.Second)
		f.group.change(func() { f.group.onUpdate = nil })
		lists := f.group.count("update")
		f.observer.expect(true)
		f.observer.hurry()
		time.Sleep(4*time.Minute + 30*time.Second)
		if n := f.group.count("update"); n != lists {
			t.Errorf("%d lists in the pause of five minutes that the provider requested", n-lists)
		}
		time.Sleep(2 * time.Minute)
		if n := f.group.count("update"); n-lists < 5 {
			t.Errorf("%d lists after the pause", n-lists)
		}
	})
}

// TestFireLongestRest: however long a pause the provider requests, the observer lists again after maxRest.
func TestFireLongestRest(t *testing.T) {
	for _, after := range []time.Duration{maxRest + 1, 7 * 24 * time.Hour, math.MaxInt64} {
		bubble(t, func(t *testing.T) {
			f := quiet(t, 0, &listLog{})
			defer f.end()
			f.group.change(func() {
				f.group.onUpdate = func(context.Context) error {
					return &provider.Error{Kind: provider.KindThrottled, RetryAfter: after, Err: errors.New("slow down")}
				}
			})
			time.Sleep(15 * time.Second)
			lists := f.group.count("update")
			time.Sleep(time.Hour)
			if n := f.group.count("update") - lists; n != int(time.Hour/maxRest) {
				t.Errorf("%d lists in an hour of a provider that asks for pauses of %v, want one every %v", n, after, maxRest)
			}
		})
	}
}

// TestFireReloadShortensTheInterval: a shorter interval also applies to the interval that is running.
func TestFireReloadShortensTheInterval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &listLog{}
		f := quiet(t, 1, log, withConfig(func(c *Config) { c.UpdateInterval = time.Hour }))
		defer f.end()
		time.Sleep(5 * time.Minute)
		log.take()
		cfg := f.cfg
		cfg.UpdateInterval = 10 * time.Second
		if err := f.Reload(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(log.take()); n < 5 || n > 8 {
			t.Errorf("%d lists in the minute after the reload, want one every 10s", n)
		}
	})
}

// TestFireExpectingHurriesTheList: the next list comes early while a change is expected, and only then.
func TestFireExpectingHurriesTheList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &listLog{}
		f := quiet(t, 0, log, withConfig(func(c *Config) { c.UpdateInterval, c.UpdateIntervalWhenExpecting = 10*time.Minute, 2*time.Second }))
		defer f.end()
		time.Sleep(time.Minute)
		l := f.acquire("job")
		if l.Waited() > 10*time.Second {
			t.Errorf("Acquire waited %v for a list", l.Waited())
		}
		log.take()
		if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("the deleted instance is missing", func() bool { return slices.Contains(slices.Concat(log.take()...), "-i-0001") })
		log.take()
		time.Sleep(time.Hour)
		if n := len(log.take()); n > 8 {
			t.Errorf("%d lists in an hour in which nothing was expected", n)
		}
	})
}
