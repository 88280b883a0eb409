package scaler

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestReattach: after a restart a lease waits for its caller, on the same slot; no other caller gets the slot.
func TestReattach(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances, c.ReattachAfterRestart = 2, 1, 5*time.Minute })
	r.acquire("a", "b")
	r.release("a")
	r.restart(time.Minute)
	r.want("leases after the restart", [2]any{r.leaseOf("b"), r.sum().Leases}, [2]any{"i-1/1", 1})
	views := collect(r.core.Instances)
	r.want("shown as detached", views[0].Leases[0].Detached, true)
	r.run(4 * time.Minute)
	g := r.ask(EvReattach, "b")
	r.want("reattached", fmt.Sprint(g.Kind, g.ID, g.Slot, g.Serial, g.Use), fmt.Sprint(GrantReattached, "i-1", 1, 1, 2))
	r.run(time.Hour)
	r.want("it stays", r.leaseOf("b"), "i-1/1")
	r.want("new leases take the other slot", r.acquire("c").Slot, 0)
}

// TestAbandoned: a lease that is not reattached in time is revoked. Its instance is retired, or kept with keep_instance_with_acquisitions.
func TestAbandoned(t *testing.T) {
	for _, keep := range []bool{false, true} {
		r := standing(t, 1, func(c *Config) { c.MaxInstances, c.KeepAbandoned, c.ReattachAfterRestart = 1, keep, 5*time.Minute })
		r.acquire("a")
		r.restart(10 * sec)
		r.run(5*time.Minute - 1)
		r.want("before", r.leaseOf("a"), "i-1/0")
		r.run(1)
		g := r.last("a")
		r.want("then", [2]any{g.Kind, g.Cause}, [2]any{GrantRevoked, record.CauseAbandoned})
		want := record.Deleting
		if keep {
			want = record.Ready
		}
		r.want(fmt.Sprintf("instance, keep %v", keep), r.state("i-1"), want)
		g = r.ask(EvReattach, "a")
		r.want("too late", g.Cause, record.CauseUnknownKey)
	}
}

// TestDetach: after a lost connection the caller has reattach_after_disconnect to reattach. Reattaching, or the end of the lease, ends that
// time.
func TestDetach(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances, c.ReattachAfterDisconnect = 3, 1, 30*sec })
	r.acquire("a", "b", "c")
	for _, k := range []record.Key{"a", "b", "c"} {
		r.do(Event{Kind: EvDetach, Key: k})
	}
	r.run(20 * sec)
	for _, k := range []record.Key{"a", "c"} { // a second report does not extend it, and nothing of it is left when the caller is back
		r.do(Event{Kind: EvDetach, Key: k})
	}
	r.want("back in time", r.ask(EvReattach, "a").Kind, GrantReattached)
	r.release("b")
	r.run(10 * sec)
	r.want("a stays", r.leaseOf("a"), "i-1/0")
	r.want("c was revoked", [2]any{r.last("c").Kind, r.last("c").Cause}, [2]any{GrantRevoked, record.CauseAbandoned})
	r.want("b was not", r.last("b").Kind, GrantReleased)
	r.want("the instance drains for a", r.state("i-1"), record.Draining)
	r.run(time.Minute)
	r.want("a stays for good", r.leaseOf("a"), "i-1/0")
	r.release("a")
	r.want("and goes with a's end", r.state("i-1"), record.Deleting)
}

// TestDetachUntil: a detach may say until when the caller can reattach. That may be sooner or later than reattach_after_disconnect, or over.
func TestDetachUntil(t *testing.T) {
	for _, patience := range []time.Duration{5 * sec, 2 * time.Minute, -sec} {
		r := standing(t, 1, func(c *Config) { c.MaxInstances, c.ReattachAfterDisconnect = 1, 30*sec })
		r.run(10 * time.Minute)
		r.acquire("a")
		r.do(Event{Kind: EvDetach, Key: "a", Deadline: r.now.Mono + patience})
		r.run(max(patience-1, 0))
		if patience > 0 {
			r.want(fmt.Sprint("just before ", patience), r.leaseOf("a"), "i-1/0")
		}
		r.run(1)
		r.want(fmt.Sprint("after ", patience), [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantRevoked, record.CauseAbandoned})
	}
}

