package scaler

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestOneCallPerBatch: creates that are decided in one batch are one call and one intent.
func TestOneCallPerBatch(t *testing.T) {
	r := newRig(t, conf())
	b := r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAcquire, Key: "b", Ticket: 2}, Event{Kind: EvAcquire, Key: "c", Ticket: 3})
	r.want("commands", len(b.Commands), 1)
	r.want("count", b.Commands[0].Count, 3)
	r.want("intents committed", fmt.Sprintf("%+v", b.Changes.PutIntents[0]),
		fmt.Sprintf("%+v", record.Intent{Op: b.Commands[0].Op, Asked: 3, Open: 3, At: r.now.Wall.UnixNano()}))
	r.want("expecting", b.Expecting, true)
	r.run(10 * sec)
	r.want("intents when all came", len(collect(r.core.Intents)), 0)
	r.want("stored", len(r.saved.Intents), 0)
	r.want("expecting still", r.bt.Expecting, false)
}

// TestShownBeforeAnswered: a list may show instances before the create that made them returns.
func TestShownBeforeAnswered(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.spawn("")
	r.run(10 * sec)
	r.want("served", r.leaseOf("a"), "i-1/0")
	r.want("origin", r.core.reg.Get("i-1").Origin, record.Created)
	r.want("intents while the call is under way", len(collect(r.core.Intents)), 1)
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Count: 1})
	r.want("then", len(collect(r.core.Intents)), 0)
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Count: 1}) // a second answer is harmless
	r.want("created", len(r.commandsOf(CmdIncrease)), 1)
}

// TestPartialSuccess: instances that were certainly not created are requested again after the back-off. Those that were created are used.
func TestPartialSuccess(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 5 }))
	first := true
	r.answer = func(cmd Command, ev *Event) int {
		if first {
			first = false
			ev.Count, ev.Failure = 2, failure.Failure{Kind: failure.Quota}
		}
		return ev.Count
	}
	r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAcquire, Key: "b", Ticket: 2}, Event{Kind: EvAcquire, Key: "c", Ticket: 3},
		Event{Kind: EvAcquire, Key: "d", Ticket: 4})
	r.settle()
	s := r.sum()
	r.want("requested, doubt", [2]int{s.Requested, s.Doubt}, [2]int{2, 2})
	r.want("two of four wait for boots", s.Booting, 2)
	r.want("the rest for", s.WaitCause, record.CauseQuota)
	r.run(10*sec - 1)
	r.want("instances", len(r.made), 2)
	r.run(15 * sec)
	r.want("instances in the end", len(r.made), 4)
	r.want("all served", r.sum().Leases, 4)
}

// TestEachDoubtNeedsItsOwnLists: a part of a create was refused, and lists have ruled that part out. When the rest is overdue, it is in doubt
// until as many later lists came without it: until then it counts against max_instances.
func TestEachDoubtNeedsItsOwnLists(t *testing.T) {
	r := newRig(t, conf(deadlines, func(c *Config) { c.MaxInstances = 3 }))
	first := true
	r.answer = func(_ Command, ev *Event) int {
		if first {
			first = false
			ev.Count, ev.Failure = 2, failure.Failure{Kind: failure.Config}
		}
		return 0 // of what was accepted, nothing appears
	}
	r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAcquire, Key: "b", Ticket: 2}, Event{Kind: EvAcquire, Key: "c", Ticket: 3})
	r.settle()
	r.want("requested, doubt", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{2, 1})
	r.run(10 * sec)
	r.want("the refused one is ruled out", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{2, 0})
	r.run(50*sec + 2*r.every)
	r.want("overdue, two lists later", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{0, 2})
	r.run(3 * r.every)
	r.want("ruled out by three lists", r.sum().Doubt, 0)
}

