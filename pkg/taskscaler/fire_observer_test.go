package taskscaler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// listLog has what the observer told the loop, in words, one entry a list.
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
			l.open = append(l.open, words([]scaler.Event{ev})...)
		case scaler.EvListed, scaler.EvListFailed:
			if ev.Kind == scaler.EvListFailed {
				l.open = append(l.open, "failed")
			}
			l.lists, l.at, l.since, l.open = append(l.lists, l.open), append(l.at, now.Mono), append(l.since, ev.Since), nil
		}
	}
}

// take returns what came since the last take.
func (l *listLog) take() [][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.lists
	l.lists, l.at, l.since = nil, nil, nil
	return out
}

// quiet starts a manager that wants nothing, over n instances that it holds, listed every ten seconds.
func quiet(t *testing.T, n int, log *listLog, opts ...any) *fixture {
	return start(t, append([]any{withTap(observe.Observer{Events: log.events}), withGroup(func(g *testGroup) { g.boot = 0; g.add(n) }), withConfig(func(c *Config) {
		c.Policies, c.UpdateInterval, c.UpdateIntervalWhenExpecting = idle(t, 0, time.Hour), 10*time.Second, 10*time.Second
	})}, opts...)...)
}

// TestFireListThatFailsHalfway: what a failed list did and did not report leaves no trace; the next complete one tells it all, once.
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
				t.Errorf("told %s, want %s", got, want)
			}
		}
		synctest.Wait()
		if got := fmt.Sprint(log.take()); got != "[[+i-0001 running +i-0002 running +i-0003 running +i-0004 running]]" {
			t.Errorf("the first list: %s", got)
		}
		cut(2) // 3 and 4 are not reported: they are not missing
		expect("[[failed]]")
		cut(-1)
		expect("[[]]")
		f.group.vanish("i-0001")
		f.group.add(1)
		f.group.change(func() { f.group.states["i-0002"] = provider.StateDeleting })
		cut(3) // a change and an absence were seen, and do not count yet
		expect("[[failed]]")
		expect("[[failed]]")
		cut(-1)
		expect("[[~i-0002 deleting +i-0005 running -i-0001]]")
		expect("[[]]")
	})
}

// TestFireListIsAsOldAsItsBeginning: what a slow list says is from when it was asked for; it confirms nothing that was done meanwhile.
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
				t.Errorf("list %d is said to be of %v, told at %v", n, log.since[n], log.at[n])
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

// TestFireListsNeverOverlap: however long they take, whether they heed their context, fail or panic, and however often the observer is hurried.
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
						<-wait // deaf
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
					if err := f.Reload(t.Context(), f.cfg); err != nil { // hurries
						t.Fatal(err)
					}
				case r.chance(0.3):
					f.observer.expect(r.chance(0.5))
				}
			}
			if f.log.has("two lists at once") {
				t.Error("two lists ran at once")
			}
			if n := len(log.take()); n < 20 {
				t.Errorf("%d lists were told", n)
			}
			f.group.change(func() { f.group.onUpdate = nil })
			time.Sleep(5 * time.Minute) // for the deaf one to return
			f.end()
		})
	}
}

// TestFireRestThatTheProviderAskedFor is kept, whoever is in a hurry.
func TestFireRestThatTheProviderAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := quiet(t, 0, &listLog{})
		defer f.end()
		time.Sleep(time.Minute)
		f.group.change(func() {
			f.group.onUpdate = func(context.Context) error {
				return &provider.Error{Kind: provider.KindThrottled, RetryAfter: 10 * time.Minute, Err: errors.New("slow down")}
			}
		})
		time.Sleep(20 * time.Second)
		f.group.change(func() { f.group.onUpdate = nil })
		lists := f.group.count("update")
		f.observer.expect(true)
		f.observer.hurry()
		time.Sleep(9 * time.Minute)
		if n := f.group.count("update"); n != lists {
			t.Errorf("%d lists in the ten minutes of rest that the provider asked for", n-lists)
		}
		time.Sleep(2 * time.Minute)
		if n := f.group.count("update"); n-lists < 5 {
			t.Errorf("%d lists after the rest", n-lists)
		}
	})
}

// TestFireReloadShortensTheInterval that is running.
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

// TestFireExpectingHurriesTheList that is waited for, and only while something is expected.
func TestFireExpectingHurriesTheList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &listLog{}
		f := quiet(t, 0, log, withConfig(func(c *Config) { c.UpdateInterval, c.UpdateIntervalWhenExpecting = 10*time.Minute, 2*time.Second }))
		defer f.end()
		time.Sleep(time.Minute)
		l := f.acquire("job")
		if l.Waited() > 10*time.Second {
			t.Errorf("waited %v for a list", l.Waited())
		}
		log.take()
		if err := l.ReleaseUnhealthy(context.Background(), "it is broken"); err != nil {
			t.Fatal(err)
		}
		f.until("the end of it", func() bool { return slices.Contains(slices.Concat(log.take()...), "-i-0001") })
		log.take()
		time.Sleep(time.Hour)
		if n := len(log.take()); n > 8 {
			t.Errorf("%d lists in an hour in which nothing was expected", n)
		}
	})
}
