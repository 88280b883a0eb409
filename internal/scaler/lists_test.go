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

// TestMissing: an instance that lists lack gets no new lease at once. It counts as lost only after three lists and twice the update
// interval, and its lease is revoked first.
func TestMissing(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances, c.Capacity = 2, 2 })
	r.acquire("a")
	r.cloud["i-1"].away = true
	r.run(2 * sec)
	r.want("after one list: open, lease", [2]any{r.sum().OpenSlots, r.leaseOf("a")}, [2]any{0, "i-1/0"})
	r.want("one short list does not double the fleet", len(r.made), 1)
	r.run(17 * sec)
	r.want("many lists, but less than twice the interval", r.leaseOf("a"), "i-1/0")
	r.want("it is no supply any more", len(r.made), 2)
	r.run(3 * sec)
	g := r.last("a")
	r.want("then", [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseMissing})
	r.want("its state", r.state("i-1"), record.Lost)
	r.want("deletes of an unknown instance", len(r.commandsOf(CmdDelete)), 0)
	r.cloud["i-1"].away = false
	r.run(2 * sec)
	r.want("listed again: back in service, prepared again", r.state("i-1"), record.Ready)
	r.want("told", len(r.factsOf(FactReturned)), 1)
	r.want("its uses stay counted", r.core.reg.Get("i-1").Uses, 1)
}

// standingAdopted returns a rig with one ready instance, i-1, that was adopted: its create returned an error and brought it nevertheless. So
// it is not certainly ours, and a pause holds back its delete.
func standingAdopted(t *testing.T, edit ...func(*Config)) *rig {
	t.Helper()
	edit = append([]func(*Config){withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Minute})}, edit...)
	r := bareRig(t, conf(edit...))
	r.answer = func(_ Command, ev *Event) int {
		r.answer = nil
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Throttled}
		return 1
	}
	r.start(true)
	r.list()
	r.run(10 * sec)
	r.want("i-1", [2]any{r.state("i-1"), r.core.reg.Get("i-1").Origin}, [2]any{record.Ready, record.Adopted})
	return r
}

// TestUsedUpComesBack: an instance serves its last use while deletes are paused, goes missing, and is listed again. No caller can use it,
// so it is deleted and makes room for another one.
func TestUsedUpComesBack(t *testing.T) {
	r := standingAdopted(t, func(c *Config) { c.MaxInstances, c.MaxUses = 1, 1 })
	r.acquire("a")
	for n := range 3 {
		r.spawn(record.ID(fmt.Sprint("x-", n)))
	}
	r.list()
	r.want("paused", r.sum().Paused, true)
	r.release("a")
	for n := range 3 { // else one of them would replace i-1
		delete(r.cloud, record.ID(fmt.Sprint("x-", n)))
	}
	r.cloud["i-1"].away = true
	r.run(30 * sec)
	r.want("its state", r.state("i-1"), record.Lost)
	r.cloud["i-1"].away = false
	r.run(foreignWindow)
	r.acquire("b")
	r.run(time.Minute)
	r.want("the job that came then", r.leaseOf("b"), "i-2/0")
	r.want("its state", r.state("i-1"), record.Gone)
}

// TestRetiredComesBack: an instance that was retired, and lost while deletes were paused, is not used again when it is listed again,
// neither before nor after a restart.
func TestRetiredComesBack(t *testing.T) {
	for _, restart := range []bool{false, true} {
		r := standingAdopted(t, func(c *Config) { c.MaxInstances = 1 })
		for n := range 3 {
			r.spawn(record.ID(fmt.Sprint("x-", n)))
		}
		r.list()
		r.want("paused", r.sum().Paused, true)
		r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseChangedHostKey})
		r.want("retired", r.state("i-1"), record.Draining)
		for n := range 3 { // else one of them would replace i-1
			delete(r.cloud, record.ID(fmt.Sprint("x-", n)))
		}
		r.cloud["i-1"].away = true
		r.run(30 * sec)
		r.want("its state", r.state("i-1"), record.Lost)
		if restart {
			r.restart(sec)
		}
		r.cloud["i-1"].away = false
		r.acquire("a")
		for range 700 {
			r.run(sec)
			if r.leaseOf("a") == "i-1/0" {
				t.Fatal("it was leased")
			}
		}
		r.want("gone", r.state("i-1"), record.Gone)
		r.want("a runs elsewhere", r.leaseOf("a"), "i-2/0")
	}
}

