package scaler

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// badImage makes every preparation fail while *bad is true.
func badImage(r *rig, bad *bool) {
	r.fail = func(c Command) (failure.Failure, bool) {
		if c.Kind == CmdPrepare && *bad {
			return failure.Failure{Kind: failure.Config, Message: "the ready command failed"}, false
		}
		return failure.Failure{}, false
	}
}

// TestRunawayBreaker: instances that all fail are not created again and again. One at a time is tried, at growing intervals, until one
// works.
func TestRunawayBreaker(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 8, IdleTime: time.Minute})))
	bad := true
	badImage(r, &bad)
	r.run(9 * sec)
	r.want("all wanted instances were tried at once", len(r.made), 8)
	r.want("open", r.sum().Breaker, true)
	on := r.factsOf(FactBreaker)
	r.want("said once", len(on), 1)
	r.want("what it said", [2]any{on[0].On, on[0].Count}, [2]any{true, 3})
	r.run(time.Hour)
	if n := len(r.made) - 8; n < 7 || n > 12 { // 5, 10, 20 … 600 s apart, plus a boot each
		t.Errorf("%d instances were tried in an hour", n)
	}
	for n := 9; n < len(r.made); n++ {
		if gap := r.made[n] - r.made[n-1]; gap < r.made[n-1]-r.made[n-2]-sec && gap < 10*time.Minute {
			t.Errorf("try %d came %v after the previous one, which came %v after its own predecessor", n, gap, r.made[n-1]-r.made[n-2])
		}
	}
	r.want("held by", r.sum().Held, record.CauseBreaker)
	bad = false
	r.run(12 * time.Minute)
	r.want("closed by the canary that worked", [3]any{r.sum().Breaker, r.sum().Fruitless, r.sum().Ready}, [3]any{false, 0, 8})
	r.want("and said so", len(r.factsOf(FactBreaker)), 2)
}

// TestCanaryIsAlone: while the breaker is open, nothing is created beside the one instance that is tried, even if callers wait.
func TestCanaryIsAlone(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 3, IdleTime: time.Minute})))
	bad := true
	badImage(r, &bad)
	r.run(10 * sec)
	r.acquire("a", "b", "c", "d")
	r.boot = 30 * sec
	for range 600 {
		r.run(sec)
		if s := r.sum(); s.Breaker && s.Creating+s.Preparing+s.Requested > 1 {
			t.Fatalf("%d instances boot at the same time", s.Creating+s.Preparing+s.Requested)
		}
	}
	w, _ := r.core.Wait("d")
	r.want("what the last waiter waits for", w.Cause, record.CauseBreaker)
}

// TestOneTryIsOneStep: instances that were booting at the same time count as one try, however many there were.
func TestOneTryIsOneStep(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 9, IdleTime: time.Minute})))
	bad := true
	badImage(r, &bad)
	r.run(9 * sec)
	for _, f := range r.factsOf(FactFruitless) {
		r.want("pause after "+string(f.ID), f.Took, 5*sec)
	}
	r.want("consecutive failed boots", r.sum().Fruitless, 9)
}

// TestTriesOverlap: an instance that was on its way when the last one failed belongs to the same try, also if that last one was of the first.
func TestTriesOverlap(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdPrepare] = true
	r.acquire("a", "b")
	r.run(10 * sec)
	fail := func(id record.ID) {
		for _, c := range r.held {
			if c.ID == id {
				r.do(Event{Kind: EvPrepared, Op: c.Op, ID: c.ID, Serial: c.Serial, Failure: failure.Failure{Kind: failure.Config}})
			}
		}
	}
	fail("i-1")
	r.run(15 * sec) // the pause, and the boot of another one
	r.want("it is prepared", r.state("i-3"), record.Preparing)
	fail("i-2")
	fail("i-3")
	for _, f := range r.factsOf(FactFruitless) {
		r.want("pause after "+string(f.ID), f.Took, 5*sec)
	}
	r.want("failed boots", r.sum().Fruitless, 3)
}

