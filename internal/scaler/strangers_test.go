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

// strangers makes n instances appear that we did not ask for.
func (r *rig) strangers(n int) (ids []record.ID) {
	for range n {
		r.names++
		ids = append(ids, record.ID(fmt.Sprint("new-", r.names)))
		r.spawn(ids[len(ids)-1])
	}
	return ids
}

// reclaim takes an instance away as the provider does: it is listed as deleting for a while, and then not at all.
func (r *rig) reclaim(id record.ID, after time.Duration) { r.cloud[id].dies = r.now.Mono + after }

// TestReplacementComesFirst: a group that replaces its own instances may launch the new ones minutes before it takes the old ones away. The
// new ones are taken in when the old ones go, and the pause that they caused ends.
func TestReplacementComesFirst(t *testing.T) {
	for _, n := range []int{1, 3} {
		for _, vanish := range []bool{false, true} {
			r := standing(t, 3)
			made := len(r.made)
			ids := r.strangers(n)
			r.run(90 * sec)
			r.want("before the old ones go: unclaimed, paused", [2]any{r.sum().Unclaimed, r.sum().Paused}, [2]any{n, n >= 3})
			for i := range n {
				if old := record.ID(fmt.Sprint("i-", i+1)); vanish {
					r.cloud[old].away = true
				} else {
					r.reclaim(old, 20*sec)
				}
			}
			r.run(time.Minute)
			r.want("unclaimed, paused, ready", [3]any{r.sum().Unclaimed, r.sum().Paused, r.sum().Ready}, [3]any{0, false, 3})
			for _, id := range ids {
				r.want(string(id), [2]any{r.state(id), r.core.reg.Get(id).Origin}, [2]any{record.Ready, record.Adopted})
			}
			if !vanish {
				r.want("creates in their place", len(r.made)-made, 0)
			}
			if got := r.factsOf(FactAdopt); len(got) != n || got[0].Cause != record.CauseMissing {
				t.Errorf("adopted: %+v", got)
			}
			r.strangers(1)
			r.run(time.Minute)
			r.want("one more than was replaced", r.sum().Unclaimed, 1)
		}
	}
}

// TestReplacementStillBoots: a replacement that the group started first is taken in although it still boots, and nothing is created beside
// it. It has the same time to boot as an instance that we asked for; then another one replaces it.
func TestReplacementStillBoots(t *testing.T) {
	for _, works := range []bool{true, false} {
		r := standing(t, 1, deadlines)
		r.boot = 10 * time.Hour
		id := r.strangers(1)[0]
		r.run(90 * sec)
		r.reclaim("i-1", 20*sec)
		r.run(30 * sec)
		r.want("taken in", [2]any{r.state(id), r.core.reg.Get(id).Origin}, [2]any{record.Creating, record.Adopted})
		r.want("creates beside it", len(r.made), 1)
		r.boot = 5 * sec
		if works {
			r.cloud[id].boots = r.now.Mono
		}
		r.run(2 * time.Minute)
		if works {
			r.want("it serves", [3]any{r.state(id), r.sum().Ready, len(r.made)}, [3]any{record.Ready, 1, 1})
			continue
		}
		retired := r.factsOf(FactRetire)
		last := retired[len(retired)-1]
		r.want("given up", [2]any{last.ID, last.Cause}, [2]any{id, record.CauseBootOverdue})
		r.run(20 * sec)
		r.want("another one is ready", [2]int{r.sum().Ready, len(r.made)}, [2]int{1, 2})
	}
}

// TestOlderBootReplacesNothing: an instance of ours that was on its way before the loss is no replacement of what was lost. The group's own
// replacement is taken in.
func TestOlderBootReplacesNothing(t *testing.T) {
	r := standing(t, 1)
	r.boot = time.Minute
	r.acquire("a")
	r.run(5 * sec)
	r.want("on its way", r.state("i-2"), record.Creating)
	r.reclaim("i-1", 20*sec)
	r.run(2 * time.Minute)
	r.want("ready meanwhile", [2]any{r.state("i-1").Exists(), r.state("i-2")}, [2]any{false, record.Ready})
	r.want("creates", len(r.made), 2)
	r.boot = 5 * sec
	id := r.strangers(1)[0]
	r.run(10 * sec)
	r.want("the group's replacement", [2]any{r.state(id), r.core.reg.Get(id).Origin}, [2]any{record.Ready, record.Adopted})
}

