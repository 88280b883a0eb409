package scaler

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func deadlines(c *Config) {
	c.RequestedDeadline, c.CreatingDeadline, c.PreparingDeadline = time.Minute, 2*time.Minute, 3*time.Minute
}

// TestCreatingOverdue: an instance that never runs is retired at its deadline. Each consecutive failed boot doubles the next deadline.
func TestCreatingOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
	r.boot = 100 * time.Hour
	r.acquire("a")
	var retired []time.Duration
	for range 40 {
		r.run(time.Minute)
	}
	for _, f := range r.factsOf(FactRetire) {
		r.want("cause", f.Cause, record.CauseBootOverdue)
		retired = append(retired, f.At.Mono)
	}
	if len(retired) != 4 {
		t.Fatalf("%d boots were given up in 40 minutes, want 4: %v", len(retired), retired)
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
	r.want("one that works ends the run of failures", r.sum().Fruitless, 0)
	r.want("served in the end", r.leaseOf("a") != "", true)
}

// TestDeadlineIsAtMostAnHour: the doubling of deadlines and the back-off are limited.
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
	for k := failure.None; k <= failure.Unhealthy; k++ {
		p := paceOf(k, false)
		if p.after(1) != p.first || p.after(2) != min(2*p.first, p.last) || p.after(1<<40) != p.last || p.last > maxBackoff || p.cause == record.CauseNone {
			t.Errorf("%s: %+v", k, p)
		}
	}
}

// TestRequestedOverdue: an accepted create that shows nothing is no supply any more, but counts against max_instances until lists rule it
// out.
func TestRequestedOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 2 }))
	r.answer = func(Command, *Event) int { return 0 } // accepted, but no instance appears
	r.acquire("a")
	r.run(time.Minute - 1)
	r.want("until its deadline", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{1, 0})
	r.every = 0 // no lists for a while
	r.listAt = r.now.Mono + 100*time.Hour
	r.run(30 * sec)
	r.want("overdue: requested, doubt, failed boots", [3]int{r.sum().Requested, r.sum().Doubt, r.sum().Fruitless}, [3]int{1, 1, 1})
	r.want("requested again although in doubt", len(r.commandsOf(CmdIncrease)), 2)
	f := r.factsOf(FactIntent)
	r.want("told", [2]any{f[0].Cause, f[0].Count}, [2]any{record.CauseBootOverdue, 1})
	r.every, r.listAt = sec, r.now.Mono+sec
	r.run(4 * sec)
	r.want("ruled out by three lists", r.sum().Doubt, 0)
	r.spawn("late") // it appears nevertheless
	r.run(10 * sec)
	r.want("adopted, not held", r.state("late"), record.Ready)
	r.want("and used", r.leaseOf("a"), "late/0")
}

// TestPrepareFailures: a failure that says nothing about the instance is retried until the deadline. Any other failure retires it at once.
func TestPrepareFailures(t *testing.T) {
	for kind := failure.Transient; kind <= failure.Unhealthy; kind++ {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
			bad := true
			r.fail = func(cmd Command) (failure.Failure, bool) {
				if cmd.Kind == CmdPrepare && bad {
					return failure.Failure{Kind: kind, Message: "no"}, false
				}
				return failure.Failure{}, false
			}
			r.acquire("a")
			r.run(8 * sec)
			again := kind == failure.Transient || kind == failure.Throttled
			if again {
				r.want("tried again", len(r.commandsOf(CmdPrepare)) > 1, true)
				r.want("state", r.state("i-1"), record.Preparing)
				bad = false
				r.run(10 * sec)
				r.want("in the end", r.leaseOf("a"), "i-1/0")
				r.want("failed boots", r.sum().Fruitless, 0)
				return
			}
			r.want("tries", len(r.commandsOf(CmdPrepare)), 1)
			retired := r.factsOf(FactRetire)
			r.want("retired because", retired[0].Cause, record.CausePrepareFailed)
			r.want("back-off", r.sum().Fruitless, 1)
			bad = false
			r.run(30 * sec)
			r.want("the next one serves", r.leaseOf("a"), "i-2/0")
		})
	}
}