// TestBadWordWhileLost: a lost instance of which it is said that it must not be used is retired if it is listed again. The first bad word
// counts.
func TestBadWordWhileLost(t *testing.T) {
	r := standing(t, 1)
	r.cloud["i-1"].away = true
	r.run(30 * sec)
	r.want("its state", r.state("i-1"), record.Lost)
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Serial: r.core.reg.Get("i-1").Serial, Cause: record.CauseChangedHostKey})
	r.want("the cause is committed", r.core.reg.Get("i-1").Cause, record.CauseChangedHostKey)
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Serial: r.core.reg.Get("i-1").Serial, Cause: record.CauseUnhealthy})
	r.restart(time.Minute)
	r.cloud["i-1"].away = false
	before := len(r.factsOf(FactReady))
	r.run(30 * sec)
	r.want("it was never ready again", len(r.factsOf(FactReady)) > before && r.state("i-1") == record.Ready, false)
	r.want("its state and cause", [2]any{r.state("i-1"), r.core.reg.Get("i-1").Cause}, [2]any{record.Gone, record.CauseChangedHostKey})
}

// TestMissingBriefly: an instance that is listed again in time keeps everything.
func TestMissingBriefly(t *testing.T) {
	r := standing(t, 1)
	r.acquire("a")
	made := len(r.made)
	for range 20 {
		r.cloud["i-1"].away = true
		r.run(2 * sec)
		r.cloud["i-1"].away = false
		r.run(10 * sec)
	}
	r.want("lease", r.leaseOf("a"), "i-1/0")
	r.want("lost", len(r.factsOf(FactLost)), 0)
	if len(r.made) > made {
		t.Errorf("%d instances were created without need", len(r.made)-made)
	}
}

// TestShrinkingList: a list that loses more than half of more than four instances is trusted only after twice the time.
func TestShrinkingList(t *testing.T) {
	r := standing(t, 6)
	r.acquire("a")
	for n := 1; n <= 6; n++ {
		r.cloud[record.ID(fmt.Sprint("i-", n))].away = true
	}
	r.run(39 * sec)
	r.want("lost before twice the time", len(r.factsOf(FactLost)), 0)
	r.want("lease", r.leaseOf("a") != "", true)
	r.run(4 * sec)
	r.want("lost after it", len(r.factsOf(FactLost)), 6)
	few := standing(t, 3)
	for n := 1; n <= 3; n++ {
		few.cloud[record.ID(fmt.Sprint("i-", n))].away = true
	}
	few.run(23 * sec)
	few.want("three of three are not suspicious", len(few.factsOf(FactLost)), 3)
}

// TestListsAreShortOneByOne: what earlier lists lacked does not count for a later one. A single loss is found in the usual time.
func TestListsAreShortOneByOne(t *testing.T) {
	r := standing(t, 6)
	for range 12 {
		r.cloud["i-2"].away = true
		r.run(2 * sec)
		r.cloud["i-2"].away = false
		r.run(10 * sec)
	}
	r.cloud["i-3"].away = true
	r.run(23 * sec)
	r.want("lost", len(r.factsOf(FactLost)), 1)
}

// TestFailedListsProveNothing: while lists fail, no instance counts as missing.
func TestFailedListsProveNothing(t *testing.T) {
	r := standing(t, 1)
	r.every, r.listAt = 0, 1<<62
	for n := range 100 {
		r.do(Event{Kind: EvListFailed, Failure: failure.Failure{Kind: failure.Transient}})
		r.want("consecutive failures", r.sum().ListFailures, n+1)
		r.run(10 * sec)
	}
	r.want("ready", r.sum().Ready, 1)
	r.acquire("a")
	r.want("it still serves", r.leaseOf("a"), "i-1/0")
	r.list()
	r.want("failures after a list", r.sum().ListFailures, 0)
}