// TestReplacementOfWhatWasDeletedTooLate: an instance vanishes, and the group replaces it. Before the lists have shown that it is missing, a heartbeat says
// that it is unhealthy, so it is deleted. It had gone before we asked for it: the replacement is taken in.
func TestReplacementOfWhatWasDeletedTooLate(t *testing.T) {
	for _, first := range []bool{false, true} {
		r := standing(t, 1, func(c *Config) { c.MaxInstances = 9 })
		delete(r.cloud, "i-1")
		var id record.ID
		if first {
			id = r.strangers(1)[0]
		}
		r.list()
		r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy, Failure: failure.Failure{Kind: failure.Unhealthy}})
		r.want("state", r.state("i-1"), record.Deleting)
		r.boot = time.Hour // of what we create in its place
		r.run(10 * sec)
		if !first {
			id = r.strangers(1)[0]
		}
		r.run(10 * sec)
		r.want(fmt.Sprint("the group's replacement, before the delete: ", first), r.core.reg.Get(id).Origin, record.Adopted)
	}
}

// TestDeletedOneReturns: an instance that one list lacked is deleted and listed again. It was there all the time, so nothing replaces it.
func TestDeletedOneReturns(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 1 })
	r.cloud["i-1"].away = true
	r.hold[CmdDelete], r.hold[CmdIncrease] = true, true
	r.list()
	r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy, Failure: failure.Failure{Kind: failure.Unhealthy}})
	r.want("deleted, losses", [2]any{r.state("i-1"), len(r.core.debts)}, [2]any{record.Deleting, 1})
	r.cloud["i-1"].away = false
	r.list()
	r.want("listed again, losses", [2]any{r.state("i-1"), len(r.core.debts)}, [2]any{record.Deleting, 0})
}

// TestReplacementTooEarly: instances that appeared longer before the loss than a group needs to replace it have nothing to do with it.
func TestReplacementTooEarly(t *testing.T) {
	r := standing(t, 1)
	ids := r.strangers(1)
	r.run(repairWindow + time.Minute)
	r.reclaim("i-1", 10*sec)
	r.run(time.Minute)
	r.want("state", r.state(ids[0]), record.Unclaimed)
	r.want("ours is replaced by a create", r.sum().Ready, 1)
}

// TestLossesAreForgotten: what the provider reclaimed and we replaced is no reason to adopt anything later, nor is a loss that is old.
func TestLossesAreForgotten(t *testing.T) {
	r := standing(t, 3)
	for n := range 5 {
		r.reclaim(record.ID(fmt.Sprint("i-", n+1)), 20*sec)
		r.run(time.Minute)
	}
	r.want("ready", r.sum().Ready, 3)
	r.want("losses that we replaced", len(r.core.debts), 0)
	r.strangers(3)
	r.run(10 * sec)
	r.want("unclaimed, paused", [2]any{r.sum().Unclaimed, r.sum().Paused}, [2]any{3, true})

	r = standing(t, 3, func(c *Config) { c.MaxInstances = 3 })
	r.answer = func(_ Command, ev *Event) int { return 0 } // accepted, but nothing comes
	r.reclaim("i-1", sec)
	r.run(repairWindow)
	id := r.strangers(1)[0]
	r.cloud[id].boots = 0
	if n := len(collect(r.core.Intents)); n == 0 {
		t.Fatal("no create is open")
	}
	r.run(2 * time.Minute)
	r.want("a create is older than any loss", r.core.reg.Get(id).Origin, record.Created)
	r.strangers(1)
	r.run(time.Minute)
	r.want("a loss of more than ten minutes ago explains nothing", len(r.core.debts), 0)
}

// TestLossesSurviveARestart: a replacement that comes after a restart of the manager is taken in, and only one.
func TestLossesSurviveARestart(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		r := standing(t, 2, func(c *Config) { c.MaxInstances = 9 })
		r.reclaim("i-1", sec)
		if !replaced {
			r.boot = time.Hour
		}
		r.run(20 * sec)
		r.restart(10 * sec)
		r.run(2 * sec)
		r.want("losses", len(r.core.debts), map[bool]int{false: 1, true: 0}[replaced])
		ids := r.strangers(2)
		r.run(10 * sec)
		r.want("unclaimed", r.sum().Unclaimed, map[bool]int{false: 1, true: 2}[replaced])
		r.want("taken in", r.core.reg.Get(ids[0]).Origin == record.Adopted, !replaced)
	}
}

