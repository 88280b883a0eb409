package scaler

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// largeSaved returns the stored state of n idle instances.
func largeSaved(n int, now Time) record.Saved {
	s := record.Saved{Meta: record.Meta{Group: "g", LastSerial: uint64(2_000_000 + n)}}
	wall := now.Wall.UnixNano()
	for k := range n {
		s.Instances = append(s.Instances, record.Instance{
			ID: record.ID(fmt.Sprintf("i-%07d", k)), Serial: uint64(1_000_000 + k), State: record.Ready, Origin: record.Created,
			CreatedAt: wall, StateAt: wall, ReadyAt: wall, IdleAt: wall,
		})
	}
	return s
}

// large returns a core with n idle, listed instances.
func large(tb testing.TB, n int) (*Core, Time) {
	tb.Helper()
	now := Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	cfg := Config{MaxInstances: n, Schedule: always(policy.Settings{IdleCount: n, IdleTime: 1e4 * time.Hour}), Throttle: policy.Throttle{Limit: -1}}
	c, err := New(cfg, largeSaved(n, now), true, now)
	if err != nil {
		tb.Fatal(err)
	}
	for k := n - 1; k >= 0; k-- {
		c.Step(now, Event{Kind: EvAppeared, ID: record.ID(fmt.Sprintf("i-%07d", k)), Listed: fleet.ListedRunning})
	}
	c.Step(now, Event{Kind: EvListed, Since: now.Mono})
	if b := c.Take(); b.Bug != nil || c.Summary().Idle != n {
		tb.Fatalf("%v, %+v", b.Bug, c.Summary())
	}
	return c, now
}

var sizes = []int{1_000, 100_000}

// BenchmarkAcquireRelease measures the lease path of the core alone: two steps and two takes per pair. The time must not depend on the size
// of the fleet.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, n := range append([]int{10}, sizes...) {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, now := large(b, n)
			b.ReportAllocs()
			for b.Loop() {
				now.Mono += 1000
				c.Step(now, Event{Kind: EvAcquire, Key: "k", Ticket: 1})
				if g := c.Take().Grants; len(g) != 1 || g[0].Kind != GrantLease {
					b.Fatal(g)
				}
				c.Step(now, Event{Kind: EvRelease, Key: "k", Ticket: 1})
				c.Take()
			}
		})
	}
}

// BenchmarkRandomRelease releases uniformly random leases of a full fleet. Granting them again is not measured.
func BenchmarkRandomRelease(b *testing.B) {
	const n = 100_000
	c, now := large(b, n)
	keys := make([]record.Key, n)
	for k := range keys {
		keys[k] = record.Key(fmt.Sprintf("job-%06d", k))
		c.Step(now, Event{Kind: EvAcquire, Key: keys[k], Ticket: 1})
	}
	c.Take()
	dice := rand.New(rand.NewPCG(1, 2))
	var spent time.Duration
	ops := 0
	b.ReportAllocs()
	for b.Loop() {
		batch := make([]record.Key, 0, 1000)
		for len(batch) < 1000 {
			batch = append(batch, keys[dice.IntN(n)])
		}
		start := time.Now()
		for _, k := range batch {
			now.Mono += 1000
			c.Step(now, Event{Kind: EvRelease, Key: k, Ticket: 1})
			c.Take()
		}
		spent += time.Since(start)
		ops += len(batch)
		for _, k := range batch {
			c.Step(now, Event{Kind: EvAcquire, Key: k, Ticket: 1})
		}
		c.Take()
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(ops), "ns/release")
}

// BenchmarkListEvents removes instances from the list and adds them again: two events and a complete list each.
func BenchmarkListEvents(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, now := large(b, n)
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				now.Mono += 1000
				id := record.ID("i-0000007")
				c.Step(now, Event{Kind: EvMissing, ID: id})
				c.Step(now, Event{Kind: EvListed, Since: now.Mono})
				c.Step(now, Event{Kind: EvAppeared, ID: id, Listed: fleet.ListedRunning})
				c.Step(now, Event{Kind: EvListed, Since: now.Mono})
				c.Take()
			}
		})
	}
}

// perInstance returns the heap bytes that an idle instance needs in the core and its register.
func perInstance(tb testing.TB, n int) float64 {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	c, _ := large(tb, n)
	after := heap()
	runtime.KeepAlive(c)
	return (after - before) / float64(n)
}

// BenchmarkMemory reports the memory of an idle instance.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(perInstance(b, 100_000), "B/instance")
	}
}

// TestMemory: an idle instance needs at most 1 KiB.
func TestMemory(t *testing.T) {
	if got := perInstance(t, 20_000); got > 1024 {
		t.Errorf("an idle instance takes %.0f bytes, want at most 1024", got)
	}
}

// TestLeasePathAllocatesNothing: granting and releasing a lease do not allocate.
func TestLeasePathAllocatesNothing(t *testing.T) {
	c, now := large(t, 100)
	got := testing.AllocsPerRun(2000, func() {
		now.Mono += 1000
		c.Step(now, Event{Kind: EvAcquire, Key: "k", Ticket: 1})
		c.Take()
		c.Step(now, Event{Kind: EvRelease, Key: "k", Ticket: 1})
		c.Take()
	})
	if got != 0 {
		t.Errorf("granting and releasing a lease allocate %v times", got)
	}
}