// TestDeleteIsConfirmed: an instance is gone when its delete was accepted and a list requested later lacks it. Until then it counts.
func TestDeleteIsConfirmed(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 1 })
	r.dying = 25 * sec
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.settle()
	r.run(20 * sec)
	r.want("being deleted: state, existing, made", [3]any{r.state("i-1"), r.core.reg.Existing(), len(r.made)}, [3]any{record.Deleting, 1, 1})
	r.run(8 * sec)
	r.want("gone, and replaced", [2]any{r.state("i-1"), len(r.made)}, [2]any{record.Gone, 2})
}

// TestDeleteRetries: a delete is sent again until the instance is gone, and raises an alarm after some time.
func TestDeleteRetries(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.DeletionRetry, c.DeletingAlarm = 30*sec, 2*time.Minute })
	r.fail = func(cmd Command) (failure.Failure, bool) {
		return failure.Failure{Kind: failure.Transient}, false
	}
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.run(5 * time.Minute)
	n := 0
	for _, c := range r.commandsOf(CmdDelete) {
		if c.ID == "i-1" {
			n++
		}
	}
	if n < 10 || n > 11 {
		t.Errorf("%d deletes in five minutes, at one every 30 s", n)
	}
	r.want("alarms", len(r.factsOf(FactAlarm)), 1)
	r.fail = nil
	r.run(time.Minute)
	r.want("gone in the end", r.state("i-1"), record.Gone)
	r.want("told", r.factsOf(FactGone)[0].Cause, record.CauseUnhealthy)
}

// TestDeleteWhileAway: while the plugin is absent, a delete is retried soon. A delete of an unknown instance is a success.
func TestDeleteWhileAway(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.DeletionRetry = 10 * time.Minute })
	away := true
	r.fail = func(cmd Command) (failure.Failure, bool) {
		if cmd.Kind != CmdDelete {
			return failure.Failure{}, false
		}
		if away {
			return failure.Failure{Kind: failure.Transient}, true
		}
		return failure.Failure{Kind: failure.NotFound}, false
	}
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.run(11 * sec)
	r.want("tries", len(r.commandsOf(CmdDelete)), 3)
	away = false
	delete(r.cloud, "i-1")
	r.run(10 * sec)
	r.want("gone", r.state("i-1"), record.Gone)
}

// TestZombie: an instance that is listed again after its deletion is deleted again, under the same record.
func TestZombie(t *testing.T) {
	r := standing(t, 1)
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.run(10 * sec)
	r.want("gone", r.state("i-1"), record.Gone)
	before := len(r.commandsOf(CmdDelete))
	r.spawn("i-1")
	r.run(2 * sec)
	r.want("deleted again", len(r.commandsOf(CmdDelete)), before+1)
	r.want("as", r.core.reg.Get("i-1").Cause, record.CauseZombie)
	r.run(10 * sec)
	r.want("gone again", [2]any{r.state("i-1"), len(r.cloud)}, [2]any{record.Gone, 1})
}

// TestSameNameAgain: a provider with a fixed list of hosts reuses a deleted ID. An open create explains it.
func TestSameNameAgain(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.answer = func(Command, *Event) int { r.spawn("host"); return 0 }
	r.acquire("a")
	r.run(10 * sec)
	r.want("first life", r.leaseOf("a"), "host/0")
	r.release("a")
	r.run(2 * time.Minute)
	r.want("gone", r.state("host"), record.Gone)
	r.acquire("b")
	r.run(10 * sec)
	r.want("second life", r.leaseOf("b"), "host/0")
	r.want("another instance", [2]any{r.last("b").Serial, r.last("b").Use}, [2]any{2, 1})
}

// TestProviderTakesItAway: an instance that the provider lists as deleting, deleted or timeout is retired and its leases are revoked, with
// the cause. A replacement that the provider's group starts by itself is adopted.
func TestProviderTakesItAway(t *testing.T) {
	for word, cause := range map[fleet.Listed]record.Cause{
		fleet.ListedDeleting: record.CauseProviderDeleting, fleet.ListedDeleted: record.CauseProviderDeleting,
		fleet.ListedTimeout: record.CauseProviderTimeout,
	} {
		r := standing(t, 1)
		r.acquire("a")
		r.cloud["i-1"].word = word
		r.run(2 * sec)
		g := r.last("a")
		r.want(word.String(), [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, cause})
		r.want("state", r.state("i-1") == record.Ready, false)
	}
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 2 })
	r.cloud["i-1"].word = fleet.ListedDeleting
	r.run(2 * sec)
	r.spawn("repaired")
	r.run(10 * sec)
	r.want("the group's own replacement", [2]any{r.state("repaired"), r.core.reg.Get("repaired").Origin}, [2]any{record.Ready, record.Adopted})
}

