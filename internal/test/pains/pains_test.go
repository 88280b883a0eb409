package pains

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/explain"
	"github.com/taskscaler/taskscaler/internal/explain/explaintest"
	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestRunningMachineIsPruned: a job runs while the load falls, lists leave out its machine, and a heartbeat fails. The machine is not
// deleted before the job ends.
func TestRunningMachineIsPruned(t *testing.T) {
	p := follow(t, explain.Options{Instance: "i-1"}, policy.Settings{IdleTime: time.Minute})
	p.Acquire("job", "other")
	p.Run(10 * sec)
	p.want("the job runs", p.on("job"), "i-1")
	p.Release("other")
	p.Cloud["i-1"].Away = true
	p.List()
	p.List() // two incomplete lists
	p.Cloud["i-1"].Away = false
	p.Run(30 * time.Minute)
	p.want("deletes under the job", p.count(scaler.CmdDelete, "i-1"), 0)
	p.want("idle machines are removed meanwhile", p.count(scaler.CmdDelete, "i-2"), 1)
	p.want("the job still runs", p.on("job"), "i-1")
	p.Release("job")
	p.Run(2 * time.Minute)
	p.want("afterwards", p.count(scaler.CmdDelete, "i-1"), 1)
	p.says(explain.KindDelete, `i-2.*idle since .*idle_time is 1m`)
	p.silent(explain.KindRevoke)
	life := p.History.Instance()
	if len(life.Leases) != 1 || life.Leases[0].Key != "job" || life.Leases[0].Duration < 1800 || len(life.Removed) != 1 {
		t.Errorf("its life: %+v", life)
	}
}

// TestTwoManagers: instances of another manager are held and never deleted. After three of them in ten minutes, nothing is created or
// deleted, and explain says why.
func TestTwoManagers(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 1, IdleTime: time.Minute})
	p.Run(10 * sec)
	for n := range 3 {
		p.Cloud[record.ID(fmt.Sprintf("theirs-%d", n))] = &explaintest.Machine{}
		p.Run(20 * sec)
	}
	created := p.count(scaler.CmdIncrease, "")
	p.Acquire("a", "b", "c")
	p.Run(5 * time.Minute)
	p.want("creates while paused", p.count(scaler.CmdIncrease, ""), created)
	p.want("deletes of theirs", p.count(scaler.CmdDelete, "theirs-0")+p.count(scaler.CmdDelete, "theirs-1")+p.count(scaler.CmdDelete, "theirs-2"), 0)
	p.says(explain.KindUnclaimed, "theirs-0 is unclaimed: the state has no record of it")
	p.says(explain.KindPause, "another manager seems to use this group")
	p.says(explain.KindHold, "another manager seems to use the same group")
	p.Run(10 * time.Minute)
	p.want("when they stop coming", [2]bool{p.sum().Paused, p.on("c") != ""}, [2]bool{false, true})
}

// TestDeadMachineGetsJobs: the job on a reclaimed machine is told, and no job is sent to this machine again.
func TestDeadMachineGetsJobs(t *testing.T) {
	p := follow(t, explain.Options{Key: "job"}, policy.Settings{IdleCount: 2, IdleTime: time.Minute})
	p.Run(10 * sec)
	p.Acquire("job")
	dead := p.on("job")
	p.Cloud[dead].Word = fleet.ListedDeleting // a spot reclaim
	p.List()
	p.want("it has no lease any more", p.on("job"), "")
	p.says(explain.KindRevoke, `"job".*the provider is deleting it`)
	p.Acquire("job", "next", "third")
	p.Run(20 * sec)
	for _, key := range []record.Key{"job", "next", "third"} {
		if at := p.on(key); at == dead || at == "" {
			t.Errorf("%s is on %q", key, at)
		}
	}
	c := p.History.Key()
	if len(c.Leases) != 2 || c.Leases[0].Instance == c.Leases[1].Instance || !strings.Contains(c.Leases[0].End, "deleting") {
		t.Errorf("the key's story: %+v", c)
	}
}

