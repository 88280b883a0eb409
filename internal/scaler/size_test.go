package scaler

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestGrowToDemand: one call creates as many instances as the missing slots need, and the decision says why.
func TestGrowToDemand(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity = 4 }, withPolicy(policy.Settings{IdleCount: 3, IdleTime: time.Minute})))
	r.want("for the idle target alone", len(r.made), 1)
	var evs []Event
	for n := range 9 {
		evs = append(evs, Event{Kind: EvAcquire, Key: record.Key(fmt.Sprint("k", n)), Ticket: uint64(n + 1)})
	}
	r.do(evs...)
	creates := r.commandsOf(CmdIncrease)
	r.want("calls", len(creates), 2)
	r.want("for nine jobs and three idle slots", creates[1].Count, 2)
	d := r.factsOf(FactCreate)
	last := d[len(d)-1].Decision
	r.want("when the last was asked for: needed, supply", [2]int{last.Needed, last.Supply}, [2]int{9, 8})
	r.run(10 * sec)
	r.want("leases", r.sum().Leases, 9)
	r.want("open", r.sum().OpenSlots, 3)
}

// TestGrowIsBounded: max_instances and the provider's own limit bound creates, and waiters are told so.
func TestGrowIsBounded(t *testing.T) {
	for _, c := range []struct {
		ours, theirs, want int
		why                record.Cause
	}{
		{2, 0, 2, record.CauseMaxInstances}, {5, 1, 1, record.CauseProviderLimit}, {0, 3, 3, record.CauseProviderLimit},
		{2, math.MaxInt, 2, record.CauseMaxInstances},
	} {
		r := newRig(t, conf(func(cfg *Config) { cfg.MaxInstances, cfg.ProviderMax = c.ours, c.theirs }))
		for n := range 6 {
			r.acquire(record.Key(fmt.Sprint("k", n)))
		}
		r.run(10 * sec)
		r.want(fmt.Sprintf("instances of %+v", c), [2]int{len(r.made), r.sum().Leases}, [2]int{c.want, c.want})
		r.want("cause", r.sum().WaitCause, c.why)
	}
}

// TestShrinkAfterIdleTime: an instance is kept for exactly idle_time, and the longest idle one is retired first.
func TestShrinkAfterIdleTime(t *testing.T) {
	r := newRig(t, conf())
	r.acquire("a", "b")
	r.run(10 * sec)
	r.release("b")
	r.run(5 * sec)
	r.release("a")
	r.run(55*sec - 1)
	r.want("just before", r.sum().Ready, 2)
	r.run(1)
	r.want("b's at one minute", [2]record.State{r.state("i-1"), r.state("i-2")}, [2]record.State{record.Ready, record.Deleting})
	f := r.factsOf(FactRetire)[0]
	r.want("cause and time", [2]any{f.Cause, f.Took}, [2]any{record.CauseIdle, time.Minute})
	r.run(5 * sec)
	r.want("a's at one minute", r.state("i-1") == record.Ready, false)
	r.run(10 * sec)
	r.want("scaled to zero", len(r.cloud), 0)
	r.want("gone", len(r.factsOf(FactGone)), 2)
	r.want("asked to wake only to forget them", r.bt.Wake > r.now.Mono+50*time.Minute, true)
	r.run(time.Hour)
	r.want("books after an hour", r.core.reg.Len(), 0)
	r.want("wake with nothing to do", r.bt.Wake, time.Duration(0))
}

// TestDipDeletesNothing: a dip in demand that is shorter than idle_time deletes nothing, although some instance is idle at any time.
func TestDipDeletesNothing(t *testing.T) {
	r := newRig(t, conf())
	r.acquire("a", "b", "c")
	r.run(10 * sec)
	for n := range 20 {
		r.release("a", "b", "c")
		r.run(40 * sec)
		r.acquire("a", "b", "c")
		r.run(20 * sec)
		r.want(fmt.Sprintf("instances after dip %d", n), [2]int{len(r.made), len(r.commandsOf(CmdDelete))}, [2]int{3, 0})
	}
	r.release("a")
	r.run(59 * sec)
	r.want("a third of the demand left for less than idle_time", r.sum().Ready, 3)
	r.run(sec)
	r.want("for idle_time", r.sum().Ready, 2)
	r.want("N̂", r.sum().Peak, 2)
}