// TestDiedYoung: instances that become ready and fail before they completed a job open the breaker too. Only one that survives closes it.
func TestDiedYoung(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 3, IdleTime: time.Minute})))
	kill := func() {
		for id := range r.cloud {
			if i := r.core.reg.Get(id); i != nil && i.State == record.Ready {
				r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
			}
		}
	}
	r.run(10 * sec)
	r.want("ready", r.sum().Ready, 3)
	kill()
	r.want("open", [2]any{r.sum().Breaker, r.sum().DiedYoung}, [2]any{true, 3})
	r.want("as such", r.factsOf(FactFruitless)[0].On, true)
	r.run(20 * sec)
	r.want("the canary is ready, and nothing beside it", [3]any{r.sum().Ready, existing(r), r.sum().Breaker}, [3]any{1, 1, true})
	kill()
	r.run(25 * sec)
	r.want("the next one", [2]int{r.sum().Ready, r.sum().DiedYoung}, [2]int{1, 4})
	r.run(youth - 20*sec)
	r.want("not yet", r.sum().Breaker, true)
	r.run(30 * sec)
	r.want("it lives", [3]any{r.sum().Breaker, r.sum().DiedYoung, r.sum().Ready}, [3]any{false, 0, 3})
}

// TestWorkProves: a job that is released normally closes the breaker before the instance has survived its youth.
func TestWorkProves(t *testing.T) {
	r := newRig(t, conf())
	for n := range 3 {
		key := record.Key([]string{"a", "b", "c"}[n])
		r.acquire(key)
		r.run(time.Minute)
		r.ask(EvRelease, key, func(ev *Event) { ev.Cause = record.CauseChangedHostKey })
		r.run(time.Minute)
	}
	r.want("open", r.sum().Breaker, true)
	r.acquire("d", "e")
	r.run(30 * sec)
	r.want("d runs, e waits", [2]any{r.leaseOf("d") != "", r.leaseOf("e")}, [2]any{true, ""})
	r.release("d")
	r.want("closed", [2]any{r.sum().Breaker, r.sum().DiedYoung}, [2]any{false, 0})
}

// TestOldMachinesDoNotDieYoung: the loss of an instance that completed a job, or survived its youth, does not count as an early failure.
func TestOldMachinesDoNotDieYoung(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 4, IdleTime: time.Minute})))
	r.run(youth + 10*sec)
	for _, id := range []record.ID{"i-1", "i-2", "i-3", "i-4"} {
		r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
	}
	r.want("early failures, breaker open", [2]any{r.sum().DiedYoung, r.sum().Breaker}, [2]any{0, false})
}

// TestBreakerSurvivesRestart: neither a restart nor a reload creates a fleet of bad instances. A reload allows one try at once.
func TestBreakerSurvivesRestart(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 5, IdleTime: time.Minute})))
	bad := true
	badImage(r, &bad)
	r.run(10 * time.Minute)
	made := len(r.made)
	r.restart(sec)
	r.want("open after a restart", r.sum().Breaker, true)
	r.run(time.Minute)
	if n := len(r.made) - made; n > 1 {
		t.Errorf("%d instances were tried in the minute after a restart", n)
	}
	r.run(10 * time.Minute)
	for existing(r) > 0 { // until the current try has failed
		r.run(sec)
	}
	made = len(r.made)
	cfg := r.cfg
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.settle()
	r.want("tried at once, alone", [2]any{len(r.made) - made, r.sum().Breaker}, [2]any{1, true})
}

// TestHoldIsSaid: one fact says what holds back a needed create, with the numbers.
func TestHoldIsSaid(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 2 }))
	r.acquire("a", "b")
	r.want("nothing is held", len(r.factsOf(FactHold)), 0)
	r.acquire("c")
	r.acquire("d")
	f := r.factsOf(FactHold)
	if len(f) != 1 || f[0].Cause != record.CauseMaxInstances || f[0].Count != 1 || f[0].Decision.BoundBy != policy.BoundMaxInstances {
		t.Fatalf("%+v", f)
	}
	r.run(10 * sec)
	r.release("a")
	r.release("b")
	r.want("not held any more", r.sum().Held, record.CauseNone)
}

// TestFactsNameTheirEvent: a fact names the event that caused it, among those that were stepped together.
func TestFactsNameTheirEvent(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	b := r.do(Event{Kind: EvDetach, Key: "nobody"}, Event{Kind: EvAcquire, Key: "a", Ticket: 7}, Event{Kind: EvAcquire, Key: "a", Ticket: 8})
	for _, f := range b.Facts {
		want := map[FactKind]int{FactCreate: 1, FactDeny: 2, FactWait: 1}[f.Kind]
		r.want(f.Kind.String(), f.Event, want)
	}
	b = r.do(Event{Kind: EvRelease, Key: "nobody", Ticket: 9})
	r.want("counted afresh", b.Facts[0].Event, 0)
}

// existing returns the number of instances that exist or may still appear, in any state.
func existing(r *rig) int { return r.core.reg.Existing() }

// killReady makes n ready instances unhealthy.
func (r *rig) killReady(n int) {
	for _, id := range slices.Sorted(maps.Keys(r.cloud)) {
		if r.state(id) == record.Ready && n > 0 {
			n--
			r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
		}
	}
}