// TestUnlistedMachineGetsJobs: a machine that the latest list leaves out gets no new job, although it may come back. Replace never gives
// the same machine.
func TestUnlistedMachineGetsJobs(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 2, IdleTime: time.Hour}, func(c *scaler.Config) { c.MaxInstances = 2 })
	p.Run(10 * sec)
	p.Cloud["i-1"].Away = true
	p.List()
	p.Acquire("a", "b")
	p.want("a and b", [2]record.ID{p.on("a"), p.on("b")}, [2]record.ID{"i-2", ""})
	p.Cloud["i-1"].Away = false
	p.List()
	p.want("back again", p.on("b"), "i-1")
	p.Release("b")
	p.Ask(scaler.EvReplace, "a")
	p.want("another than i-2", p.on("a"), "i-1")
}

// TestNeverToZero: with idle_count 0 and several slots per instance, a steady load creates few machines. When the load ends, so does the
// fleet.
func TestNeverToZero(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: 2 * time.Minute}, func(c *scaler.Config) { c.Capacity = 3 })
	for n := range 60 {
		key := record.Key(fmt.Sprint("job-", n))
		p.Acquire(key)
		p.Run(15 * sec)
		if n >= 3 {
			p.Release(record.Key(fmt.Sprint("job-", n-3)))
		}
	}
	if n := p.count(scaler.CmdIncrease, ""); n > 3 {
		t.Errorf("%d creates for a load of four jobs", n)
	}
	p.want("no deletes while it lasts", p.count(scaler.CmdDelete, ""), 0)
	p.Release("job-57", "job-58", "job-59")
	p.Run(5 * time.Minute)
	p.want("and then", [2]int{p.sum().Ready, len(p.Cloud)}, [2]int{0, 0})
	p.says(explain.KindDelete, `idle since .*at most \d+ slots? needed`)
	p.silent(explain.KindBackoff)
}

// TestSteadyLoadChurns: scale_factor 1.5, capacity 1, idle_time two job lengths: at most 40 creates for 100 jobs.
func TestSteadyLoadChurns(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: 2 * time.Minute, ScaleFactor: 1.5}, func(c *scaler.Config) { c.MaxInstances = 50 })
	for n := range 100 {
		p.Acquire(record.Key(fmt.Sprint("job-", n)))
		p.Run(time.Duration(8+n*7%9) * sec)
		if n >= 5 {
			p.Release(record.Key(fmt.Sprint("job-", n-5))) // each runs for about a minute
		}
	}
	if n := p.count(scaler.CmdIncrease, ""); n > 40 {
		t.Errorf("%d creates for 100 jobs", n)
	}
	p.says(explain.KindCreate, `needed \d+ = leased \d+ \+ waiting \d+ \+ idle target \d+`)
}

// TestHundredsWait: while hundreds of jobs wait, the wanted size does not fall, explain names the limit, and the core does nothing between
// events.
func TestHundredsWait(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 20 })
	keys := make([]record.Key, 300)
	for n := range keys {
		keys[n] = record.Key(fmt.Sprintf("job-%03d", n))
	}
	p.Acquire(keys...)
	p.Run(20 * sec)
	p.want("leased", p.sum().Leases, 20)
	before := p.History.Span().Rounds
	for range 100 {
		p.Run(sec)
		if s := p.sum(); s.Decision.Needed < 300 || s.Ready < 20 {
			t.Fatalf("%+v", s)
		}
	}
	if n := p.History.Span().Rounds - before; n > 100*3 { // a list, and the end of each second; no other rounds
		t.Errorf("%d rounds in 100 s in which nothing happened", n)
	}
	p.says(explain.KindHold, "max_instances is reached")
	if w, ok := p.Core.Wait("job-299"); !ok || w.Cause != record.CauseMaxInstances || w.Position != 280 {
		t.Errorf("%+v", w)
	}
	p.Release(keys[:20]...)
	p.want("the next are served at once, in order", [2]bool{p.on("job-020") != "", p.on("job-039") != ""}, [2]bool{true, true})
	p.want("nobody was passed over", p.on("job-040"), "")
}