// TestRestartMidLife: after a restart, instances in every state continue where they were.
func TestRestartMidLife(t *testing.T) {
	r := standing(t, 5, deadlines)
	r.run(youth)
	r.hold[CmdPrepare], r.hold[CmdDelete] = true, true
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy}) // deleting, and its replacement
	r.acquire("busy")
	id := r.last("busy").ID
	r.do(Event{Kind: EvUnhealthy, ID: "i-2", Cause: record.CauseUnhealthy})
	r.run(10 * sec)
	r.want("states before", [2]int{r.sum().Deleting, r.sum().Preparing}, [2]int{2, r.sum().Preparing})
	before := r.sum()
	if before.Preparing == 0 {
		t.Fatal("nothing is preparing")
	}
	r.hold[CmdPrepare], r.hold[CmdDelete] = false, false
	r.restart(5 * sec)
	r.ask(EvReattach, "busy")
	r.want("the lease", r.leaseOf("busy"), string(id)+"/0")
	r.run(20 * sec)
	r.want("deletes were sent again", [2]record.State{r.state("i-1"), r.state("i-2")}, [2]record.State{record.Gone, record.Gone})
	r.want("preparations too", r.sum().Preparing, 0)
	r.want("ready for the target", r.sum().OpenSlots >= 5, true)
	r.want("nothing preexisting", r.sum().Unclaimed, 0)
	r.want("ended well", r.core.Check(), error(nil))
}

// TestVanishedWhileAway: an instance that only the store knows must be confirmed as missing before it is given up.
func TestVanishedWhileAway(t *testing.T) {
	r := standing(t, 2)
	r.acquire("a")
	delete(r.cloud, r.last("a").ID)
	made := len(r.made)
	r.restart(sec)
	r.ask(EvReattach, "a")
	r.run(15 * sec)
	r.want("not yet", r.leaseOf("a") != "", true)
	r.run(10 * sec)
	r.want("lost", [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantRevoked, record.CauseMissing})
	r.run(10 * sec)
	r.want("after a is gone, nothing must be replaced", len(r.made), made)
	r.want("idle", r.sum().Idle, 2)
}

// TestAdoption: what happens to instances found at start without a record, depending on the store and on adopt_preexisting.
func TestAdoption(t *testing.T) {
	for _, c := range []struct {
		name  string
		known bool
		mode  AdoptMode
		want  record.State
	}{
		{"beside a known store it is removed", true, AdoptHold, record.Deleting}, {"beside an unknown one it is held", false, AdoptHold, record.Unclaimed},
		{"known, adopt", true, AdoptAll, record.Preparing}, {"unknown, adopt", false, AdoptAll, record.Preparing},
		{"known, remove", true, AdoptRemove, record.Deleting}, {"unknown, remove", false, AdoptRemove, record.Deleting},
	} {
		r := bareRig(t, conf(func(cfg *Config) { cfg.Adopt = c.mode }))
		r.boot, r.prep, r.dying = 0, 5*sec, time.Hour
		r.spawn("x")
		r.start(c.known)
		r.list()
		r.want(c.name, r.state("x"), c.want)
		if c.want == record.Unclaimed {
			r.want("it counts", r.core.reg.Existing(), 1)
			r.acquire("a")
			r.run(time.Hour)
			r.want("it is never leased or deleted", [2]any{r.leaseOf("a"), r.state("x")}, [2]any{"i-1/0", record.Unclaimed})
			r.want("one does not pause", r.sum().Paused, false)
		}
	}
}

