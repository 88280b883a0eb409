package scaler

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func (r *rig) reload(edit func(*Config)) {
	r.t.Helper()
	edit(&r.cfg)
	cfg := r.cfg
	r.do(Event{Kind: EvReload, Config: &cfg})
}

// TestLimitLowered: when a limit is lowered, ours or the provider's, idle instances above it go after idle_time, whatever the policy keeps.
// Then nothing changes any more. A limit that is raised again is used.
func TestLimitLowered(t *testing.T) {
	for name, limit := range map[string]func(n int) func(*Config){
		"max_instances":  func(n int) func(*Config) { return func(c *Config) { c.MaxInstances = n } },
		"the provider's": func(n int) func(*Config) { return func(c *Config) { c.ProviderMax = n } },
	} {
		r := standing(t, 4, func(c *Config) { c.MaxInstances, c.ProviderMax = 4, 4 })
		span := r.core.active.Settings.IdleTime
		r.reload(limit(2))
		r.run(span / 2)
		r.want(name+": within idle_time", r.sum().Ready, 4)
		r.run(span)
		r.want(name+": after it", [2]int{r.sum().Ready, len(r.cloud)}, [2]int{2, 2})
		for _, f := range r.factsOf(FactRetire) {
			r.want("why", f.Cause, record.CauseAboveLimit)
		}
		commands := len(r.commands)
		r.run(10 * span)
		r.want(name+": commands at rest", len(r.commands)-commands, 0)
		r.reload(limit(4))
		r.run(20 * sec)
		r.want(name+": raised again", r.sum().Ready, 4)
	}
}

// TestLimitLoweredUnderLoad: above the limit no running job is touched, and a queue of jobs does not keep the fleet there.
func TestLimitLoweredUnderLoad(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.Capacity, c.MaxInstances = 2, 10 }))
	var keys []record.Key
	for n := range 40 {
		keys = append(keys, record.Key(fmt.Sprintf("job-%02d", n)))
		r.acquire(keys[n])
	}
	r.run(30 * sec)
	r.want("leases", r.sum().Leases, 20)
	r.reload(func(c *Config) { c.MaxInstances = 3 })
	r.run(10 * time.Minute)
	r.want("no job is touched", [2]int{r.sum().Leases, len(r.factsOf(FactRevoke))}, [2]int{20, 0})
	for n := range 40 { // a job ends every minute, and another one comes
		for r.leaseOf(keys[0]) == "" {
			keys = append(keys[1:], keys[0])
		}
		r.release(keys[0])
		keys = keys[1:]
		keys = append(keys, record.Key(fmt.Sprintf("more-%02d", n)))
		r.acquire(keys[len(keys)-1])
		r.run(time.Minute)
	}
	r.want("instances, leases, revoked", [3]int{len(r.cloud), r.sum().Leases, len(r.factsOf(FactRevoke))}, [3]int{3, 6, 0})
}

// TestLimitLoweredBelowBoots: what is booting counts too, and goes before anything that holds a lease. The core does not wake without end
// for a surplus that it cannot remove.
func TestLimitLoweredBelowBoots(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleTime: time.Minute})))
	r.acquire("a", "b")
	r.run(10 * sec)
	r.boot = time.Hour
	r.acquire("c", "d")
	r.run(10 * sec)
	r.want("leased, booting", [2]int{r.sum().Leases, r.sum().Creating}, [2]int{2, 2})
	r.reload(func(c *Config) { c.MaxInstances = 2 })
	r.run(2 * time.Minute)
	r.want("leased, booting", [2]int{r.sum().Leases, r.sum().Creating}, [2]int{2, 0})
	r.want("failed boots", r.sum().Fruitless, 0)
	r.hold[CmdIncrease] = true
	r.reload(func(c *Config) { c.MaxInstances = 4 })
	r.want("asked for again", r.sum().Requested, 2)
	r.every = 0
	r.reload(func(c *Config) { c.MaxInstances = 1 })
	steps := len(r.journal)
	r.run(5 * time.Minute)
	if n := len(r.journal) - steps; n > 20 {
		t.Errorf("%d steps in five minutes without an event", n)
	}
}

