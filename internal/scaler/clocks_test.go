package scaler

import (
	"fmt"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// awaited starts a manager again after the given time, without a list: the provider does not answer yet.
func (r *rig) awaited(away time.Duration) {
	r.t.Helper()
	r.now = Time{Mono: r.now.Mono + away, Wall: r.now.Wall.Add(away)}
	r.start(true)
	r.every = 0
	r.do(Event{Kind: EvWake})
}

// TestBootedWhileStopped: instances that booted while the manager was stopped are used, however long ago their deadline passed.
func TestBootedWhileStopped(t *testing.T) {
	for _, wait := range []time.Duration{0, 5 * time.Hour} { // until the first list
		r := bareRig(t, conf(withPolicy(policy.Settings{IdleCount: 4, IdleTime: time.Hour})))
		r.boot = 2 * time.Minute
		r.start(true)
		r.list()
		r.run(10 * sec)
		r.want("creating", r.sum().Creating, 4)
		r.awaited(30 * time.Minute) // they have been running for 28 of them
		r.run(wait)
		r.want("before the first list", [2]int{r.sum().Creating, len(r.commandsOf(CmdDelete))}, [2]int{4, 0})
		r.list()
		r.run(sec)
		r.want("deletes", len(r.commandsOf(CmdDelete)), 0)
		r.want("breaker and failures", [2]any{r.sum().Breaker, r.sum().Fruitless}, [2]any{false, 0})
		r.want("ready", r.sum().Ready, 4)
	}
}

// TestCreatedWhileStopped: the same for accepted creates whose instances had not appeared.
func TestCreatedWhileStopped(t *testing.T) {
	r := newRig(t, conf())
	r.every = 0
	for _, k := range []record.Key{"a", "b", "c"} {
		r.acquire(k)
		r.run(sec)
	}
	r.want("requested", r.sum().Requested, 3)
	r.awaited(30 * time.Minute)
	r.run(time.Hour)
	r.want("before the first list", [2]int{r.sum().Requested, r.sum().Fruitless}, [2]int{3, 0})
	r.list()
	r.run(sec)
	r.want("breaker and failures", [2]any{r.sum().Breaker, r.sum().Fruitless}, [2]any{false, 0})
	r.want("ready", r.sum().Ready, 3)
}

// TestOverdueAfterRestart: what the first list does not show as done has a short time left, and is then overdue. A deadline that is not
// over keeps its end.
func TestOverdueAfterRestart(t *testing.T) {
	for _, c := range []struct {
		away, left time.Duration
	}{{5 * time.Minute, 10 * time.Minute}, {14 * time.Minute, restartGrace}, {time.Hour, restartGrace}} {
		r := newRig(t, conf())
		r.boot = 100 * time.Hour
		r.acquire("a")
		r.run(sec + 1)
		r.want("creating", r.sum().Creating, 1)
		r.restart(c.away)
		r.run(c.left - 2*sec)
		r.want(fmt.Sprint("still booting after ", c.away), r.state("i-1"), record.Creating)
		r.run(3 * sec)
		r.want(fmt.Sprint("overdue after ", c.away), [2]any{r.state("i-1").Exists() && r.state("i-1") < record.Draining, r.sum().Fruitless}, [2]any{false, 1})
	}
	r := newRig(t, conf())
	r.answer = func(_ Command, ev *Event) int { return 0 } // accepted, but nothing comes
	r.acquire("a")
	r.run(sec)
	r.restart(time.Hour)
	r.run(restartGrace - sec)
	r.want("the create has its time", [2]int{r.sum().Requested, r.sum().Fruitless}, [2]int{1, 0})
	r.run(2 * sec)
	r.want("and is then overdue", [2]int{r.sum().Requested, r.sum().Fruitless}, [2]int{0, 1})
}

// TestPreparingAfterRestart: an instance that was being prepared is prepared again, with the whole time for it, however late the first list
// comes.
func TestPreparingAfterRestart(t *testing.T) {
	r := newRig(t, conf(deadlines))
	r.hold[CmdPrepare] = true
	r.acquire("a")
	r.run(10 * sec)
	r.want("preparing", r.sum().Preparing, 1)
	r.awaited(time.Hour)
	r.run(time.Hour)
	r.want("before the first list", r.sum().Preparing, 1)
	r.commands = nil
	r.list()
	r.want("time for the ready command", r.commandsOf(CmdPrepare)[0].Timeout, r.core.cfg.PreparingDeadline)
	r.run(r.core.cfg.PreparingDeadline - sec)
	r.want("within its time", r.state("i-1"), record.Preparing)
	r.run(2 * sec)
	r.want("overdue", r.sum().Fruitless, 1)
}

// TestReturnedWhileStopped: a lost instance that comes back while the manager is stopped is still known after an hour, and returns to service.
func TestReturnedWhileStopped(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 1 })
	r.cloud["i-1"].away = true
	r.run(50 * sec)
	r.want("lost", r.state("i-1"), record.Lost)
	r.cloud["i-1"].away = false
	for id := range r.cloud {
		if id != "i-1" {
			delete(r.cloud, id)
		}
	}
	r.restart(3 * time.Hour)
	r.run(10 * sec)
	r.want("in service", r.state("i-1"), record.Ready)
	r.want("deletes", len(r.commandsOf(CmdDelete)), 0)
}