// TestUnclaimedSettledByReload: a reload with another adopt_preexisting settles unclaimed instances.
func TestUnclaimedSettledByReload(t *testing.T) {
	for mode, want := range map[AdoptMode]record.State{AdoptHold: record.Unclaimed, AdoptAll: record.Ready, AdoptRemove: record.Gone} {
		r := bareRig(t, conf(withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Hour})))
		r.boot = 0
		r.spawn("x")
		r.start(false)
		r.list()
		cfg := r.cfg
		cfg.Adopt = mode
		r.do(Event{Kind: EvReload, Config: &cfg})
		r.run(10 * sec)
		r.want(fmt.Sprint("mode ", mode), r.state("x"), want)
		r.cfg = cfg
		r.restart(sec)
		r.run(10 * sec)
		r.want("after a restart too", r.state("x"), want)
	}
}

// TestFoundWithOpenIntent: while a create is unfinished, found instances cannot be told apart from its own, so all are adopted.
func TestFoundWithOpenIntent(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.spawn("x")
	r.spawn("y")
	r.restart(sec)
	r.want("both", [2]bool{r.state("x").Exists(), r.state("y").Exists()}, [2]bool{true, true})
	r.run(20 * sec)
	r.want("none held, none removed", [2]int{r.sum().Unclaimed, len(r.factsOf(FactDelete))}, [2]int{0, 0})
}

// TestReload: a new configuration applies from now on. What exists stays, and creates that were held back are tried again.
func TestReload(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances = 2, 1 }))
	r.acquire("a", "b", "c")
	r.run(10 * sec)
	r.want("before", [2]int{r.sum().Leases, r.sum().Waiters}, [2]int{2, 1})
	cfg := conf(func(c *Config) { c.Capacity, c.MaxInstances, c.MaxUses = 1, 2, 1 })
	r.cfg = cfg
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.run(10 * sec)
	r.want("both leases stand, the third has its own", [3]string{r.leaseOf("a"), r.leaseOf("b"), r.leaseOf("c")}, [3]string{"i-1/0", "i-1/1", "i-2/0"})
	r.release("a", "b")
	r.want("used up by the new limit", r.state("i-1"), record.Deleting)
	r.do(Event{Kind: EvReload}) // no configuration: nothing changes
	refused := newRig(t, conf())
	refused.answer = func(_ Command, ev *Event) int {
		ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Config}
		return 0
	}
	refused.acquire("a")
	refused.answer = nil
	refused.run(sec)
	refused.want("held off", refused.sum().BackoffCause, record.CauseConfig)
	refused.do(Event{Kind: EvReload, Config: &refused.cfg})
	refused.run(10 * sec)
	refused.want("tried again at once", refused.leaseOf("a"), "i-1/0")
}

// TestReloadThrottle: the throttle of the new configuration's policy is in force at once, not from its next change on.
func TestReloadThrottle(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{Throttle: &policy.Throttle{Limit: 5, Burst: 5}})))
	want := policy.Throttle{Limit: 2, Burst: 3}
	cfg := conf(withPolicy(policy.Settings{Throttle: &want}))
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.want("throttle", r.core.Throttle(), want)
}

// TestReloadHeartbeats: a reload can switch heartbeats on and off.
func TestReloadHeartbeats(t *testing.T) {
	r := standing(t, 1)
	cfg := r.cfg
	for _, on := range []bool{true, false} {
		cfg.Heartbeat = on
		r.do(Event{Kind: EvReload, Config: &cfg})
		before := len(r.commandsOf(CmdHeartbeat))
		r.run(time.Minute)
		r.want(fmt.Sprint("beats, on ", on), len(r.commandsOf(CmdHeartbeat)) > before, on)
	}
}

// TestShutdownKeeps: without delete_instances_on_shutdown, leases end normally and instances stay. The next manager continues with them.
func TestShutdownKeeps(t *testing.T) {
	r := standing(t, 2, func(c *Config) { c.MaxInstances = 2 })
	r.acquire("a", "b", "w")
	r.do(Event{Kind: EvShutdown})
	r.want("waiters are told", r.last("w").Cause, record.CauseShutdown)
	r.want("done with a lease", r.bt.Done, false)
	r.run(10 * time.Minute)
	r.want("nothing is removed", len(r.commandsOf(CmdDelete)), 0)
	r.do(Event{Kind: EvRevokeAll, Cause: record.CauseShutdown})
	r.want("the time to reattach is over", [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantRevoked, record.CauseShutdown})
	r.want("done", r.bt.Done, true)
	n := len(r.cloud)
	r.restart(time.Minute)
	r.want("taken up", [2]int{r.sum().Ready, len(r.cloud)}, [2]int{n, n})
}

