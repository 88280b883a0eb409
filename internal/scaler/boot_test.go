package scaler

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

func deadlines(c *Config) {
	c.RequestedDeadline, c.CreatingDeadline, c.PreparingDeadline = time.Minute, 2*time.Minute, 3*time.Minute
}

// TestCreatingOverdue: what never runs is retired at its deadline; each fruitless boot in a row doubles the next one's.
func TestCreatingOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
	r.boot = 100 * time.Hour
	r.acquire("a")
	var retired []time.Duration
	for range 40 {
		r.run(time.Minute)
	}
	for _, f := range r.factsOf(FactRetire) {
		r.want("cause", f.Cause, fleet.CauseBootOverdue)
		retired = append(retired, f.At.Mono)
	}
	if len(retired) != 4 {
		t.Fatalf("%d boots were given up in 40 minutes: %v", len(retired), retired)
	}
	for n, at := range retired {
		life := at - r.made[n]
		if want := 2 * time.Minute << n; life < want || life > want+2*sec {
			t.Errorf("boot %d was given %v, want %v", n, life, want)
		}
	}
	f := r.factsOf(FactFruitless)
	r.want("back-offs", [4]time.Duration{f[0].Took, f[1].Took, f[2].Took, f[3].Took}, [4]time.Duration{5 * sec, 10 * sec, 20 * sec, 40 * sec})
	r.want("still one at a time", len(r.cloud), 1)
	for _, m := range r.cloud {
		m.boots = r.now.Mono
	}
	r.run(10 * sec)
	r.want("one that works ends the row", r.sum().Fruitless, 0)
	r.want("served in the end", r.leaseOf("a") != "", true)
}

// TestDeadlineIsAtMostAnHour: doubling and back-off are bounded.
func TestDeadlineIsAtMostAnHour(t *testing.T) {
	c := &Core{}
	c.reg = fleet.NewRegister(1, 0)
	for n, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour} {
		c.reg.Meta.Fruitless = n
		if got := c.bootDeadline(10 * time.Minute); got != want {
			t.Errorf("after %d: %v, want %v", n, got, want)
		}
	}
	c.reg.Meta.Fruitless = 1 << 40
	if got := c.bootDeadline(sec); got != time.Hour {
		t.Errorf("after very many: %v", got)
	}
	if got := c.bootDeadline(3 * time.Hour); got != 3*time.Hour {
		t.Errorf("set to more than an hour: %v", got)
	}
	for k := fleet.FailureNone; k <= fleet.FailureUnhealthy; k++ {
		p := paceOf(k, false)
		if p.after(1) != p.first || p.after(2) != min(2*p.first, p.last) || p.after(1<<40) != p.last || p.last > maxBackoff || p.cause == fleet.CauseNone {
			t.Errorf("%s: %+v", k, p)
		}
	}
}

// TestRequestedOverdue: an accepted create that shows nothing is no supply any more, but counts until lists rule it out.
func TestRequestedOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 2 }))
	r.answer = func(Command, *Event) int { return 0 } // accepted, and nothing comes of it
	r.acquire("a")
	r.run(time.Minute - 1)
	r.want("until its deadline", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{1, 0})
	r.every = 0 // no lists for a while
	r.listAt = r.now.Mono + 100*time.Hour
	r.run(30 * sec)
	r.want("overdue: requested, doubt, fruitless", [3]int{r.sum().Requested, r.sum().Doubt, r.sum().Fruitless}, [3]int{1, 1, 1})
	r.want("asked again beside the doubt", len(r.commandsOf(CmdIncrease)), 2)
	f := r.factsOf(FactIntent)
	r.want("told", [2]any{f[0].Cause, f[0].Count}, [2]any{fleet.CauseBootOverdue, 1})
	r.every, r.listAt = sec, r.now.Mono+sec
	r.run(4 * sec)
	r.want("ruled out by three lists", r.sum().Doubt, 0)
	r.spawn("late") // it comes all the same
	r.run(10 * sec)
	r.want("adopted, not held", r.state("late"), fleet.Ready)
	r.want("and used", r.leaseOf("a"), "late/0")
}