// TestNewDoubtBeginsItsCountOfLists: lists have ruled out a part of a create. Then a deleted instance is listed again, so one of the rest may be that
// one: it needs as many lists as the first part did.
func TestNewDoubtBeginsItsCountOfLists(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 5 }))
	r.acquire("a")
	r.run(10 * sec)
	r.every, r.listAt = 0, 1<<62
	lists := func(n int) {
		for range n {
			r.run(sec)
			r.list()
		}
	}
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 2, failure.Failure{Kind: failure.Config}
		return 0 // what was accepted takes long
	}
	r.do(Event{Kind: EvAcquire, Key: "b", Ticket: 101}, Event{Kind: EvAcquire, Key: "c", Ticket: 102}, Event{Kind: EvAcquire, Key: "d", Ticket: 103})
	r.settle()
	lists(5)
	r.want("one is ruled out", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{2, 0})
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.settle()
	lists(1)
	r.want("deleted", r.state("i-1"), record.Gone)
	r.spawn("i-1").boots = 0
	for n := range r.core.cfg.MissingLists - 1 {
		lists(1)
		r.want(fmt.Sprint("in doubt after lists: ", n+1), [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{1, 1})
	}
	lists(1)
	r.want("ruled out", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{1, 0})
}

// TestAllAcceptedWithAnError: the provider accepts all instances and returns an error beside. When all have come, nothing is left of the create, also
// after a restart: a stranger is not taken for one of its instances.
func TestAllAcceptedWithAnError(t *testing.T) {
	r := newRig(t, conf())
	r.answer = func(cmd Command, ev *Event) int {
		ev.Failure = failure.Failure{Kind: failure.Transient}
		return cmd.Count
	}
	r.acquire("a")
	r.run(20 * sec)
	r.want("served by", r.leaseOf("a"), "i-1/0")
	r.want("creates that are open, stored", [2]int{len(collect(r.core.Intents)), len(r.saved.Intents)}, [2]int{0, 0})
	r.spawn("stranger")
	r.restart(sec)
	r.want("the stranger", r.core.reg.Get("stranger").Origin == record.Adopted, false)
}

// TestPartialSuccessAgainAndAgain: a provider that gives one instance per call is asked again after the first back-off each time. If a
// partial create counted as one more consecutive failure, the fifth instance would come after 155 s.
func TestPartialSuccessAgainAndAgain(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 6 }))
	r.answer = func(cmd Command, ev *Event) int {
		if cmd.Count > 1 {
			ev.Count, ev.Failure = 1, failure.Failure{Kind: failure.Capacity}
		}
		return ev.Count
	}
	r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAcquire, Key: "b", Ticket: 2}, Event{Kind: EvAcquire, Key: "c", Ticket: 3},
		Event{Kind: EvAcquire, Key: "d", Ticket: 4}, Event{Kind: EvAcquire, Key: "e", Ticket: 5})
	r.settle()
	for n := 1; n < 5; n++ {
		r.want("instances", len(r.made), n)
		if n < 4 {
			r.want("pause", [2]any{r.sum().BackoffFor <= 5*sec, r.sum().Refusals}, [2]any{true, 1})
		}
		r.run(5 * sec)
	}
	r.run(20 * sec)
	r.want("instances in the end", len(r.made), 5)
	r.want("all served", r.sum().Leases, 5)
}

// TestAmbiguousIsNotCreatedTwice: while it is unknown whether a create worked, nothing is created in its place until lists show it.
func TestAmbiguousIsNotCreatedTwice(t *testing.T) {
	for _, made := range []int{0, 1, 3} {
		r := newRig(t, conf(func(c *Config) { c.MaxInstances = 4 }))
		first := true
		r.answer = func(cmd Command, ev *Event) int {
			if first {
				first = false
				ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Transient}
				return made
			}
			return cmd.Count
		}
		r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAcquire, Key: "b", Ticket: 2}, Event{Kind: EvAcquire, Key: "c", Ticket: 3})
		r.settle()
		r.want("still supply", r.sum().Requested, 3)
		r.run(3*sec - 1)
		r.want("calls before lists showed the result", len(r.commandsOf(CmdIncrease)), 1)
		r.run(20 * sec)
		r.want(fmt.Sprintf("machines when %d of 3 had been made", made), [2]int{len(r.made), r.sum().Leases}, [2]int{3, 3})
		r.run(time.Hour + time.Minute)
		r.want("intents at last", len(collect(r.core.Intents)), 0)
	}
}