// TestEarlyReplacementSurvivesARestart: what the group replaced before it took the old instance away is replaced after a restart too. The
// next stranger is not ours.
func TestEarlyReplacementSurvivesARestart(t *testing.T) {
	r := standing(t, 2, func(c *Config) { c.MaxInstances = 9 })
	early := r.strangers(1)[0]
	r.run(90 * sec)
	r.reclaim("i-1", sec)
	r.run(time.Minute)
	r.want("taken in", [2]any{r.state(early), r.core.reg.Get(early).Origin}, [2]any{record.Ready, record.Adopted})
	r.restart(20 * sec)
	r.run(2 * sec)
	id := r.strangers(1)[0]
	r.run(10 * sec)
	r.want("another stranger", [2]any{r.state(id), len(r.core.debts)}, [2]any{record.Unclaimed, 0})
}

// TestEveryLossSurvivesARestart: the provider lists an instance as deleting, or an instance vanishes without a word. The manager restarts, and
// then the group's replacement comes: it is taken in.
func TestEveryLossSurvivesARestart(t *testing.T) {
	for _, c := range []struct {
		announced bool
		after     time.Duration // until the restart
		want      record.State
	}{{true, 2 * sec, record.Deleting}, {true, 20 * sec, record.Gone}, {false, 40 * sec, record.Lost}} {
		r := standing(t, 2, func(c *Config) { c.MaxInstances = 9 })
		if c.announced {
			r.reclaim("i-1", 10*sec)
		} else {
			delete(r.cloud, "i-1")
		}
		r.boot = time.Hour // of what we create in its place
		r.run(c.after)
		r.want("state", r.state("i-1"), c.want)
		r.restart(20 * sec)
		r.run(2 * sec)
		ids := r.strangers(2)
		r.run(10 * sec)
		r.want(fmt.Sprint("one is taken in after ", c.want), r.core.reg.Get(ids[0]).Origin, record.Adopted)
		r.want("the other is not", r.state(ids[1]), record.Unclaimed)
	}
}

// TestFirstListSettlesNoLoss: what the first list of a life shows is no replacement by the group, whatever becomes of it. The replacement that comes
// later is taken in for the loss, once.
func TestFirstListSettlesNoLoss(t *testing.T) {
	for adopt, want := range map[AdoptMode]record.Origin{AdoptHold: record.Preexisting, AdoptRemove: record.Preexisting, AdoptAll: record.Adopted} {
		r := standing(t, 2, func(c *Config) { c.MaxInstances, c.Adopt = 9, adopt })
		r.boot = time.Hour // of what we create in its place
		r.reclaim("i-1", sec)
		r.run(20 * sec)
		first := r.strangers(2) // they come while the manager is stopped
		r.restart(10 * sec)
		r.run(2 * sec)
		r.want("losses after the first list", len(r.core.debts), 1)
		for _, id := range first {
			r.want(fmt.Sprint("adopt ", adopt, ": of the first list"), r.core.reg.Get(id).Origin, want)
		}
		id := r.strangers(1)[0]
		r.run(10 * sec)
		r.want("the replacement", r.core.reg.Get(id).Origin, record.Adopted)
		r.want("losses then", len(r.core.debts), 0)
	}
}

// TestLostOneReturns: an instance that is listed again is not replaced by anything.
func TestLostOneReturns(t *testing.T) {
	r := standing(t, 1, func(c *Config) { c.MaxInstances = 1 })
	r.cloud["i-1"].away = true
	r.hold[CmdIncrease] = true
	r.run(30 * sec)
	r.want("lost", r.state("i-1"), record.Lost)
	r.cloud["i-1"].away = false
	r.run(5 * sec)
	r.want("back, losses", [2]any{r.state("i-1"), len(r.core.debts)}, [2]any{record.Ready, 0})
}

// TestStrangersStopNoShutdown: a shutdown deletes everything that we took into service, however many instances of unknown owner appear.
func TestStrangersStopNoShutdown(t *testing.T) {
	for _, begin := range []func(*testing.T) *rig{
		func(t *testing.T) *rig { return standing(t, 1) },
		func(t *testing.T) *rig { return standingAdopted(t) },
	} {
		for _, drained := range []bool{false, true} {
			r := begin(t)
			r.strangers(3)
			r.run(10 * sec)
			r.want("paused", r.sum().Paused, true)
			if drained {
				r.do(Event{Kind: EvUnhealthy, ID: "i-1", Cause: record.CauseUnhealthy})
			}
			r.do(Event{Kind: EvShutdown, On: true})
			r.run(20 * sec)
			r.want("done, state", [2]any{r.bt.Done, r.state("i-1")}, [2]any{true, record.Gone})
			r.want("theirs stay", r.sum().Unclaimed, 3)
		}
	}
}