// TestPrepareFailures: what says nothing about the machine is tried again until the deadline; anything else retires it at once.
func TestPrepareFailures(t *testing.T) {
	for kind := fleet.FailureTransient; kind <= fleet.FailureUnhealthy; kind++ {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
			bad := true
			r.fail = func(cmd Command) (fleet.Failure, bool) {
				if cmd.Kind == CmdPrepare && bad {
					return fleet.Failure{Kind: kind, Message: "no"}, false
				}
				return fleet.Failure{}, false
			}
			r.acquire("a")
			r.run(8 * sec)
			again := kind == fleet.FailureTransient || kind == fleet.FailureThrottled
			if again {
				r.want("tried again", len(r.commandsOf(CmdPrepare)) > 1, true)
				r.want("state", r.state("i-1"), fleet.Preparing)
				bad = false
				r.run(10 * sec)
				r.want("in the end", r.leaseOf("a"), "i-1/0")
				r.want("fruitless", r.sum().Fruitless, 0)
				return
			}
			r.want("tries", len(r.commandsOf(CmdPrepare)), 1)
			retired := r.factsOf(FactRetire)
			r.want("retired because", retired[0].Cause, fleet.CausePrepareFailed)
			r.want("back-off", r.sum().Fruitless, 1)
			bad = false
			r.run(30 * sec)
			r.want("the next one serves", r.leaseOf("a"), "i-2/0")
		})
	}
}

// TestPrepareOverdue: a preparation that hangs, and one whose plugin is away, end at the deadline; a late answer is stale.
func TestPrepareOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
	r.hold[CmdPrepare] = true
	r.acquire("a")
	r.run(6 * sec)
	cmd := r.held[0]
	r.want("the time it has", cmd.Timeout, 3*time.Minute)
	r.run(3*time.Minute + sec)
	r.want("retired because", r.factsOf(FactRetire)[0].Cause, fleet.CausePrepareOverdue)
	r.do(Event{Kind: EvPrepared, ID: cmd.ID, Op: cmd.Op, Serial: cmd.Serial})
	r.want("a late answer", r.core.reg.Count(fleet.Ready), 0)
	r.do(Event{Kind: EvPrepared, ID: "nobody", Op: 1}, Event{Kind: EvBeat, ID: "nobody", Op: 1}, Event{Kind: EvDeleted, ID: "nobody", Op: 1})
	r.hold[CmdPrepare] = false
	r.run(time.Minute)
	r.want("the next one serves", r.leaseOf("a"), "i-2/0")
	away := newRig(t, conf(deadlines))
	away.fail = func(cmd Command) (fleet.Failure, bool) {
		return fleet.Failure{Kind: fleet.FailureTransient}, cmd.Kind == CmdPrepare
	}
	away.acquire("a")
	away.run(2 * time.Minute)
	if n := len(away.commandsOf(CmdPrepare)); n < 5 || n > 10 {
		t.Errorf("%d tries in two minutes, want doubling pauses", n)
	}
}