// TestShutdownDeletes: with delete_instances_on_shutdown, all our instances are deleted, including booting ones, but no unclaimed ones.
// Leases end first.
func TestShutdownDeletes(t *testing.T) {
	r := standing(t, 2)
	r.acquire("a")
	r.boot = time.Hour
	r.acquire("b", "c")
	r.spawn("stranger")
	r.run(sec + 1)
	r.do(Event{Kind: EvShutdown, On: true})
	r.run(10 * sec)
	r.want("left while a and b run", [2]int{len(r.cloud), r.sum().Leases}, [2]int{3, 2})
	r.want("done", r.bt.Done, false)
	r.release("a", "b")
	r.run(10 * sec)
	r.want("left", [3]any{len(r.cloud), r.state("stranger"), r.bt.Done}, [3]any{1, record.Unclaimed, true})
	r.do(Event{Kind: EvShutdown, On: true})
	r.want("asked twice", r.bt.Done, true)
}

// TestShutdownGivesUp: after shutdown_deletion_retries refused deletes the shutdown ends.
func TestShutdownGivesUp(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.ShutdownDeletionRetries, c.ShutdownDeletionRetry = 3, 10*sec })
	r.fail = func(Command) (failure.Failure, bool) { return failure.Failure{Kind: failure.Transient}, false }
	r.do(Event{Kind: EvShutdown, On: true})
	r.run(20*sec - 1)
	r.want("after two", r.bt.Done, false)
	r.run(2)
	r.want("after three", [2]any{r.bt.Done, len(r.commandsOf(CmdDelete))}, [2]any{true, 3})
	r.want("the store keeps it for the next life", len(r.saved.Instances), 1)
}

// TestShutdownDoesNotCountTriesWhileAway: deletes that did not reach the provider use no try up, however many there are.
func TestShutdownDoesNotCountTriesWhileAway(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.ShutdownDeletionRetries, c.ShutdownDeletionRetry = 3, 10*sec })
	away := true
	r.fail = func(Command) (failure.Failure, bool) { return failure.Failure{Kind: failure.Transient}, away }
	r.do(Event{Kind: EvShutdown, On: true})
	r.run(10 * time.Minute)
	r.want("after ten minutes", [2]any{r.bt.Done, len(r.commandsOf(CmdDelete)) > 50}, [2]any{false, true})
	away = false
	r.run(60 * sec)
	r.want("three tries later", r.bt.Done, true)
}

// TestShutdownWaitsForCreates: a shutdown waits for a running create, so that no instance is left behind.
func TestShutdownWaitsForCreates(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.do(Event{Kind: EvShutdown, On: true})
	r.run(10 * sec)
	r.want("with a call under way", r.bt.Done, false)
	r.spawn("")
	r.do(Event{Kind: EvIncreased, Op: r.held[0].Op, Count: 1})
	r.run(10 * sec)
	r.want("left, done", [2]any{len(r.cloud), r.bt.Done}, [2]any{0, true})
}

// TestContradictoryStateIsRefused: no core is made from a contradictory state.
func TestContradictoryStateIsRefused(t *testing.T) {
	bad := record.Saved{Instances: []record.Instance{{ID: "a", Serial: 1, State: record.Deleting}}}
	if _, err := New(conf(), bad, true, Time{Wall: time.Unix(1e9, 0)}); err == nil {
		t.Error("New accepted a deleting instance whose delete was never requested")
	}
	twice := record.Saved{Instances: []record.Instance{{ID: "a", State: record.Ready}, {ID: "a", State: record.Ready}}}
	if _, err := New(conf(), twice, true, Time{Wall: time.Unix(1e9, 0)}); err == nil {
		t.Error("New accepted the same ID twice")
	}
}