// TestPrepareOverdue: a preparation that hangs, or whose plugin is absent, ends at the deadline. A late answer is ignored.
func TestPrepareOverdue(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 1 }))
	r.hold[CmdPrepare] = true
	r.acquire("a")
	r.run(6 * sec)
	cmd := r.held[0]
	r.want("the time it has", cmd.Timeout, 3*time.Minute)
	r.run(3*time.Minute + sec)
	r.want("retired because", r.factsOf(FactRetire)[0].Cause, record.CausePrepareOverdue)
	r.do(Event{Kind: EvPrepared, ID: cmd.ID, Op: cmd.Op, Serial: cmd.Serial})
	r.want("a late answer", r.core.reg.Count(record.Ready), 0)
	r.do(Event{Kind: EvPrepared, ID: "nobody", Op: 1}, Event{Kind: EvBeat, ID: "nobody", Op: 1}, Event{Kind: EvDeleted, ID: "nobody", Op: 1})
	r.hold[CmdPrepare] = false
	r.run(time.Minute)
	r.want("the next one serves", r.leaseOf("a"), "i-2/0")
	away := newRig(t, conf(deadlines))
	away.fail = func(cmd Command) (failure.Failure, bool) {
		return failure.Failure{Kind: failure.Transient}, cmd.Kind == CmdPrepare
	}
	away.acquire("a")
	away.run(2 * time.Minute)
	if n := len(away.commandsOf(CmdPrepare)); n < 5 || n > 10 {
		t.Errorf("%d tries in two minutes, want doubling pauses", n)
	}
}

// TestWayFails: while the way to the instances fails, no preparation is overdue, no boot counts as failed, and no other instance is created. When the way works, an
// instance that does not has its whole time.
func TestWayFails(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 9 }))
	r.hold[CmdPrepare] = true
	r.acquire("a")
	blocked := func(d time.Duration) {
		for end := r.now.Mono + d; r.now.Mono < end; r.run(sec) {
			for _, cmd := range r.held {
				r.do(Event{Kind: EvPrepared, ID: cmd.ID, Op: cmd.Op, Serial: cmd.Serial, On: true,
					Failure: failure.Failure{Kind: failure.Transient, Message: "the jump host is away"}})
			}
			r.held = nil
		}
	}
	blocked(5 * time.Hour)
	r.want("state", r.state("i-1"), record.Preparing)
	r.want("failed boots, creates", [2]int{r.sum().Fruitless, len(r.commandsOf(CmdIncrease))}, [2]int{0, 1})
	if tries, told := len(r.commandsOf(CmdPrepare)), len(r.factsOf(FactPrepare)); tries < 500 || told != 3 {
		t.Errorf("%d tries, %d of them told", tries, told)
	}
	r.run(2 * time.Minute)
	r.want("two minutes after the last failure of the way", r.state("i-1"), record.Preparing)
	r.hold[CmdPrepare] = false
	r.run(2 * time.Minute)
	r.want("at the deadline", r.factsOf(FactRetire)[0].Cause, record.CausePrepareOverdue)
	r.want("the next one serves", r.leaseOf("a"), "i-2/0")
}