// TestListsAskedBeforeProveNothing: only lists that were requested after the answer count against a create in doubt.
func TestListsAskedBeforeProveNothing(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 4 }))
	r.every, r.listAt = 0, 1<<62
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Capacity}
		return 0
	}
	r.acquire("a")
	since := r.now.Mono - 1
	for range 10 {
		r.do(Event{Kind: EvListed, Since: since})
	}
	r.want("in doubt", r.sum().Doubt, 1)
	for range 3 {
		r.do(Event{Kind: EvListed, Since: r.now.Mono})
	}
	r.want("ruled out", r.sum().Doubt, 0)
	r.want("told", r.factsOf(FactIntent)[0].Cause, record.CauseMissing)
}

// TestAcceptedAfterItWasGivenUp: a create is answered only after its instance was given up on: the call took long. The provider accepted it, so the
// instance may appear from now on, and lists that were asked for before the answer prove nothing.
func TestAcceptedAfterItWasGivenUp(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.every, r.listAt = 0, 1<<62
	r.run(r.core.cfg.RequestedDeadline)
	r.want("given up", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{0, 1})
	r.now.Mono += sec
	for range 2 {
		r.do(Event{Kind: EvListed, Since: r.now.Mono})
	}
	r.now.Mono += sec
	asked := r.now.Mono - 1
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Count: 1})
	r.do(Event{Kind: EvListed, Since: asked})
	for n := range 3 {
		r.want(fmt.Sprintf("in doubt after %d lists", n), r.sum().Doubt, 1)
		r.do(Event{Kind: EvListed, Since: r.now.Mono})
	}
	r.want("ruled out", r.sum().Doubt, 0)
	r.spawn("late")
	r.list()
	r.want("taken in when it comes at last", r.core.reg.Get("late").Origin, record.Adopted)
}

// TestNothingLeftToRuleOut: the outcome of a create is unknown, and its instance appears before three lists came without it. Nobody is told that lists
// do not show it.
func TestNothingLeftToRuleOut(t *testing.T) {
	r := newRig(t, conf())
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Transient}
		return 1
	}
	r.acquire("a")
	r.run(20 * sec)
	r.want("served by", r.leaseOf("a"), "i-1/0")
	for _, f := range r.factsOf(FactIntent) {
		t.Errorf("told: %+v", f)
	}
}

// TestLateAfterError: an instance that appears although its create returned an error is adopted and used.
func TestLateAfterError(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 4 }))
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Config}
		return 0
	}
	r.acquire("a")
	r.spawn("ghost")
	r.run(2 * sec)
	i := r.core.reg.Get("ghost")
	r.want("adopted", [2]any{i.Origin, r.sum().Unclaimed}, [2]any{record.Adopted, 0})
	r.run(10 * sec)
	r.want("used", r.leaseOf("a"), "ghost/0")
	r.run(10 * time.Minute)
	r.want("unclaimed before a second one appears", r.sum().Unclaimed, 0)
	r.spawn("stranger")
	r.run(2 * sec)
	r.want("held", r.state("stranger"), record.Unclaimed)
	r.run(time.Hour)
	r.want("and never touched", r.state("stranger"), record.Unclaimed)
}

// TestDoubtCountsAgainstMax: instances that may still appear count against max_instances.
func TestDoubtCountsAgainstMax(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Throttled, RetryAfter: sec}
		return 0
	}
	r.every, r.listAt = 0, 1<<62
	r.acquire("a")
	r.run(30 * sec)
	r.want("calls", len(r.commandsOf(CmdIncrease)), 1)
	r.answer = nil
	for range 3 {
		r.list()
	}
	r.every, r.listAt = sec, r.now.Mono+sec
	r.run(10 * sec)
	r.want("served after it was ruled out", r.leaseOf("a"), "i-1/0")
}

