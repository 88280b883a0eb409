package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// failList reports n failed lists, a second apart.
func (r *rig) failList(n int, away bool) {
	r.t.Helper()
	for range n {
		r.do(Event{Kind: EvListFailed, Away: away, Failure: failure.Failure{Kind: failure.Transient, Message: "no console"}})
		r.run(sec)
	}
}

// TestFailingListsAreSaid: a waiter whose instance nobody can see does not wait for its boot.
func TestFailingListsAreSaid(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.every, r.listAt, r.boot = 0, 1<<62, time.Minute
	r.acquire("a")
	why := func(what string, want record.Cause) {
		t.Helper()
		v, _ := r.core.Wait("a")
		r.want(what, [2]record.Cause{v.Cause, r.sum().WaitCause}, [2]record.Cause{want, want})
	}
	r.failList(FailingLists-1, false)
	why("few failures are no news", record.CauseBoot)
	r.failList(1, false)
	why("lists fail", record.CauseLists)
	r.failList(1, true)
	why("the plugin is away", record.CausePlugin)
	r.failList(1, false)
	r.acquire("b")
	v, _ := r.core.Wait("b")
	r.want("a waiter behind a limit still waits for the limit", v.Cause, record.CauseMaxInstances)
	v, _ = r.core.Wait("a")
	r.want("the one before it waits for lists", v.Cause, record.CauseLists)
	r.list()
	r.want("the end of the failures is said", r.factsOf(FactListed)[0].Count, FailingLists+2)
	v, _ = r.core.Wait("a")
	r.want("it boots", v.Cause, record.CauseBoot)
	r.list()
	r.want("once", len(r.factsOf(FactListed)), 1)
}

// TestUnreachable: a ready instance that nobody can reach gets no new lease and keeps those that it has.
func TestUnreachable(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances = 2, 2 }))
	r.acquire("a")
	r.run(20 * sec)
	serial := r.core.reg.Get("i-1").Serial
	tell := func(serial uint64, on bool) {
		r.do(Event{Kind: EvUnreachable, ID: "i-1", Serial: serial, On: on, Failure: failure.Failure{Kind: failure.Transient, Message: "no console"}})
	}
	tell(serial+1, true)
	r.want("an event about another instance", len(r.factsOf(FactUnreachable)), 0)
	tell(serial, true)
	tell(serial, true)
	r.want("facts", len(r.factsOf(FactUnreachable)), 1)
	r.acquire("b")
	r.want("its lease stays", r.leaseOf("a"), "i-1/0")
	r.run(20 * sec)
	r.want("the next one gets another instance", r.leaseOf("b"), "i-2/0")
	r.release("a")
	r.run(10 * time.Minute)
	r.want("it is not idle", r.sum().Ready, 2)
	r.acquire("c")
	r.want("the free slot of the other one", r.leaseOf("c"), "i-2/1")
	r.acquire("d")
	r.want("max_instances counts it", r.leaseOf("d"), "")
	tell(serial, false)
	r.settle()
	r.want("it gets leases again", r.leaseOf("d"), "i-1/0")
}

// TestFirstListThatFails: before the first list, a failure is news at once.
func TestFirstListThatFails(t *testing.T) {
	r := bareRig(t, conf())
	r.every = 0
	r.start(true)
	r.acquire("a")
	r.want("nothing failed", r.sum().WaitCause, record.CausePlugin)
	r.failList(1, false)
	r.want("it failed", [2]record.Cause{r.sum().WaitCause, r.sum().Held}, [2]record.Cause{record.CauseLists, record.CauseLists})
	r.failList(1, true)
	r.want("the plugin is away", [2]record.Cause{r.sum().WaitCause, r.sum().Held}, [2]record.Cause{record.CausePlugin, record.CausePlugin})
}

// TestFailedListsAreCounted: a fact for the 1st, the 10th, the 100th failure in a row.
func TestFailedListsAreCounted(t *testing.T) {
	r := newRig(t, conf())
	r.every, r.listAt = 0, 1<<62
	r.failList(250, false)
	var counts []int
	for _, f := range r.factsOf(FactListFailed) {
		counts = append(counts, f.Count)
	}
	r.want("facts", counts, []int{1, 10, 100})
	for n, want := range map[int]bool{0: false, 1: true, 2: false, 20: false, 99: false, 1000: true, 1001: false, 1100: false} {
		if Milestone(n) != want {
			t.Errorf("milestone %d: %v", n, !want)
		}
	}
}

// TestNothingIsLateWhileListsFail: an instance that nobody can see to boot is neither retired nor counted as a failed boot.
func TestNothingIsLateWhileListsFail(t *testing.T) {
	for name, seen := range map[string]bool{"requested": false, "creating": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, conf())
			r.boot = 30 * time.Minute
			r.acquire("a")
			if seen {
				r.list()
			} else {
				r.cloud["i-1"].away = true
			}
			r.every, r.listAt = 0, 1<<62
			for range 60 {
				r.failList(1, false)
				r.run(time.Minute)
			}
			r.want("failed boots", r.sum().Fruitless, 0)
			r.want("retired", len(r.factsOf(FactRetire)), 0)
			r.cloud["i-1"].away = false
			r.list()
			r.settle()
			r.want("the lease", r.leaseOf("a"), "i-1/0")
		})
	}
}

// TestLateAfterListsFailed: a deadline that passed while lists failed is judged soon after the first list.
func TestLateAfterListsFailed(t *testing.T) {
	r := newRig(t, conf())
	r.boot = 10 * time.Hour
	r.acquire("a")
	r.list()
	r.every, r.listAt = 0, 1<<62
	for range 20 {
		r.failList(1, false)
		r.run(time.Minute)
	}
	r.want("retired", len(r.factsOf(FactRetire)), 0)
	r.list()
	r.run(r.cfg.UpdateInterval + sec)
	r.want("retired", len(r.factsOf(FactRetire)), 1)
}

// TestOneFailedListPostponesDeadlines: a single failed list is enough. An instance that finished its boot, or appeared, just before its
// deadline is not late only because the list that would have shown it failed.
func TestOneFailedListPostponesDeadlines(t *testing.T) {
	for name, seen := range map[string]bool{"requested": false, "creating": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, conf(deadlines))
			deadline := r.cfg.WithDefaults().RequestedDeadline
			if seen {
				deadline = r.cfg.WithDefaults().CreatingDeadline
			}
			r.boot = deadline - 5*sec
			r.acquire("a")
			if seen {
				r.list()
			}
			r.every, r.listAt = 0, 1<<62
			r.run(deadline - 2*sec)
			r.failList(1, false)
			r.run(5 * sec)
			r.want("retired, given up", [2]int{len(r.factsOf(FactRetire)), len(r.factsOf(FactIntent))}, [2]int{0, 0})
			r.list()
			r.settle()
			r.want("lease, failed boots, creates", [3]any{r.leaseOf("a"), r.sum().Fruitless, len(r.made)}, [3]any{"i-1/0", 0, 1})
		})
	}
}