// TestPauseAndOurOwn: while another manager seems to be at work, what we created is still removed when it is idle; what we adopted is kept,
// and serves.
func TestPauseAndOurOwn(t *testing.T) {
	idle := func(c *Config) { c.Schedule = always(policy.Settings{IdleTime: time.Minute}) }
	r := standing(t, 1)
	r.strangers(3)
	r.run(10 * sec)
	c := r.cfg
	idle(&c)
	r.do(Event{Kind: EvReload, Config: &c})
	r.run(90 * sec)
	r.want("created, idle: paused, state", [2]any{r.sum().Paused, r.state("i-1")}, [2]any{true, record.Gone})

	r = standingAdopted(t)
	r.strangers(3)
	r.run(10 * sec)
	r.do(Event{Kind: EvReload, Config: &c})
	r.run(5 * time.Minute)
	r.want("adopted, idle: paused, state", [2]any{r.sum().Paused, r.state("i-1")}, [2]any{true, record.Ready})
	r.want("it serves", r.acquire("a").ID, "i-1")
	r.release("a")
	r.run(foreignWindow)
	r.want("removed after the pause", r.state("i-1"), record.Gone)
}

// TestPauseHoldsRemoval: with adopt_preexisting "remove", set while the group is paused, the instances of the other manager are deleted after the pause.
func TestPauseHoldsRemoval(t *testing.T) {
	r := standing(t, 1)
	ids := r.strangers(3)
	r.run(10 * sec)
	c := r.cfg
	c.Adopt = AdoptRemove
	deletes := len(r.commandsOf(CmdDelete))
	r.do(Event{Kind: EvReload, Config: &c})
	r.run(time.Minute)
	r.want("paused, deletes", [2]any{r.sum().Paused, len(r.commandsOf(CmdDelete)) - deletes}, [2]any{true, 0})
	r.run(foreignWindow)
	for _, id := range ids {
		r.want("after the pause, "+string(id), r.state(id), record.Gone)
	}
}

// TestManyStrangers: whatever a provider lists, what is kept of instances of unknown owner has a bound: facts, records and memory.
func TestManyStrangers(t *testing.T) {
	const many = 30_000
	for _, running := range []bool{true, false} {
		r := bareRig(t, conf(func(c *Config) { c.MaxInstances = 2 * many }))
		r.light = true
		r.start(running)
		if running {
			r.list()
		}
		evs := make([]Event, 0, many+1)
		for n := range many {
			evs = append(evs, Event{Kind: EvAppeared, ID: record.ID(fmt.Sprintf("x-%05d", n)), Listed: fleet.ListedRunning})
		}
		b := r.do(append(evs, Event{Kind: EvListed, Since: r.now.Mono})...)
		if len(b.Facts) > 10 || len(b.Changes.Put) > maxUnclaimed {
			t.Errorf("%d facts and %d records of %d instances of unknown owner", len(b.Facts), len(b.Changes.Put), many)
		}
		told := 0
		count := func() {
			for _, f := range r.bt.Facts {
				if f.Kind == FactUnclaimed {
					told += max(f.Count, 1)
				}
			}
		}
		count()
		r.want("counted", [2]int{r.sum().Unclaimed, r.core.existing()}, [2]int{many, many})
		if err := r.core.Check(); err != nil {
			t.Error(err)
		}
		r.now.Mono += foreignWindow + sec
		r.do(Event{Kind: EvWake})
		count()
		r.want("told in all", told, many)
		if n := len(r.core.foreign); n > maxUnclaimed {
			t.Errorf("%d arrivals are remembered", n)
		}
		r.want("paused", r.sum().Paused, false)
		gone := make([]Event, 0, many+1)
		for _, ev := range evs {
			gone = append(gone, Event{Kind: EvMissing, ID: ev.ID})
		}
		r.do(append(gone, Event{Kind: EvListed, Since: r.now.Mono})...)
		for range 10 {
			r.now.Mono += time.Minute
			r.do(Event{Kind: EvListed, Since: r.now.Mono})
		}
		r.want("when they have left", [2]int{r.sum().Unclaimed, r.core.existing()}, [2]int{0, 0})
	}
}