// TestCrashBetweenCommitAndCall: the intent is stored, but the call may or may not have been made. In both cases nothing is created twice.
func TestCrashBetweenCommitAndCall(t *testing.T) {
	for _, called := range []bool{false, true} {
		r := newRig(t, conf(func(c *Config) { c.MaxInstances = 3 }))
		r.hold[CmdIncrease] = true
		r.acquire("a", "b")
		if called {
			r.spawn("")
		}
		r.restart(20 * sec)
		r.hold[CmdIncrease] = false
		r.want("remembered", len(collect(r.core.Intents)), map[bool]int{false: 2, true: 1}[called])
		r.acquire("a", "b")
		r.run(20 * sec)
		r.want(fmt.Sprintf("machines, leases, called %v", called), [2]int{len(r.cloud), r.sum().Leases}, [2]int{2, 2})
		r.want("nothing was held or removed", [2]int{r.sum().Unclaimed, len(r.factsOf(FactRetire))}, [2]int{0, 0})
		r.run(2 * time.Hour)
		r.want("intents", len(r.saved.Intents), 0)
	}
}

// TestIncreaseAnswersStale: an answer to an unknown create, or with absurd numbers, does no harm.
func TestIncreaseAnswersStale(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 2, IdleTime: time.Minute})))
	r.do(Event{Kind: EvIncreased, Op: 999, Count: 5})
	r.hold[CmdIncrease] = true
	r.acquire("a")
	op := r.held[len(r.held)-1].Op
	r.do(Event{Kind: EvIncreased, Op: op, Count: 1 << 40})
	r.want("more than asked", r.sum().Requested, 3)
	r.do(Event{Kind: EvIncreased, Op: op, Count: -7, Failure: failure.Failure{Kind: failure.Quota}})
	r.want("fewer than none", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{2, 1})
}

// TestRestartWithACreateThatBroughtAll: all instances of a create have appeared, and the manager is killed before it has an answer, or after one that did
// not say how many there are. Nothing is left of the create, so an instance of somebody else in the first list is not taken for one of its own.
func TestRestartWithACreateThatBroughtAll(t *testing.T) {
	for _, answered := range []bool{false, true} {
		r := newRig(t, conf())
		r.hold[CmdIncrease] = true
		r.acquire("a")
		if answered {
			r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Failure: failure.Failure{Kind: failure.Transient}})
		}
		r.spawn("")
		r.run(2 * sec)
		r.want("stored", [2]any{len(r.saved.Intents), r.core.reg.Get("i-1").Origin}, [2]any{1, record.Created})
		id := r.strangers(1)[0]
		r.restart(sec)
		r.want("forgotten", len(r.saved.Intents), 0)
		r.want("of somebody else", r.core.reg.Get(id).Origin, record.Preexisting)
	}
}

// TestSecondDoubtKeepsTheTimeOfTheFirst: after a restart, part of a create is in doubt, and an instance that it may have brought was counted for an older
// create. What is missing has its own time to appear, even if the rest of the create becomes overdue meanwhile.
func TestSecondDoubtKeepsTheTimeOfTheFirst(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.RequestedDeadline = 9, 20*time.Minute }))
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.run(sec)
	r.do(Event{Kind: EvAcquire, Key: "b", Ticket: 91}, Event{Kind: EvAcquire, Key: "c", Ticket: 92})
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Count: 1})
	last := r.held[len(r.held)-1]
	r.want("creates", [2]int{len(r.held), last.Count}, [2]int{2, 2})
	r.do(Event{Kind: EvIncreased, Op: last.Op, Count: 1, Failure: failure.Failure{Kind: failure.Quota}})
	r.want("requested, in doubt", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{2, 1})
	r.restart(19 * time.Minute)
	r.spawn("")
	r.run(10 * sec)
	r.want("one came, and may be of either", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{1, 1})
	r.run(10 * time.Minute)
	r.want("the rest is overdue", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{0, 2})
	r.run(9 * time.Minute)
	r.want("all have their time", r.sum().Doubt, 2)
	r.run(2 * time.Minute)
	r.want("no longer", r.sum().Doubt, 0)
}