// TestNothingIsRetiredBeforeTheFirstList: what the configuration says about found and used instances waits for the first list.
func TestNothingIsRetiredBeforeTheFirstList(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 1 })
	r.acquire("a")
	r.release("a")
	r.cfg.MaxUses = 1
	r.awaited(time.Hour)
	r.run(time.Hour)
	r.want("used up, before the first list", r.state("i-1"), record.Ready)
	r.list()
	r.want("after it", r.state("i-1"), record.Deleting)

	r = bareRig(t, conf())
	r.spawn("x")
	r.start(false)
	r.list()
	for mode, want := range map[AdoptMode]record.State{AdoptAll: record.Ready, AdoptRemove: record.Gone} {
		r.cfg.Adopt = mode
		old := r.saved
		r.saved = record.Saved{Meta: old.Meta, Instances: append([]record.Instance(nil), old.Instances...)}
		r.awaited(time.Hour)
		r.run(time.Hour)
		r.want("unclaimed, before the first list", r.state("x"), record.Unclaimed)
		r.every = sec
		r.list()
		r.run(5 * sec)
		r.want(fmt.Sprint("after it, mode ", mode), r.state("x"), want)
		r.saved = old
		r.spawn("x")
	}
}

// TestAlarmAfterRestart: the time in which the manager was stopped raises no alarm about a delete. That the next request does not help does.
func TestAlarmAfterRestart(t *testing.T) {
	r := standing(t, 1)
	r.fail = func(cmd Command) (failure.Failure, bool) { return failure.Failure{Kind: failure.Transient}, false }
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
	r.restart(30 * time.Hour)
	r.run(sec)
	r.want("at the start", len(r.factsOf(FactAlarm)), 0)
	r.run(2 * time.Minute)
	r.want("when it does not help", len(r.factsOf(FactAlarm)), 1)
}

// TestHeartbeatsOfDraining: the health of an instance that only finishes its leases is watched, after a restart too, unless heartbeats are
// switched off.
func TestHeartbeatsOfDraining(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Heartbeat, c.Capacity, c.MaxInstances = true, 2, 1 })
	r.acquire("a", "b")
	r.do(Event{Kind: EvDetach, Key: "b"})
	r.run(31 * sec)
	r.want("draining", r.state("i-1"), record.Draining)
	beats := func(d time.Duration) int {
		before := len(r.commandsOf(CmdHeartbeat))
		r.run(d)
		return len(r.commandsOf(CmdHeartbeat)) - before
	}
	r.want("beats", beats(time.Minute) > 3, true)
	r.restart(time.Minute)
	r.ask(EvReattach, "a")
	r.want("beats after a restart", beats(time.Minute) > 3, true)
	r.hold[CmdHeartbeat] = true
	r.run(30 * sec)
	cfg := r.cfg
	cfg.Heartbeat = false
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.hold[CmdHeartbeat] = false
	for _, cmd := range r.held { // an answer that was under way starts no further one
		r.do(Event{Kind: EvBeat, Op: cmd.Op, ID: cmd.ID, Serial: cmd.Serial})
	}
	r.want("beats after they were switched off", beats(5*time.Minute), 0)
	r.want("the lease", r.leaseOf("a") != "", true)
	cfg.Heartbeat = true
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.want("beats after they were switched on", beats(time.Minute) > 3, true)
}

// TestReattachedUse: a caller that takes its lease up again is told the same use of the instance as at the grant, after a restart too.
func TestReattachedUse(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.Capacity, c.MaxInstances = 3, 1 })
	r.acquire("gone")
	r.release("gone")
	want := map[record.Key]int{}
	for _, k := range []record.Key{"a", "b", "c"} {
		want[k] = r.acquire(k).Use
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			r.restart(sec)
		}
		for k, use := range want {
			r.want(fmt.Sprint("use of ", k), r.ask(EvReattach, k).Use, use)
		}
	}
	for n := range r.saved.Instances[0].Leases { // as an earlier release stored it
		r.saved.Instances[0].Leases[n].Use = 0
	}
	r.restart(sec)
	r.want("use that was not stored", r.ask(EvReattach, "a").Use, 4)
}