// TestStrays: an instance that stops running keeps its leases, gets no new one, and has as long as a boot to run again.
func TestStrays(t *testing.T) {
	r := standing(t, 1, deadlines, func(c *Config) { c.Capacity = 2 })
	r.acquire("a")
	r.cloud["i-1"].word = fleet.ListedSuspended
	r.run(time.Minute)
	r.want("lease, open there", [2]any{r.leaseOf("a"), r.core.reg.Get("i-1").Open()}, [2]any{"i-1/0", 0})
	r.cloud["i-1"].word = 0
	r.run(2 * sec)
	r.want("it came back", r.core.reg.Get("i-1").Open(), 1)
	r.run(3 * time.Minute)
	r.want("and stays", r.leaseOf("a"), "i-1/0")
	r.cloud["i-1"].word = fleet.ListedSuspended
	r.run(2*time.Minute + 3*sec)
	r.want("not in time", [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantRevoked, record.CauseUnhealthy})
}

// TestForeignPause: three unexpected instances within ten minutes pause creates. Deletes of what we created continue. When no more appear,
// the pause ends.
func TestForeignPause(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 20 })
	for n := range 3 {
		r.spawn(record.ID(fmt.Sprint("foreign-", n)))
		r.run(20 * sec)
		r.want("held", r.state(record.ID(fmt.Sprint("foreign-", n))), record.Unclaimed)
		r.want("paused", r.sum().Paused, n == 2)
	}
	made, deletes := len(r.made), len(r.commandsOf(CmdDelete))
	r.acquire("a", "b")
	r.want("the waiter is told", r.sum().WaitCause, record.CauseForeign)
	r.want("leases go on", r.leaseOf("a"), "i-1/0")
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.run(5 * time.Minute)
	r.want("creates meanwhile, deletes of our own", [2]int{len(r.made) - made, len(r.commandsOf(CmdDelete)) - deletes}, [2]int{0, 1})
	r.run(6 * time.Minute)
	r.want("over", r.sum().Paused, false)
	r.want("facts: on, off", [2]bool{r.factsOf(FactForeign)[0].On, r.factsOf(FactForeign)[1].On}, [2]bool{true, false})
	r.want("our own was deleted", r.state("i-1"), record.Gone)
	r.want("the waiter is served", r.leaseOf("b") != "", true)
	r.want("theirs were never touched", r.sum().Unclaimed, 3)
	delete(r.cloud, "foreign-0")
	r.run(30 * sec)
	r.want("one that left is forgotten", [2]any{r.sum().Unclaimed, r.state("foreign-0")}, [2]any{2, record.State(0)})
}

// TestUnknownWordsOfALifeOver: what the list still shows of instances that are gone changes nothing.
func TestUnknownWordsOfALifeOver(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Minute})))
	r.do(Event{Kind: EvAppeared, ID: "dead", Listed: fleet.ListedDeleted}, Event{Kind: EvMissing, ID: "never seen"})
	r.want("entered", r.state("dead"), record.State(0))
	r.run(10 * sec)
	r.dying = time.Hour
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy, Serial: 77})
	r.want("a report about another instance of the same ID", r.state("i-1"), record.Ready)
	r.do(Event{Kind: EvUnhealthy, ID: "nobody", Cause: record.CauseUnhealthy})
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy, Serial: 1})
	r.cloud["i-1"].word = fleet.ListedDeleted
	r.run(3 * sec)
	r.want("gone according to the list", r.state("i-1"), record.Gone)
	gone := len(r.factsOf(FactGone))
	r.cloud["i-1"] = &vm{word: fleet.ListedTimeout}
	r.run(2 * sec)
	r.cloud["i-1"].word = fleet.ListedDeleted
	r.run(2 * time.Minute)
	r.want("a zombie, ended once more", [2]any{len(r.factsOf(FactGone)), r.state("i-1")}, [2]any{gone + 1, record.Gone})
}