// TestBackoffByKind: each kind of refusal has its pause and its cause, doubled in a row; the provider's own time wins; success ends it.
func TestBackoffByKind(t *testing.T) {
	for _, c := range []struct {
		f      fleet.Failure
		away   bool
		cause  fleet.Cause
		pauses []time.Duration
	}{
		{fleet.Failure{Kind: fleet.FailureCapacity}, false, fleet.CauseStockOut, []time.Duration{5 * sec, 10 * sec, 20 * sec}},
		{fleet.Failure{Kind: fleet.FailureQuota}, false, fleet.CauseQuota, []time.Duration{10 * sec, 20 * sec, 40 * sec}},
		{fleet.Failure{Kind: fleet.FailureThrottled}, false, fleet.CauseThrottledAPI, []time.Duration{2 * sec, 4 * sec, 8 * sec}},
		{fleet.Failure{Kind: fleet.FailureThrottled, RetryAfter: 33 * sec}, false, fleet.CauseThrottledAPI, []time.Duration{33 * sec, 33 * sec}},
		{fleet.Failure{Kind: fleet.FailureThrottled, RetryAfter: 99 * time.Hour}, false, fleet.CauseThrottledAPI, []time.Duration{time.Hour}},
		{fleet.Failure{Kind: fleet.FailureConfig}, false, fleet.CauseConfig, []time.Duration{10 * time.Minute, 20 * time.Minute}},
		{fleet.Failure{Kind: fleet.FailureTransient}, false, fleet.CauseBackoff, []time.Duration{1 * sec, 2 * sec, 4 * sec}},
		{fleet.Failure{Kind: fleet.FailureTransient}, true, fleet.CausePlugin, []time.Duration{1 * sec, 2 * sec, 4 * sec}},
	} {
		t.Run(fmt.Sprint(c.f.Kind, c.away, c.f.RetryAfter), func(t *testing.T) {
			r := newRig(t, conf(func(cfg *Config) { cfg.MaxInstances = 100 }))
			r.every = 0
			refuse := true
			r.answer = func(cmd Command, ev *Event) int {
				if refuse {
					ev.Count, ev.Failure, ev.Away = 0, c.f, c.away
					return 0
				}
				return cmd.Count
			}
			for n, pause := range c.pauses {
				key := fleet.Key(fmt.Sprint("k", n))
				for k := range n { // an ambiguous create is still supply: only one more job asks for one more instance
					if c.f.Kind == fleet.FailureTransient {
						r.acquire(fleet.Key(fmt.Sprint("more", k)))
					}
				}
				r.acquire(key)
				r.want("calls", len(r.commandsOf(CmdIncrease)), n+1)
				r.want("pause", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{pause, c.cause})
				if c.f.Kind != fleet.FailureTransient {
					r.want("the waiter waits for", r.sum().WaitCause, c.cause)
				}
				r.acquire(key + "+")
				r.run(pause - 1)
				r.want("calls during the pause", len(r.commandsOf(CmdIncrease)), n+1)
				for w := r.core.queue.head; w != nil; w = r.core.queue.head {
					r.do(Event{Kind: EvCancel, Key: w.key, Ticket: w.ticket})
				}
				r.run(1)
			}
			refuse = false
			r.every, r.listAt = sec, r.now.Mono
			r.acquire("last", "last+", "last++", "last4")
			r.run(10 * sec)
			r.want("refusals after a success", [2]any{r.sum().Refusals, r.sum().BackoffFor}, [2]any{0, time.Duration(0)})
		})
	}
}

// TestBackoffSurvivesRestart: what held creates back still does.
func TestBackoffSurvivesRestart(t *testing.T) {
	r := newRig(t, conf())
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, fleet.Failure{Kind: fleet.FailureQuota}
		return 0
	}
	r.acquire("a")
	r.run(4 * sec)
	r.restart(sec)
	r.answer = nil
	r.want("left", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{5 * sec, fleet.CauseQuota})
	r.acquire("a")
	r.run(5*sec - 1)
	r.want("created", len(r.made), 0)
	r.run(10 * sec)
	r.want("served", r.leaseOf("a"), "i-1/0")
}

// TestHeartbeat: failures in a row retire an instance and its leases; the plugin's absence and throttling do not count; the provider's
// word counts at once.
func TestHeartbeat(t *testing.T) {
	beats := func(f fleet.Failure, away bool, n int) *rig {
		r := standing(t, 1, func(c *Config) { c.Heartbeat, c.FailureThreshold, c.MaxInstances = true, 3, 1 })
		r.acquire("a")
		left := n
		r.fail = func(cmd Command) (fleet.Failure, bool) {
			if cmd.Kind == CmdHeartbeat && left > 0 {
				left--
				return f, away
			}
			return fleet.Failure{}, false
		}
		r.run(2 * time.Minute)
		return r
	}
	for _, c := range []struct {
		name string
		f    fleet.FailureKind
		away bool
		n    int
		dead bool
	}{
		{"healthy", fleet.FailureNone, false, 0, false}, {"two in a row", fleet.FailureTransient, false, 2, false},
		{"three in a row", fleet.FailureTransient, false, 3, true}, {"not found three times", fleet.FailureNotFound, false, 3, true},
		{"away for long", fleet.FailureTransient, true, 8, false}, {"throttled for long", fleet.FailureThrottled, false, 8, false},
		{"unhealthy once", fleet.FailureUnhealthy, false, 1, true},
	} {
		r := beats(fleet.Failure{Kind: c.f}, c.away, c.n)
		r.want(c.name+": revoked", r.leaseOf("a") == "", c.dead)
		if g := r.last("a"); c.dead {
			r.want(c.name, [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, fleet.CauseUnhealthy})
			r.want(c.name+": replaced", r.sum().Idle, 1)
		}
	}
	r := beats(fleet.Failure{}, false, 0)
	if n := len(r.commandsOf(CmdHeartbeat)); n < 11 || n > 13 {
		t.Errorf("%d heartbeats in two minutes of ten seconds", n)
	}
	none := standing(t, 1)
	none.run(2 * time.Minute)
	none.want("heartbeats of a provider without", len(none.commandsOf(CmdHeartbeat)), 0)
}

