package taskscaler

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/clock"
	"github.com/taskscaler/taskscaler/internal/observe"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// wakeLog compares the time of each step of the loop with the time that the core asked for. A step must come no later than that time and no
// later than the recheck. Without any other event, it must come exactly then.
type wakeLog struct {
	t     *testing.T
	mu    sync.Mutex
	began bool
	last  time.Duration
	wake  time.Duration
	steps int
	wakes int // steps that came exactly at the time that the core asked for
}

func (w *wakeLog) events(now scaler.Time, evs []scaler.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.last + recheck
	if w.wake > 0 {
		due = min(due, w.wake)
	}
	only := true
	for _, ev := range evs {
		only = only && ev.Kind == scaler.EvWake
	}
	switch {
	case !w.began:
	case now.Mono > due:
		w.t.Errorf("a step at %v, but a step was due at %v (the core asked for %v, last step %v)", now.Mono, due, w.wake, w.last)
	case only && len(evs) > 0 && now.Mono != due:
		w.t.Errorf("a step at %v, want %v (the core asked for %v, last step %v)", now.Mono, due, w.wake, w.last)
	case only && now.Mono == w.wake:
		w.wakes++
	}
	w.began, w.last, w.steps = true, now.Mono, w.steps+1
}

func (w *wakeLog) batch(b *scaler.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake = b.Wake
}

func (w *wakeLog) counts() (steps, wakes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steps, w.wakes
}

// TestFireWakesAreExact checks the times of all steps, with jobs of every length, with failures, and without any work.
func TestFireWakesAreExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := &wakeLog{t: t}
		f := start(t, withTap(observe.Observer{Events: log.events, Batch: log.batch}), withConfig(func(c *Config) {
			c.MaxInstances, c.Policies, c.AcquireTimeout = 2, idle(t, 1, 77*time.Second), 95*time.Second
		}))
		r := newRandom(9)
		var wg sync.WaitGroup
		for n := range 10 {
			wg.Go(func() {
				for i := range 20 {
					if l, err := f.Acquire(context.Background(), fmt.Sprint(n, "-", i)); err == nil {
						time.Sleep(r.upTo(4 * time.Minute))
						if r.chance(0.1) {
							_ = l.ReleaseUnhealthy(context.Background(), "it is broken")
						} else {
							_ = l.Release(context.Background())
						}
					}
					time.Sleep(r.upTo(2 * time.Minute))
				}
			})
		}
		wg.Wait()
		time.Sleep(10 * time.Minute)
		before, wakes := log.counts()
		if wakes < 20 {
			t.Errorf("%d of %d steps were steps that the core asked for", wakes, before)
		}
		time.Sleep(time.Hour)
		if steps, _ := log.counts(); steps-before < 120 || steps-before > 240 {
			t.Errorf("%d steps in an hour without work, want one every 30s and one for each list", steps-before)
		}
		f.end()
	})
}

// TestFireDeadlinesAreExact: a wait ends exactly at its deadline, whichever timer was set before.
func TestFireDeadlinesAreExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := start(t, withConfig(func(c *Config) { c.CapacityPerInstance, c.MaxInstances = 1, 1 }))
		defer f.end()
		f.acquire("held")
		var wg sync.WaitGroup
		for n, d := range []time.Duration{61 * time.Second, 7 * time.Second, 29999 * time.Millisecond, 3 * time.Second, 200 * time.Second} {
			cfg := f.cfg
			cfg.AcquireTimeout = d
			if err := f.Reload(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			wg.Go(func() {
				_, err := f.Acquire(context.Background(), fmt.Sprint("job-", n))
				if took := time.Since(from); err == nil || took != d {
					t.Errorf("a wait of %v ended after %v: %v", d, took, err)
				}
			})
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
	})
}

// TestFireWallClockIsSet: the wall clock jumps into a period and out of it. The recheck notices the jump within 30s. It does not affect
// what is measured in elapsed time.
func TestFireWallClockIsSet(t *testing.T) {
	bubble(t, func(t *testing.T) { // a bubble begins at midnight UTC
		schedule, err := policy.Compile([]policy.Policy{
			{Settings: policy.Settings{IdleTime: time.Minute}},
			{Periods: []string{"* 8-17 * * *"}, Settings: policy.Settings{IdleCount: 4, IdleTime: time.Minute}},
		}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var by time.Duration
		set := func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			by = d
		}
		jumpy := clock.New().WithWall(func(wall time.Time) time.Time {
			mu.Lock()
			defer mu.Unlock()
			return wall.Add(by)
		})
		f := start(t, Option(func(o *options) { o.clock = jumpy }), withConfig(func(c *Config) {
			c.Policies, c.UpdateInterval = schedule, time.Hour
		}))
		defer f.end()
		l := f.acquire("job")
		time.Sleep(10 * time.Minute)
		if n := len(f.group.ids()); n != 1 {
			t.Fatalf("%d instances at night", n)
		}
		set(9 * time.Hour)
		time.Sleep(recheck)
		if n := f.group.count("increase"); n != 2 {
			t.Errorf("%d creates %v after the clock was set to the day", n-1, recheck)
		}
		time.Sleep(5 * time.Minute)
		set(-3 * time.Hour)
		time.Sleep(recheck + time.Minute + time.Second)
		if c := f.status().Counts; c.Leases != 1 || c.Free > 1 {
			t.Errorf("after it was set back to the night: %+v", c)
		}
		if l.Err() != nil {
			t.Errorf("the lease: %v", l.Err())
		}
	})
}