// TestSurplusLeavesReservedSlots: an instance on which a reservation holds a slot stays, although it has fewer jobs than another one.
func TestSurplusLeavesReservedSlots(t *testing.T) {
	r := standing(t, 2, func(c *Config) { c.Capacity, c.MaxInstances, c.ReservationDeadline = 2, 2, time.Hour },
		withPolicy(policy.Settings{IdleCount: 4, IdleTime: 20 * sec, Preemptive: true}))
	r.acquire("a", "b", "c")
	r.want("reserved", r.ask(EvReserve, "d").Kind, GrantReserved)
	claimed := r.core.reg.Reservation("d").Claim
	r.want("jobs beside it", claimed.Leased(), 1)
	r.reload(func(c *Config) { c.MaxInstances = 1 })
	r.run(time.Minute)
	r.want("instances in service, on their way out", [2]int{r.sum().Ready, r.sum().Draining}, [2]int{1, 1})
	r.want("the reserved one", r.state(claimed.ID), record.Ready)
	r.want("the job that was promised a slot", r.acquire("d").ID, claimed.ID)
}

// TestUnclaimedDoNotDisplace: instances of unknown owner count against the limit, but ours do not give way to them.
func TestUnclaimedDoNotDisplace(t *testing.T) {
	r := standing(t, 2, func(c *Config) { c.MaxInstances = 2 })
	r.spawn("stranger")
	r.run(time.Hour)
	r.want("ours, unclaimed", [2]int{r.sum().Ready, r.sum().Unclaimed}, [2]int{2, 1})
}

// TestLimitIsJudgedByWholeLists: a list that brings a lost instance back and confirms the loss of another one leaves the fleet at its limit. So
// nothing is retired, although the list tells of the one that is back first.
func TestLimitIsJudgedByWholeLists(t *testing.T) {
	r := standing(t, 3, func(c *Config) {
		c.MaxInstances, c.Schedule = 3, always(policy.Settings{IdleCount: 3})
	})
	r.every = 0
	pass := func(lists int) {
		for range lists {
			r.run(10 * sec)
			r.list()
		}
	}
	ids := slices.Sorted(maps.Keys(r.cloud))
	back, goes := ids[0], ids[1]
	r.cloud[back].away = true
	pass(6)
	r.want("lost, and replaced", [2]any{r.state(back), r.sum().Ready}, [2]any{record.Lost, 3})
	r.cloud[goes].away = true
	pass(2)
	r.cloud[back].away = false
	pass(1)
	r.run(10 * sec)
	r.want("one is lost, the other is back", [3]any{r.state(goes), r.state(back), r.sum().Ready}, [3]any{record.Lost, record.Ready, 3})
	r.want("retired", len(r.factsOf(FactRetire)), 0)
}

// TestEndOfThePauseDeletesNothingThatIsLost: the list after which a pause of deletes ends also shows that an instance that waits for its delete
// is gone. No delete is sent: the name may belong to another instance soon.
func TestEndOfThePauseDeletesNothingThatIsLost(t *testing.T) {
	r := standingAdopted(t)
	r.every = 0
	id := slices.Sorted(maps.Keys(r.cloud))[0]
	for range foreignLimit {
		r.core.foreign = append(r.core.foreign, arrival{at: r.now.Mono})
	}
	r.core.paused = true
	r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
	r.want("its delete waits for the end of the pause", r.state(id), record.Draining)
	r.cloud[id].away = true
	for range 3 {
		r.now.Mono += foreignWindow / 3
		r.list()
	}
	r.want("the pause is over", r.core.paused, false)
	r.want("lost, without a delete", [2]any{r.state(id), len(r.commandsOf(CmdDelete))}, [2]any{record.Lost, 0})
}