// TestWaitCauses: whoever waits is told why, as a fact whenever it changes and in the summary.
func TestWaitCauses(t *testing.T) {
	r := bareRig(t, conf(func(c *Config) { c.MaxInstances = 2; c.Throttle = policy.Throttle{Limit: 0.05, Burst: 1} }))
	r.start(true)
	why := func(want ...fleet.Cause) {
		t.Helper()
		var got []fleet.Cause
		for _, f := range r.factsOf(FactWait) {
			got = append(got, f.Cause)
		}
		r.want("told", got, want)
		r.want("in the summary", r.sum().WaitCause, want[len(want)-1])
	}
	r.acquire("a")
	why(fleet.CausePlugin)
	r.list()
	why(fleet.CausePlugin, fleet.CauseBoot)
	r.acquire("b")
	why(fleet.CausePlugin, fleet.CauseBoot, fleet.CauseThrottle)
	v, _ := r.core.Wait("a")
	r.want("the first of them", v.Cause, fleet.CauseBoot)
	v, _ = r.core.Wait("b")
	r.want("the second", [2]any{v.Cause, v.Position}, [2]any{fleet.CauseThrottle, 2})
	r.run(20*sec + sec)
	why(fleet.CausePlugin, fleet.CauseBoot, fleet.CauseThrottle, fleet.CauseBoot)
	r.acquire("c")
	why(fleet.CausePlugin, fleet.CauseBoot, fleet.CauseThrottle, fleet.CauseBoot, fleet.CauseMaxInstances)
	r.run(10 * sec)
	r.release("a")
	why(fleet.CausePlugin, fleet.CauseBoot, fleet.CauseThrottle, fleet.CauseBoot, fleet.CauseMaxInstances, fleet.CauseNone)
}

// TestCauseOfTheLastUse: an instance that is unhealthy during its last use is retired for that, not for being used up.
func TestCauseOfTheLastUse(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"heartbeat":   func(r *rig) { r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: fleet.CauseUnhealthy}) },
		"caller":      func(r *rig) { r.ask(EvRelease, "a", because(fleet.CauseUnhealthy)) },
		"the list":    func(r *rig) { r.cloud["i-1"].word = fleet.ListedTimeout; r.run(2 * sec) },
		"no reattach": func(r *rig) { r.do(Event{Kind: EvDetach, Key: "a"}); r.run(31 * sec) },
	} {
		r := standing(t, 1, func(c *Config) { c.MaxUses = 1 })
		r.acquire("a")
		end(r)
		retired := r.factsOf(FactRetire)
		want := map[string]fleet.Cause{
			"heartbeat": fleet.CauseUnhealthy, "caller": fleet.CauseUnhealthy, "the list": fleet.CauseProviderTimeout, "no reattach": fleet.CauseAbandoned,
		}[name]
		r.want(name+": retired", fmt.Sprint(retired[0].ID, retired[0].Cause), fmt.Sprint("i-1", want))
		r.want(name+": leases", r.sum().Leases, 0)
		deletes := 0
		for _, c := range r.commandsOf(CmdDelete) {
			if c.ID == "i-1" {
				deletes++
			}
		}
		r.want(name+": deletes", deletes, 1)
	}
}

// TestTwoReasonsToHoldOff: a create that succeeds does not end the pause after fruitless boots, nor a boot that works the pause after refusals.
func TestTwoReasonsToHoldOff(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.do(Event{Kind: EvAcquire, Key: "b", Ticket: 100})
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Failure: fleet.Failure{Kind: fleet.FailureTransient}})
	for range 2 {
		r.core.fruitless(&machine{Instance: &fleet.Instance{ID: "x", Created: r.core.stamp}}, fleet.CauseBootOverdue)
	}
	r.do(Event{Kind: EvIncreased, Op: r.held[1].Op, Count: 1})
	r.want("pause after two fruitless boots", [2]any{r.sum().BackoffFor, r.sum().Fruitless}, [2]any{10 * sec, 2})
	r.run(9 * sec)
	r.acquire("c")
	r.want("creates meanwhile", len(r.commandsOf(CmdIncrease)), 2)
	r.run(sec)
	r.want("and then", len(r.commandsOf(CmdIncrease)), 3)
}