// TestIdleTarget: constant demand is a fixed point: no creates and no deletes, however long it lasts.
func TestIdleTarget(t *testing.T) {
	for _, s := range []policy.Settings{
		{IdleCount: 3, IdleTime: 0}, {IdleCount: 1, ScaleFactor: 0.5, IdleTime: 5 * sec},
		{IdleCount: 2, ScaleFactor: 1.5, ScaleFactorLimit: 4, ScaleFactorMode: policy.FactorAdd, IdleTime: time.Minute},
	} {
		r := newRig(t, conf(func(c *Config) { c.Capacity = 2 }, withPolicy(s)))
		r.acquire("a", "b", "c")
		r.run(5 * time.Minute)
		before := len(r.commands)
		r.run(time.Hour)
		r.want(fmt.Sprintf("commands in a steady hour under %+v", s), len(r.commands)-before, 0)
		if sum := r.sum(); sum.OpenSlots < sum.Decision.IdleTarget {
			t.Errorf("%+v: %d open, target %d", s, sum.OpenSlots, sum.Decision.IdleTarget)
		}
	}
}

// TestSteadyLoad: a steady flow of jobs at scale_factor 1.5 costs at most 40 creates per 100 jobs.
func TestSteadyLoad(t *testing.T) {
	const job = 60 * sec
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 100 }, withPolicy(policy.Settings{ScaleFactor: 1.5, IdleTime: 2 * job})))
	const n = 400
	for k := range n {
		r.acquire(record.Key(fmt.Sprint("k", k)))
		r.run(12 * sec)
		if k >= 5 {
			r.release(record.Key(fmt.Sprint("k", k-5)))
		}
	}
	if per := float64(len(r.made)) * 100 / n; per > 40 {
		t.Errorf("%.1f creates per 100 jobs, want at most 40", per)
	}
	r.want("deletes in a steady load", len(r.commandsOf(CmdDelete)), 0)
}

// TestThrottleClosedForm: in a burst, the n-th create happens at max(0, (n−b)/r) seconds, for burst b and limit r.
func TestThrottleClosedForm(t *testing.T) {
	for _, c := range []struct {
		limit float64
		burst int
	}{{0.5, 3}, {4, 1}, {1, 10}, {0.1, 2}} {
		r := newRig(t, conf(func(cfg *Config) {
			cfg.MaxInstances, cfg.Throttle = 30, policy.Throttle{Limit: c.limit, Burst: c.burst}
		}))
		r.every = 0
		start := r.now.Mono
		for n := range 30 {
			r.acquire(record.Key(fmt.Sprint("k", n)))
		}
		if c.burst < 30 {
			r.want("cause", r.sum().WaitCause, record.CauseThrottle)
		}
		r.run(time.Duration(30/c.limit)*sec + sec)
		if len(r.made) != 30 {
			t.Fatalf("%+v: %d of 30 created", c, len(r.made))
		}
		for n, at := range r.made {
			want := time.Duration(max(0, float64(n+1-c.burst)/c.limit) * float64(sec))
			if got := at - start; got < want-time.Microsecond || got > want+5*time.Microsecond*time.Duration(n+1) {
				t.Errorf("%+v: create %d at %v, want %v", c, n+1, got, want)
			}
		}
	}
}

// TestThrottleDefaults: limit 0 means 100 per second, −1 no limit; burst 0 means max_instances, or else the limit.
func TestThrottleDefaults(t *testing.T) {
	for _, c := range []struct {
		max       int
		t         policy.Throttle
		jobs, now int
	}{
		{10, policy.Throttle{}, 20, 10}, {0, policy.Throttle{}, 150, 100}, {0, policy.Throttle{Limit: -1}, 5000, 5000},
		{0, policy.Throttle{Limit: 2.5}, 10, 3}, {0, policy.Throttle{Limit: math.NaN()}, 300, 300}, {0, policy.Throttle{Limit: 1, Burst: 7}, 10, 7},
		{0, policy.Throttle{Limit: math.Inf(1)}, 300, 300},
	} {
		r := newRig(t, conf(func(cfg *Config) { cfg.MaxInstances, cfg.Throttle = c.max, c.t }))
		var evs []Event
		for n := range c.jobs {
			evs = append(evs, Event{Kind: EvAcquire, Key: record.Key(fmt.Sprint("k", n)), Ticket: uint64(n + 1)})
		}
		r.light = true
		r.do(evs...)
		r.want(fmt.Sprintf("created at once under %+v", c), len(r.made), c.now)
	}
}

// TestThrottleRestart: a restart adds no tokens, except for the time that passed.
func TestThrottleRestart(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.Throttle = 50, policy.Throttle{Limit: 0.1, Burst: 5} }))
	acquire := func(from int) {
		for n := range 12 {
			r.acquire(record.Key(fmt.Sprint("k", from+n)))
		}
	}
	acquire(0)
	r.want("burst", len(r.made), 5)
	r.restart(0)
	acquire(100)
	r.want("at once after a restart", len(r.made), 5)
	r.restart(31 * sec) // the waiters are gone with their connections; the five leases are not reattached yet
	acquire(200)
	r.want("after 31 s away at one in ten", len(r.made), 8)
	r.restart(time.Hour)
	acquire(300)
	r.want("a full bucket gets no more tokens", len(r.made) <= 13, true)
}

