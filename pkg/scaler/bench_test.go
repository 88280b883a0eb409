package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// BenchmarkAcquireRelease is the lease path of the core alone: two steps and two takes a pair.
func BenchmarkAcquireRelease(b *testing.B) {
	now := Time{Mono: time.Second, Wall: time.Unix(1700000000, 0)}
	s, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: 10, IdleTime: time.Minute}}}, time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Config{Capacity: 1, MaxInstances: 100, Schedule: s}, fleet.SavedState{}, true, now)
	if err != nil {
		b.Fatal(err)
	}
	step := func(e Event) *Batch {
		c.Step(now, e)
		if err := c.Check(); err != nil {
			b.Fatal(err)
		}
		return c.Take()
	}
	bt := step(Event{Kind: EvListed, Since: now.Mono})
	op := bt.Commands[0].Op
	step(Event{Kind: EvIncreased, Op: op, Count: 10})
	for i := range 10 {
		bt = step(Event{Kind: EvAppeared, ID: fleet.ID(rune('a' + i)), Listed: fleet.ListedRunning})
		step(Event{Kind: EvPrepared, ID: bt.Commands[0].ID, Op: bt.Commands[0].Op, Serial: bt.Commands[0].Serial})
	}
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
}