// TestJobsPileUp: more jobs than slots create machines. No job is put on a full machine.
func TestJobsPileUp(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.Capacity = 2 })
	p.Acquire("a", "b")
	p.Run(10 * sec)
	p.want("one machine", p.sum().Ready, 1)
	p.Acquire("c", "d", "e")
	p.want("they wait, and are not put on it", p.sum().Leases, 2)
	p.Run(10 * sec)
	on := map[record.ID]int{}
	for _, k := range []record.Key{"a", "b", "c", "d", "e"} {
		on[p.on(k)]++
	}
	p.want("leases by machine", on, map[record.ID]int{"i-1": 2, "i-2": 2, "i-3": 1})
	p.says(explain.KindCreate, "asked the provider for 2 instances: needed 5 = leased 2 \\+ waiting 3 \\+ idle target 0")
}

// TestPreemptiveMode: a reservation is granted only for a free and ready slot, and no other key gets this slot.
func TestPreemptiveMode(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 1, IdleTime: time.Hour, Preemptive: true}, func(c *scaler.Config) { c.MaxInstances = 1 })
	p.want("nothing is ready yet", p.Ask(scaler.EvReserve, "early").Cause, record.CauseNoCapacity)
	p.Run(10 * sec)
	p.want("promised", p.Ask(scaler.EvReserve, "a").Kind, scaler.GrantReserved)
	p.want("not twice", p.Ask(scaler.EvReserve, "b").Cause, record.CauseNoCapacity)
	p.Acquire("thief")
	p.want("the promised slot is nobody else's", p.on("thief"), "")
	p.Acquire("a")
	p.want("it is a's", p.on("a"), "i-1")
	p.says(explain.KindDeny, `reservation of "b": no ready slot is free`)
}

// TestKilledOutsideAPeriod: when the period ends, the policy wants nothing. Idle machines are deleted; a busy machine stays until its job
// ends.
func TestKilledOutsideAPeriod(t *testing.T) {
	schedule, err := policy.Compile([]policy.Policy{
		{Periods: []string{"* 8-12 * * *"}, Settings: policy.Settings{IdleCount: 3, IdleTime: 10 * time.Minute}},
	}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	p := begin(t, policy.Settings{}, func(c *scaler.Config) { c.Schedule = schedule })
	p.Every = 10 * sec
	p.Run(10 * time.Minute)
	p.Acquire("night-shift")
	p.Run(2 * time.Hour) // 14:10
	p.want("only the busy one is left", [3]int{p.sum().Ready, p.sum().Leases, len(p.Cloud)}, [3]int{1, 1, 1})
	p.says(explain.KindPolicy, "no policy")
	p.says(explain.KindDelete, "idle since")
	p.Release("night-shift")
	p.Run(10 * time.Minute)
	p.want("and then none", len(p.Cloud), 0)
}

// TestBrokenMachineLeaks: a machine that never runs is given up. Its delete is repeated until the machine is gone, whatever the provider
// answers.
func TestBrokenMachineLeaks(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.CreatingDeadline, c.DeletionRetry = 2*time.Minute, 30*sec })
	p.Boot = 100 * time.Hour
	refusals := 0
	p.cloudSays(scaler.CmdDelete, func(_ scaler.Command, ev *scaler.Event) int {
		if refusals++; refusals <= 3 {
			ev.Failure = failure.Failure{Kind: failure.Transient, Message: "internal error"}
		}
		return 0
	})
	p.Acquire("job")
	p.Run(time.Minute)
	p.Boot = 5 * sec // boot time of the next machine
	p.Run(62 * sec)
	p.want("it is no capacity while it goes", [2]int{p.sum().Deleting, p.sum().Supply - p.sum().Requested}, [2]int{1, 0})
	p.Run(6 * time.Minute)
	p.want("asked four times", p.count(scaler.CmdDelete, "i-1"), 4)
	if _, there := p.Cloud["i-1"]; there {
		t.Error("i-1 is still there")
	}
	p.want("and another one serves", p.on("job"), "i-2")
	p.says(explain.KindDelete, `i-1.*did not run within instance_deadlines.creating.*requested 4 times.*gone`)
}