// TestBackoffByKind: each kind of failure has its own back-off and cause. The back-off doubles with consecutive failures. The provider's
// RetryAfter takes precedence. Success ends the back-off.
func TestBackoffByKind(t *testing.T) {
	for _, c := range []struct {
		f      failure.Failure
		away   bool
		cause  record.Cause
		pauses []time.Duration
	}{
		{failure.Failure{Kind: failure.Capacity}, false, record.CauseStockOut, []time.Duration{5 * sec, 10 * sec, 20 * sec}},
		{failure.Failure{Kind: failure.Quota}, false, record.CauseQuota, []time.Duration{10 * sec, 20 * sec, 40 * sec}},
		{failure.Failure{Kind: failure.Throttled}, false, record.CauseThrottledAPI, []time.Duration{2 * sec, 4 * sec, 8 * sec}},
		{failure.Failure{Kind: failure.Throttled, RetryAfter: 33 * sec}, false, record.CauseThrottledAPI, []time.Duration{33 * sec, 33 * sec}},
		{failure.Failure{Kind: failure.Throttled, RetryAfter: 99 * time.Hour}, false, record.CauseThrottledAPI, []time.Duration{time.Hour}},
		{failure.Failure{Kind: failure.Config}, false, record.CauseConfig, []time.Duration{10 * time.Minute, 20 * time.Minute}},
		{failure.Failure{Kind: failure.Transient}, false, record.CauseBackoff, []time.Duration{1 * sec, 2 * sec, 4 * sec}},
		{failure.Failure{Kind: failure.Transient}, true, record.CausePlugin, []time.Duration{1 * sec, 2 * sec, 4 * sec}},
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
				key := record.Key(fmt.Sprint("k", n))
				for k := range n { // an ambiguous create is still supply, so one more job asks for only one more instance
					if c.f.Kind == failure.Transient {
						r.acquire(record.Key(fmt.Sprint("more", k)))
					}
				}
				r.acquire(key)
				r.want("calls", len(r.commandsOf(CmdIncrease)), n+1)
				r.want("pause", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{pause, c.cause})
				if c.f.Kind != failure.Transient {
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

// TestBackoffSurvivesRestart: a back-off stays in force after a restart.
func TestBackoffSurvivesRestart(t *testing.T) {
	r := newRig(t, conf())
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Quota}
		return 0
	}
	r.acquire("a")
	r.run(4 * sec)
	r.restart(sec)
	r.answer = nil
	r.want("left", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{5 * sec, record.CauseQuota})
	r.acquire("a")
	r.run(5*sec - 1)
	r.want("created", len(r.made), 0)
	r.run(10 * sec)
	r.want("served", r.leaseOf("a"), "i-1/0")
}

// TestHeartbeat: consecutive failures retire an instance and revoke its leases. An absent plugin and throttling do not count. The failure
// Unhealthy retires at once.
func TestHeartbeat(t *testing.T) {
	beats := func(f failure.Failure, away bool, n int) *rig {
		r := standing(t, 1, func(c *Config) { c.Heartbeat, c.FailureThreshold, c.MaxInstances = true, 3, 1 })
		r.acquire("a")
		left := n
		r.fail = func(cmd Command) (failure.Failure, bool) {
			if cmd.Kind == CmdHeartbeat && left > 0 {
				left--
				return f, away
			}
			return failure.Failure{}, false
		}
		r.run(2 * time.Minute)
		return r
	}
	for _, c := range []struct {
		name string
		f    failure.Kind
		away bool
		n    int
		dead bool
	}{
		{"healthy", failure.None, false, 0, false}, {"two consecutive", failure.Transient, false, 2, false},
		{"three consecutive", failure.Transient, false, 3, true}, {"not found three times", failure.NotFound, false, 3, true},
		{"away for long", failure.Transient, true, 8, false}, {"throttled for long", failure.Throttled, false, 8, false},
		{"unhealthy once", failure.Unhealthy, false, 1, true},
	} {
		r := beats(failure.Failure{Kind: c.f}, c.away, c.n)
		r.want(c.name+": revoked", r.leaseOf("a") == "", c.dead)
		if g := r.last("a"); c.dead {
			r.want(c.name, [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseUnhealthy})
			r.want(c.name+": replaced", r.sum().Idle, 1)
		}
	}
	r := beats(failure.Failure{}, false, 0)
	if n := len(r.commandsOf(CmdHeartbeat)); n < 11 || n > 13 {
		t.Errorf("%d heartbeats in two minutes, at one every ten seconds", n)
	}
	none := standing(t, 1)
	none.run(2 * time.Minute)
	none.want("heartbeats of a provider without", len(none.commandsOf(CmdHeartbeat)), 0)
}

// TestWaitCauses: a fact says why callers wait, whenever that changes; so does the summary.
func TestWaitCauses(t *testing.T) {
	r := bareRig(t, conf(func(c *Config) { c.MaxInstances = 2; c.Throttle = policy.Throttle{Limit: 0.05, Burst: 1} }))
	r.start(true)
	why := func(want ...record.Cause) {
		t.Helper()
		var got []record.Cause
		for _, f := range r.factsOf(FactWait) {
			got = append(got, f.Cause)
		}
		r.want("told", got, want)
		r.want("in the summary", r.sum().WaitCause, want[len(want)-1])
	}
	r.acquire("a")
	why(record.CausePlugin)
	r.list()
	why(record.CausePlugin, record.CauseBoot)
	r.acquire("b")
	why(record.CausePlugin, record.CauseBoot, record.CauseThrottle)
	v, _ := r.core.Wait("a")
	r.want("the first of them", v.Cause, record.CauseBoot)
	v, _ = r.core.Wait("b")
	r.want("the second", [2]any{v.Cause, v.Position}, [2]any{record.CauseThrottle, 2})
	r.run(20*sec + sec)
	why(record.CausePlugin, record.CauseBoot, record.CauseThrottle, record.CauseBoot)
	r.acquire("c")
	why(record.CausePlugin, record.CauseBoot, record.CauseThrottle, record.CauseBoot, record.CauseMaxInstances)
	r.run(10 * sec)
	r.release("a")
	why(record.CausePlugin, record.CauseBoot, record.CauseThrottle, record.CauseBoot, record.CauseMaxInstances, record.CauseNone)
}

// TestCauseOfTheLastUse: an instance that becomes unhealthy during its last use is retired as unhealthy, not as used up.
func TestCauseOfTheLastUse(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"heartbeat":   func(r *rig) { r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy}) },
		"caller":      func(r *rig) { r.ask(EvRelease, "a", because(record.CauseUnhealthy)) },
		"the list":    func(r *rig) { r.cloud["i-1"].word = fleet.ListedTimeout; r.run(2 * sec) },
		"no reattach": func(r *rig) { r.do(Event{Kind: EvDetach, Key: "a"}); r.run(31 * sec) },
	} {
		r := standing(t, 1, func(c *Config) { c.MaxUses = 1 })
		r.acquire("a")
		end(r)
		retired := r.factsOf(FactRetire)
		want := map[string]record.Cause{
			"heartbeat": record.CauseUnhealthy, "caller": record.CauseUnhealthy, "the list": record.CauseProviderTimeout, "no reattach": record.CauseAbandoned,
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

// TestTwoReasonsToHoldOff: a successful create does not end the back-off after failed boots, and a successful boot does not end the one
// after refused creates.
func TestTwoReasonsToHoldOff(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.do(Event{Kind: EvAcquire, Key: "b", Ticket: 100})
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Failure: failure.Failure{Kind: failure.Transient}})
	for range 2 {
		r.core.fruitless(&machine{Instance: &fleet.Instance{ID: "x", Created: r.core.stamp}}, record.CauseBootOverdue)
	}
	r.do(Event{Kind: EvIncreased, Op: r.held[1].Op, Count: 1})
	r.want("back-off after two failed boots", [2]any{r.sum().BackoffFor, r.sum().Fruitless}, [2]any{10 * sec, 2})
	r.run(9 * sec)
	r.acquire("c")
	r.want("creates meanwhile", len(r.commandsOf(CmdIncrease)), 2)
	r.run(sec)
	r.want("and then", len(r.commandsOf(CmdIncrease)), 3)
}