// TestShutdownWaitsForDoubt: a refused create may have created an instance nevertheless. The shutdown is not done before three lists have
// ruled it out, and it deletes what appears meanwhile.
func TestShutdownWaitsForDoubt(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := newRig(t, conf())
		r.answer = func(_ Command, ev *Event) int {
			ev.Count, ev.Failure = 0, failure.Failure{Kind: failure.Capacity}
			return 0
		}
		r.acquire("a")
		r.want("doubt", r.sum().Doubt, 1)
		r.do(Event{Kind: EvShutdown, On: true})
		r.want("done at once", r.bt.Done, false)
		if late {
			r.spawn("")
		}
		r.run(20 * sec)
		r.want("left, doubt, done", [3]any{len(r.cloud), r.sum().Doubt, r.bt.Done}, [3]any{0, 0, true})
	}
}

// TestReasonSurvivesRestart: the words of the latest failure are there after a restart, shortened. A pause that waits for a correction ends
// at a start, as at a reload, but the breaker stays open and allows one try. Other pauses go on.
func TestReasonSurvivesRestart(t *testing.T) {
	long := strings.Repeat("é", maxLatest)
	for _, c := range []struct {
		kind  failure.Kind
		words string
		want  string
		pause bool
	}{
		{failure.Config, "no permission", "no permission", false}, {failure.Quota, long, long[:maxLatest] + "…", true},
		{failure.Capacity, "", "", true},
	} {
		for _, again := range []string{"restart", "reload"} {
			r := newRig(t, conf())
			r.answer = func(_ Command, ev *Event) int {
				ev.Count, ev.Failure = 0, failure.Failure{Kind: c.kind, Message: c.words}
				return 0
			}
			r.acquire("a")
			r.answer = nil
			r.want("words", r.sum().Latest, c.want)
			r.want("pause", r.sum().BackoffFor > 0, true)
			if again == "restart" {
				r.restart(sec)
			} else {
				r.reload(func(*Config) {})
			}
			r.want("words after a "+again, r.sum().Latest, c.want)
			r.want(fmt.Sprintf("pause after a %s, %s", again, c.kind), r.sum().BackoffFor > 0, c.pause && again == "restart")
		}
	}
	r := newRig(t, conf(deadlines))
	r.fail = func(cmd Command) (failure.Failure, bool) {
		return failure.Failure{Kind: failure.Config, Message: "the ready command failed: no disk"}, false
	}
	r.acquire("a", "b", "c")
	r.run(10 * sec)
	r.want("open", [2]any{r.sum().Breaker, r.sum().Latest}, [2]any{true, "the ready command failed: no disk"})
	for range 6 {
		r.run(time.Minute)
	}
	r.restart(sec)
	r.want("open after the restart", [2]any{r.sum().Breaker, r.sum().Latest}, [2]any{true, "the ready command failed: no disk"})
	r.fail = nil
	made := len(r.made)
	r.acquire("d")
	r.want("one try at once", len(r.made)-made, 1)
	r.run(20 * sec)
	r.want("closed by what works", [2]any{r.sum().Breaker, r.leaseOf("d") != ""}, [2]any{false, true})
}

// TestListOfTheRestartRulesNothingOut: the list that is asked for in the moment of the restart may be older than what a call of the previous run
// brings. So it does not count against an unfinished create.
func TestListOfTheRestartRulesNothingOut(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MissingLists, c.MaxInstances = 2, 1 }))
	r.hold[CmdIncrease] = true
	r.acquire("a")
	r.every = 0
	r.listAt = r.now.Mono + 100*time.Hour
	r.start(true)
	asked := r.now.Mono
	r.acquire("a")
	for n, at := range []time.Duration{asked, asked + sec, asked + 2*sec} {
		r.now = Time{Mono: at + sec, Wall: r.now.Wall.Add(sec)}
		r.do(Event{Kind: EvListed, Since: at})
		r.want(fmt.Sprint("unfinished after list ", n+1), r.sum().Requested+r.sum().Doubt, []int{1, 1, 1}[n])
		r.want(fmt.Sprint("creates after list ", n+1), len(r.commandsOf(CmdIncrease)), []int{1, 1, 2}[n])
	}
}