// TestLongPolling: reservations that never become jobs are no demand. The fleet falls to zero while they continue.
func TestLongPolling(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute, ScaleFactor: 2})
	p.Acquire("job")
	p.Run(time.Minute)
	p.Release("job")
	for n := range 120 {
		for poller := range 4 {
			key := record.Key(fmt.Sprintf("poll-%d-%d", poller, n))
			p.Ask(scaler.EvReserve, key)
			p.Run(sec)
			p.Ask(scaler.EvUnreserve, key)
		}
	}
	p.want("creates for pollers, and what is left", [2]int{p.count(scaler.CmdIncrease, "") - 3, len(p.Cloud)}, [2]int{0, 0})
	p.says(explain.KindDelete, "idle since")
}

// TestReadyCommandFails: creates and deletes do not repeat without end. After three tries there is one machine at a time, at growing
// intervals, and waiting callers are told.
func TestReadyCommandFails(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 5 })
	p.cloudSays(scaler.CmdPrepare, func(_ scaler.Command, ev *scaler.Event) int {
		ev.Failure = failure.Failure{Kind: failure.Config, Message: "docker: command not found (exit code 127)"}
		return 0
	})
	p.Acquire("a", "b", "c", "d", "e")
	p.Run(time.Hour)
	if n := p.count(scaler.CmdIncrease, ""); n > 5+12 {
		t.Errorf("%d creates in an hour", n)
	}
	p.says(explain.KindBreaker, `opens.*one instance at a time`)
	p.says(explain.KindBackoff, `exit code 127|ready command failed`)
	p.says(explain.KindHold, "breaker")
	w, _ := p.Core.Wait("e")
	p.want("e waits", w.Cause, record.CauseBreaker)
}

// TestSlowDeletions: machines that are being deleted count once against the limit. They are neither replaced nor deleted a second time.
func TestSlowDeletions(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances, c.MaxUses = 4, 1 })
	p.Dying = 20 * time.Minute
	p.Acquire("a", "b", "c", "d")
	p.Run(10 * sec)
	p.Release("a", "b")
	p.Acquire("e")
	p.Run(10 * time.Minute)
	p.want("two go, two run, none is made beyond the limit", [3]int{p.sum().Deleting, p.sum().Leases, p.count(scaler.CmdIncrease, "")}, [3]int{2, 2, 4})
	w, _ := p.Core.Wait("e")
	p.want("e waits", w.Cause, record.CauseMaxInstances)
	p.want("c and d run on", p.on("c") != "" && p.on("d") != "", true)
	p.Run(15 * time.Minute)
	p.want("then e is served", p.on("e") != "", true)
	p.says(explain.KindDelete, `served max_use_count.*gone`)
}

// TestPluginDiesBeforeTheLastDelete: a shutdown that deletes instances does not end before they are gone, even if the plugin was away.
func TestPluginDiesBeforeTheLastDelete(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 2, IdleTime: time.Hour})
	p.Run(10 * sec)
	away := true
	p.cloudSays(scaler.CmdDelete, func(_ scaler.Command, ev *scaler.Event) int {
		if away {
			ev.Failure, ev.Away = failure.Failure{Kind: failure.Transient, Message: "the plugin process is gone"}, true
		}
		return 0
	})
	p.want("done at once", p.Do(scaler.Event{Kind: scaler.EvShutdown, On: true}).Done, false)
	p.Run(10 * sec)
	p.want("instances", len(p.Cloud), 2)
	away = false
	p.Run(20 * sec)
	p.want("gone", len(p.Cloud), 0)
	p.want("done", p.Do(scaler.Event{Kind: scaler.EvWake}).Done, true)
	p.says(explain.KindDelete, `shutting down.*plugin`)
}