// TestLaterPauseWins: of two pauses in force the later end counts, with its cause, in both orders and over a restart.
func TestLaterPauseWins(t *testing.T) {
	for _, first := range []bool{true, false} {
		r := newRig(t, conf())
		long := func() { r.core.startBackoff(33*sec, record.CauseThrottledAPI) }
		short := func() { r.core.startBackoff(5*sec, record.CauseBackoff) }
		if first {
			long()
			short()
		} else {
			short()
			long()
		}
		r.want("pause", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{33 * sec, record.CauseThrottledAPI})
		r.run(sec)
		r.restart(sec)
		r.want("after a restart", [2]any{r.sum().BackoffFor, r.sum().BackoffCause}, [2]any{31 * sec, record.CauseThrottledAPI})
	}
}

// TestUnreachableIdleInstanceDelaysNobody: an idle instance that nobody can reach counts for the idle target only. A caller that waits gets a create
// at once.
func TestUnreachableIdleInstanceDelaysNobody(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances = 1, 5 })
	serial := r.core.reg.Get("i-1").Serial
	r.do(Event{Kind: EvUnreachable, ID: "i-1", Serial: serial, On: true, Failure: failure.Failure{Kind: failure.Transient}})
	before := len(r.commandsOf(CmdIncrease))
	r.acquire("a")
	r.want("creates for the caller", len(r.commandsOf(CmdIncrease)), before+1)
	r.run(10 * sec)
	r.want("its lease", r.leaseOf("a"), "i-2/0")
}