// TestThrottlePolicyOverride: a policy's own throttle replaces the group's while the policy is active. Tokens are kept.
func TestThrottlePolicyOverride(t *testing.T) {
	r := newRig(t, conf(func(c *Config) {
		c.MaxInstances, c.Throttle = 40, policy.Throttle{Limit: 0.01, Burst: 1}
		c.Schedule = sched(policy.Policy{Settings: policy.Settings{IdleTime: time.Hour}},
			policy.Policy{Periods: []string{"10-59 12 * * *"}, Settings: policy.Settings{
				IdleTime: time.Hour, Throttle: &policy.Throttle{Limit: 1, Burst: 20},
			}})
	}))
	for n := range 40 {
		r.acquire(record.Key(fmt.Sprint("k", n)))
	}
	r.run(10*time.Minute - 1)
	before := len(r.made)
	r.want("under the group's", before, 6)
	r.run(10 * sec)
	if n := len(r.made) - before; n < 9 || n > 12 {
		t.Errorf("%d created in ten seconds, at one per second", n)
	}
	r.want("facts: the start and the change", len(r.factsOf(FactPolicy)), 2)
}

// TestPolicyEdge: the new policy is active exactly at the edge, to the nanosecond, and the peak under the old one is forgotten.
func TestPolicyEdge(t *testing.T) {
	r := newRig(t, conf(func(c *Config) {
		c.Schedule = sched(policy.Policy{Settings: policy.Settings{IdleCount: 4, IdleTime: 30 * time.Minute}},
			policy.Policy{Periods: []string{"10-19 12 * * *"}, Settings: policy.Settings{IdleCount: 1, IdleTime: 0}})
	}))
	r.run(10*time.Minute - 1)
	r.want("before", [2]any{r.sum().Ready, r.sum().Active.Index}, [2]any{4, 0})
	r.run(1)
	r.want("at the edge", [2]any{r.sum().Ready, r.sum().Active.Index}, [2]any{1, 1})
	r.run(10*time.Minute - 1)
	r.want("until the end", r.sum().Ready, 1)
	r.run(10 * sec)
	r.want("back", [2]any{r.sum().Ready, r.sum().Active.Index}, [2]any{4, 0})
	r.want("facts: the start and two edges", len(r.factsOf(FactPolicy)), 3)
}

// TestDrain: no new work is accepted, idle instances are retired, and leases end normally; then back to normal.
func TestDrain(t *testing.T) {
	r := standing(t, 2)
	r.acquire("a")
	r.ask(EvReserve, "r")
	r.do(Event{Kind: EvDrain, On: true})
	r.want("idle one", r.sum().Idle, 0)
	r.want("leased one", r.state(r.last("a").ID), record.Ready)
	g := r.acquire("b")
	r.want("new work", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseDraining})
	g = r.acquire("r")
	r.want("reserved work", [2]any{g.Kind, g.Cause}, [2]any{GrantDenied, record.CauseDraining})
	r.want("its reservation", r.sum().Reservations, 0)
	g = r.ask(EvReserve, "c")
	r.want("a reservation", g.Cause, record.CauseDraining)
	r.run(10 * time.Minute)
	r.want("leases and instances", [2]int{r.sum().Leases, len(r.cloud)}, [2]int{1, 1})
	r.release("a")
	r.run(10 * sec)
	r.want("all gone", [2]any{len(r.cloud), r.sum().Closed}, [2]any{0, true})
	r.do(Event{Kind: EvDrain})
	r.run(10 * sec)
	r.want("back to normal", r.sum().Idle, 2)
}

// TestDrainTurnsWaitersAway: waiters are denied at once.
func TestDrainTurnsWaitersAway(t *testing.T) {
	r := newRig(t, conf())
	r.acquire("a", "b")
	r.do(Event{Kind: EvDrain, On: true})
	for _, k := range []record.Key{"a", "b"} {
		r.want("answer", [2]any{r.last(k).Kind, r.last(k).Cause}, [2]any{GrantDenied, record.CauseDraining})
	}
	r.run(time.Minute)
	r.want("what was on its way is not kept", len(r.cloud), 0)
}

// TestClaimedSlotsAreIdleSlots: slots that reservations claim are no slots for waiters, but part of the idle target, which grows with the
// waiters.
func TestClaimedSlotsAreIdleSlots(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Hour, ScaleFactor: 1, Preemptive: true}), func(c *Config) { c.MaxInstances = 100 }))
	r.acquire("a", "b", "c")
	r.run(10 * sec)
	r.release("a", "b", "c")
	ready := r.sum().Ready
	for n := range ready {
		r.want("reserved", r.ask(EvReserve, record.Key(fmt.Sprint("r", n))).Kind, GrantReserved)
	}
	for n := range ready {
		r.acquire(record.Key(fmt.Sprint("w", n)))
	}
	r.want("one instance for each waiter", r.sum().Requested, ready)
}