// TestOnlyPoliciesReload: limits, capacity and throttle also change while jobs run.
func TestOnlyPoliciesReload(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 1 })
	p.Acquire("a", "b", "c")
	p.Run(10 * sec)
	p.want("one at a time", p.sum().Leases, 1)
	cfg := p.Config
	cfg.Capacity, cfg.MaxInstances = 2, 2
	p.Do(scaler.Event{Kind: scaler.EvReload, Config: &cfg})
	p.want("the running machine has a second slot at once", p.sum().Leases, 2)
	p.Run(10 * sec)
	p.want("and a second one comes", [2]int{p.sum().Leases, p.sum().Ready}, [2]int{3, 2})
	p.says(explain.KindReload, "configuration")
}

// TestRestartForgetsTheFleet: after a crash, leases remain, nothing is deleted, and a caller that comes back gets its slot.
func TestRestartForgetsTheFleet(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 2, IdleTime: time.Minute})
	p.Run(10 * sec)
	p.Acquire("job")
	was := p.on("job")
	p.Restart(30 * sec)
	p.want("back", p.Ask(scaler.EvReattach, "job").ID, was)
	p.Run(30 * sec)
	p.want("deletes", p.count(scaler.CmdDelete, ""), 0)
	p.want("creates: the one for the job's slot", p.count(scaler.CmdIncrease, ""), 1)
	p.says(explain.KindStart, "its state has 2 instances, 1 lease")
}

// TestMachinesDieYoung: machines that disappear soon after they became ready, before they completed a job, do not cause creates without end
// either, even beside a machine that has worked for a long time.
func TestMachinesDieYoung(t *testing.T) {
	p := begin(t, policy.Settings{IdleTime: time.Hour}, func(c *scaler.Config) { c.UpdateInterval = time.Minute })
	p.Acquire("long")
	p.Run(10 * time.Minute)
	p.Acquire("a", "b", "c")
	for range 3600 {
		p.Run(sec)
		p.Core.Instances(func(v scaler.InstanceView) bool {
			if v.ID != p.on("long") && v.State == record.Ready && p.Now.Wall.UnixNano()-v.ReadyAt > int64(20*sec) {
				delete(p.Cloud, v.ID)
			}
			return true
		})
		for _, key := range []record.Key{"a", "b", "c"} { // a caller that lost its machine asks again
			if _, waits := p.Core.Wait(key); !waits && p.on(key) == "" {
				p.Acquire(key)
			}
		}
	}
	if n := p.count(scaler.CmdIncrease, ""); n > 30 {
		t.Errorf("%d creates in an hour", n)
	}
	p.says(explain.KindBackoff, "early failure of instance")
	p.says(explain.KindBreaker, "opens")
	p.want("the old one works on", p.on("long"), "i-1")
}

// TestLimitIsLowered: max_instances lowered below what the policy keeps idle takes effect on the idle fleet, and the explanation says why.
// See scaler.TestLimitLoweredUnderLoad for a fleet under load.
func TestLimitIsLowered(t *testing.T) {
	p := begin(t, policy.Settings{IdleCount: 4, IdleTime: time.Minute}, func(c *scaler.Config) { c.MaxInstances = 4 })
	p.Run(2 * time.Minute)
	cfg := p.Config
	cfg.MaxInstances = 2
	p.Do(scaler.Event{Kind: scaler.EvReload, Config: &cfg})
	p.Run(2 * time.Hour)
	p.want("instances two hours after max_instances = 2", len(p.Cloud), 2)
	p.want("deletes", p.count(scaler.CmdDelete, ""), 2)
	p.says(explain.KindDelete, `more instances exist than max_instances or the provider's limit allows`)
}