// TestOverdueInstanceAppearsAfterAll: the first create is overdue, and the second is under way. What appears is counted for the second, but may
// be the first one's. So two instances are counted against max_instances until the second create's time is over too, and no longer.
func TestOverdueInstanceAppearsAfterAll(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 2 }))
	r.answer = func(Command, *Event) int { return 0 } // accepted, and late
	r.acquire("a")
	r.run(time.Minute - 1)
	r.every = 0
	r.listAt = r.now.Mono + 100*time.Hour
	r.run(30 * sec)
	r.want("requested again although in doubt", [2]int{len(r.commandsOf(CmdIncrease)), r.sum().Doubt}, [2]int{2, 1})
	r.spawn("first")
	r.every, r.listAt = sec, r.now.Mono+sec
	r.acquire("b")
	r.run(20 * sec)
	r.want("after many lists: doubt, creates", [2]int{r.sum().Doubt, len(r.commandsOf(CmdIncrease))}, [2]int{1, 2})
	r.want("one serves", r.leaseOf("a"), "first/0")
	r.spawn("second")
	r.run(10 * sec)
	r.want("the other one serves, and nothing is in doubt", [2]any{r.leaseOf("b"), r.sum().Doubt}, [2]any{"second/0", 0})
	r.want("creates", len(r.commandsOf(CmdIncrease)), 2)
}

// TestOverdueDoubtEnds: as above, but the first create never brings anything. Its place is free after the time of the second, even while other
// creates succeed all the time.
func TestOverdueDoubtEnds(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances, c.MaxUses = 3, 1 }))
	answers := 0
	r.answer = func(_ Command, ev *Event) int {
		if answers++; answers == 1 {
			return 0
		}
		return ev.Count
	}
	r.acquire("a")
	r.run(time.Minute - 1)
	r.every = 0
	r.listAt = r.now.Mono + 100*time.Hour
	r.run(30 * sec)
	r.every, r.listAt = sec, r.now.Mono+sec
	r.run(10 * sec)
	r.release("a")
	held := 0
	for n := range 60 {
		key := record.Key(fmt.Sprint("job-", n))
		r.acquire(key)
		r.run(7 * sec)
		r.release(key)
		r.run(3 * sec)
		if r.sum().Doubt > 0 {
			held++
		}
	}
	r.want("instances of other creates", len(r.made) > 50, true)
	r.want("held for more than three lists, and for no more than a deadline after a failed boot", held > 1 && held < 20, true)
	r.want("in doubt at the end", r.sum().Doubt, 0)
}