// TestCanaryAcrossRestart: an instance on trial that survives a restart of the manager closes the breaker like any other.
func TestCanaryAcrossRestart(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Minute})))
	for range 3 {
		r.run(40 * sec)
		r.killReady(1)
	}
	r.run(40 * sec)
	r.want("open, and one is on trial", [2]any{r.sum().Breaker, r.sum().Ready}, [2]any{true, 1})
	r.restart(sec)
	r.run(youth - 20*sec)
	r.want("not yet", r.sum().Breaker, true)
	r.run(20 * sec)
	r.want("closed", [2]any{r.sum().Breaker, r.sum().Ready}, [2]any{false, 1})
}

// TestOldMachinesProveNothing: jobs that end on an instance that is older than the first early failure say nothing about new instances. So
// a bad image opens the breaker on a busy fleet too.
func TestOldMachinesProveNothing(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 4, IdleTime: time.Minute}), func(c *Config) { c.Capacity = 2 }))
	r.run(youth + 30*sec)
	r.acquire("stays", "comes and goes")
	old, _, _ := r.core.Lease("stays")
	r.want("both on one", r.leaseOf("comes and goes"), string(old)+"/1")
	made := len(r.made)
	for range 120 {
		for _, id := range slices.Sorted(maps.Keys(r.cloud)) {
			if id != old && r.state(id) == record.Ready {
				r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
			}
		}
		r.release("comes and goes")
		r.acquire("comes and goes")
		r.run(5 * sec)
	}
	if n := len(r.made) - made; n > 15 || !r.sum().Breaker {
		t.Errorf("%d instances in ten minutes, breaker open: %v", n, r.sum().Breaker)
	}
}

// TestSiblingLives: if one instance of a try survives, the image works, even though no more instances are needed.
func TestSiblingLives(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 4, IdleTime: time.Minute})))
	r.run(15 * sec)
	r.killReady(3)
	r.want("open", [2]any{r.sum().Breaker, r.sum().Ready}, [2]any{true, 1})
	cfg := conf(withPolicy(policy.Settings{IdleCount: 1, IdleTime: time.Minute}))
	r.do(Event{Kind: EvReload, Config: &cfg})
	r.run(youth)
	r.want("closed", [2]any{r.sum().Breaker, r.sum().Ready}, [2]any{false, 1})
}

// TestVanishYoung: instances that vanish half a minute after they became ready are early failures, although lists confirm only later that
// they are gone. An instance that the lists lack has not survived its youth.
func TestVanishYoung(t *testing.T) {
	r := newRig(t, conf(withPolicy(policy.Settings{IdleCount: 2, IdleTime: time.Minute}), func(c *Config) { c.UpdateInterval = time.Minute }))
	for range 3600 {
		r.run(sec)
		for _, id := range slices.Sorted(maps.Keys(r.cloud)) {
			if i := r.core.reg.Get(id); i != nil && i.State == record.Ready && r.now.Mono-i.ReadyAt.Mono > 30*sec {
				delete(r.cloud, id)
			}
		}
	}
	// Twelve before the first loss is confirmed, then one at a time.
	if n := len(r.made); n > 24 || !r.sum().Breaker {
		t.Errorf("%d instances in an hour, breaker open: %v", n, r.sum().Breaker)
	}
	r.want("opened once", len(r.factsOf(FactBreaker)), 1)
}

// TestOlderInstanceProvesNothing: an instance that is older than the run of early failures may have another image. That it completes a job,
// or has long survived its youth, does not close the breaker, after a restart as before it.
func TestOlderInstanceProvesNothing(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		r := standing(t, 1)
		r.acquire("long")
		r.run(youth + time.Minute)
		r.want("older ones", r.sum().Ready, 2)
		r.reload(func(c *Config) { c.Schedule = always(policy.Settings{IdleCount: 4, IdleTime: time.Hour}) })
		r.run(10 * sec)
		for _, id := range []record.ID{"i-3", "i-4", "i-5"} {
			r.do(Event{Kind: EvUnhealthy, ID: id, Cause: record.CauseUnhealthy})
		}
		open := func(what string) {
			t.Helper()
			r.want(what, [2]any{r.sum().Breaker, r.sum().DiedYoung}, [2]any{true, 3})
		}
		open("after three early failures")
		if restarted {
			r.restart(sec)
			r.ask(EvReattach, "long")
			open("after a restart")
		}
		r.release("long")
		open("after a job on an older instance")
		r.run(20 * sec)
		open("while older ones are listed as running")
	}
}
