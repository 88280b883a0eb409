package scaler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// places makes the cloud a rack with n places. An instance has the name of its place, and a create takes the first free one. after is how
// long an instance boots.
func (r *rig) places(n int, boot time.Duration) {
	r.answer = func(cmd Command, ev *Event) int {
		ev.Count = 0
		for p := 1; p <= n && ev.Count < cmd.Count; p++ {
			id := record.ID(fmt.Sprint("rack-", p))
			if m := r.cloud[id]; m == nil || m.dies > 0 && r.now.Mono >= m.dies {
				r.cloud[id] = &vm{boots: r.now.Mono + boot}
				ev.Count++
			}
		}
		return 0
	}
}

// served runs until key has a lease, and returns how long that took.
func (r *rig) served(key record.Key) time.Duration {
	r.t.Helper()
	from := r.now.Mono
	for r.leaseOf(key) == "" && r.now.Mono-from < time.Hour {
		r.run(sec)
	}
	return r.now.Mono - from
}

// TestNameUsedAgainAtOnce: the next job waits for the only place, an instance serves one job, and its name is used again at once. Each job
// gets an instance of its own soon, by whatever state the new instance is listed first.
func TestNameUsedAgainAtOnce(t *testing.T) {
	for _, boot := range []time.Duration{0, 5 * sec} {
		r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.MaxUses = 1, 1 }))
		r.every = 2 * sec
		r.places(1, boot)
		r.acquire("job-0")
		r.run(30 * sec)
		deletes, serial := 0, uint64(0)
		for n := range 5 {
			key := record.Key(fmt.Sprint("job-", n+1))
			r.acquire(key)
			r.release(record.Key(fmt.Sprint("job-", n)))
			limit := 20 * sec
			if n == 0 {
				limit = 40 * sec // the first time, we may have to delete the new instance
			}
			if d := r.served(key); d > limit {
				t.Fatalf("boot %v: job %d waited %v", boot, n+1, d)
			}
			if g := r.last(key); g.Serial <= serial || g.Use != 1 {
				t.Errorf("job %d is use %d of serial %d, after serial %d", n+1, g.Use, g.Serial, serial)
			}
			serial = r.last(key).Serial
			if n == 0 {
				deletes = len(r.commandsOf(CmdDelete))
			}
		}
		r.want("deletes after it was known that names are used again: one for each instance", len(r.commandsOf(CmdDelete))-deletes, 4)
		if boot > 0 {
			r.want("an instance that boots is never taken for the old one", deletes, 1)
		}
	}
}

// TestNamesAreUsedAgainForHours: what is known about the provider's names holds as long as it uses them again. So an instance is deleted by
// mistake only the first time.
func TestNamesAreUsedAgainForHours(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.MaxUses = 1, 1 }))
	r.every = 2 * sec
	r.places(1, 0)
	r.acquire("job-0")
	r.run(30 * sec)
	for n := range 5 {
		deletes := len(r.commandsOf(CmdDelete))
		key := record.Key(fmt.Sprint("job-", n+1))
		r.acquire(key)
		r.release(record.Key(fmt.Sprint("job-", n)))
		r.served(key)
		if n > 0 {
			r.want("deletes for one job", len(r.commandsOf(CmdDelete))-deletes, 1)
		}
		r.run(40 * time.Minute)
	}
}

// TestReplaceAvoidsAnInstanceNotAName: a job asked for another instance than the one that it had. When that one is gone, a new instance under
// its name serves the job.
func TestReplaceAvoidsAnInstanceNotAName(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
	r.every = 2 * sec
	r.places(1, 5*sec)
	r.acquire("job")
	r.run(20 * sec)
	first := r.last("job").Serial
	r.ask(EvReplace, "job")
	r.do(Event{Kind: EvUnhealthy, ID: "rack-1", Cause: record.CauseUnhealthy})
	if d := r.served("job"); d > 2*time.Minute {
		t.Fatalf("the job waited %v", d)
	}
	g := r.last("job")
	r.want("the name, and whether it is another instance", [2]any{g.ID, g.Serial > first}, [2]any{record.ID("rack-1"), true})
}

// TestNameUsedAgainLater: in a quiet group lists are rare. The name is used again 90 seconds after the instance was removed.
func TestNameUsedAgainLater(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.UpdateInterval = time.Minute }))
	r.places(3, 0)
	r.acquire("first")
	r.run(10 * sec)
	r.release("first")
	r.run(62 * sec)
	r.every = time.Minute
	r.run(90 * sec)
	r.every = 2 * sec
	r.listAt = r.now.Mono + sec
	r.acquire("second")
	if d := r.served("second"); d > time.Minute {
		t.Errorf("the second job waited %v", d)
	}
}

// TestNameNeverAbsent: a place is freed and taken again between two lists, so no list ever lacked the name. The delete is repeated after
// deletion_retry_interval; then the create counts as having brought nothing, and the job does not wait until the end of its deadline.
func TestNameNeverAbsent(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.MaxUses = 3, 1 }))
	r.places(3, 0)
	r.acquire("first")
	r.run(10 * sec)
	r.release("first")
	r.now.Mono += 100 * time.Millisecond
	r.acquire("second")
	if d := r.served("second"); d > 2*time.Minute {
		t.Fatalf("the second job waited %v", d)
	}
	r.release("second")
	r.now.Mono += 100 * time.Millisecond
	r.acquire("third")
	if d := r.served("third"); d > 30*sec {
		t.Errorf("the third job waited %v, although it is known that names are used again", d)
	}
}

// TestLateListIsNoNewInstance: an instance that was deleted is listed as running once more while a create is open. It gets no lease. The
// instance of the create is used when it appears, and creates do not wait for names afterwards.
func TestLateListIsNoNewInstance(t *testing.T) {
	r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.MaxUses = 3, 1 }))
	r.acquire("first")
	r.run(10 * sec)
	r.answer = func(cmd Command, _ *Event) int { return 0 } // its instance comes later
	r.release("first")
	r.acquire("a")
	r.run(2 * sec)
	r.want("gone, expected", [2]any{r.state("i-1"), r.sum().Requested}, [2]any{record.Gone, 1})
	r.cloud["i-1"] = &vm{word: fleet.ListedRunning}
	r.run(sec)
	r.want("deleted again", [2]any{r.state("i-1"), r.core.reg.Get("i-1").Serial}, [2]any{record.Deleting, 1})
	r.want("expected, may still come", [2]int{r.sum().Requested, r.sum().Doubt}, [2]int{0, 1})
	r.cloud["i-1"].word = 0
	r.run(sec)
	r.spawn("late")
	r.run(10 * sec)
	r.want("served by", r.leaseOf("a"), "late/0")
	r.want("unclaimed", r.sum().Unclaimed, 0)
	r.want("names are not used again", r.core.takeTurns(), false)
}

// TestTurnEndsWithinAMinute: while a create waits for names, a list brings back an instance, which fills the fleet, and confirms a delete, which
// makes room again. What was true only within the list does not make the create wait another minute.
func TestTurnEndsWithinAMinute(t *testing.T) {
	r := newRig(t, conf())
	r.core.names.held = r.now.Mono
	r.core.held = record.CauseMaxInstances
	r.core.settle(false)
	r.want("waits since, within a list", r.core.names.held, r.now.Mono)
	r.core.settle(true)
	r.want("waits since, after it", r.core.names.held, time.Duration(0))
}

// TestLateListShowsABoot: an instance that is being deleted, and was ready before, is listed as creating while a create is open. It may be a new
// instance under this name, or the list is from before the old one was ready. So the create may still bring its instance, and until lists rule
// that out there is no place for another one.
func TestLateListShowsABoot(t *testing.T) {
	for _, late := range []bool{false, true} {
		r := newRig(t, conf(func(c *Config) { c.MaxInstances, c.MaxUses = 2, 1 }))
		r.dying = 5 * time.Minute
		r.acquire("first")
		r.run(10 * sec)
		r.release("first")
		r.answer = func(Command, *Event) int { return 0 } // its instance comes later
		r.acquire("a", "b")
		r.run(2 * sec)
		r.cloud["i-1"].word = fleet.ListedCreating
		r.list()
		r.want("another instance", [2]any{r.state("i-1"), r.core.reg.Get("i-1").Serial}, [2]any{record.Creating, 2})
		r.want("expected, may still come, creates", [3]int{r.sum().Requested, r.sum().Doubt, len(r.commandsOf(CmdIncrease))}, [3]int{0, 1, 2})
		if late {
			r.cloud["i-1"].word = 0
			r.list()
			r.spawn("late")
			r.run(10 * sec)
			r.want("served by, unclaimed", [2]any{r.leaseOf("a"), r.sum().Unclaimed}, [2]any{"late/0", 0})
			r.want("creates", len(r.commandsOf(CmdIncrease)), 2)
			continue
		}
		r.cloud["i-1"] = &vm{word: fleet.ListedRunning}
		r.run(sec)
		r.want("creates before three lists", len(r.commandsOf(CmdIncrease)), 2)
		r.run(2 * sec)
		r.want("served by, creates", [2]any{r.leaseOf("a"), len(r.commandsOf(CmdIncrease))}, [2]any{"i-1/0", 3})
	}
}

// TestLostNameUsedAgain: the place of a lost instance is used by the next create. No create stays open for it.
func TestLostNameUsedAgain(t *testing.T) {
	for _, boot := range []time.Duration{0, 5 * sec} {
		r := newRig(t, conf(func(c *Config) { c.MaxInstances = 1 }))
		r.places(1, boot)
		r.acquire("a")
		r.run(20 * sec)
		r.acquire("b")
		delete(r.cloud, "rack-1")
		r.run(40 * sec)
		r.want("a was told", [2]any{r.last("a").Kind, r.last("a").Cause}, [2]any{GrantRevoked, record.CauseMissing})
		r.want("b runs, expected", [2]any{r.leaseOf("b"), r.sum().Requested}, [2]any{"rack-1/0", 0})
		// What boots is a new instance. What runs may be the old one, so its uses stay counted.
		r.want("use", r.last("b").Use, map[bool]int{true: 1, false: 2}[boot > 0])
	}
}

// TestUnsentCreateExplainsNothing: an instance that appears in the batch that decides on a create cannot come from it.
func TestUnsentCreateExplainsNothing(t *testing.T) {
	r := newRig(t, conf())
	r.hold[CmdIncrease] = true
	r.do(Event{Kind: EvAcquire, Key: "a", Ticket: 1}, Event{Kind: EvAppeared, ID: "x", Listed: fleet.ListedRunning}, Event{Kind: EvListed, Since: r.now.Mono})
	r.want("state, expected", [2]any{r.state("x"), r.sum().Requested}, [2]any{record.Unclaimed, 1})
}

// lists is a provider whose lists are sometimes out of date or incomplete, but never three in a row.
type oddLists struct {
	*rig
	d    *rand.Rand
	past []map[record.ID]fleet.Listed
	odd  int
	mute bool // a dying instance is listed as running
}

func (o *oddLists) truth() map[record.ID]fleet.Listed {
	now := map[record.ID]fleet.Listed{}
	for id, m := range o.cloud { //archtest:unordered a map from a map
		switch {
		case m.dies > 0 && o.now.Mono >= m.dies:
		case m.dies > 0 && !o.mute:
			now[id] = fleet.ListedDeleting
		case o.now.Mono < m.boots:
			now[id] = fleet.ListedCreating
		default:
			now[id] = fleet.ListedRunning
		}
	}
	return now
}

func (o *oddLists) list() {
	now := o.truth()
	o.past = append(o.past, now)
	seen := maps.Clone(now)
	if o.odd++; o.odd < 3 && o.d.IntN(4) == 0 {
		if o.d.IntN(2) == 0 {
			seen = maps.Clone(o.past[max(len(o.past)-2-o.d.IntN(2), 0)])
		} else {
			for _, id := range slices.Sorted(maps.Keys(seen)) {
				if o.d.IntN(2) == 0 {
					delete(seen, id)
				}
			}
		}
	} else {
		o.odd = 0
	}
	var evs []Event
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if was, ok := o.shown[id]; !ok {
			evs = append(evs, Event{Kind: EvAppeared, ID: id, Listed: seen[id]})
		} else if was != seen[id] {
			evs = append(evs, Event{Kind: EvChanged, ID: id, Listed: seen[id]})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(o.shown)) {
		if _, ok := seen[id]; !ok {
			evs = append(evs, Event{Kind: EvMissing, ID: id})
		}
	}
	o.shown = seen
	o.do(append(evs, Event{Kind: EvListed, Since: o.now.Mono})...)
	o.settle()
}

// TestNamesInOddLists: random loads on a rack whose names are used again at once, with late and incomplete lists. No job ever gets an
// instance whose delete was sent, none gets a used one, and every job gets its instance.
func TestNamesInOddLists(t *testing.T) {
	for seed := range uint64(60) {
		d := rand.New(rand.NewPCG(seed, 3))
		uses := d.IntN(2)
		o := &oddLists{rig: newRig(t, conf(func(c *Config) {
			c.MaxInstances, c.MaxUses, c.Schedule = 1+d.IntN(4), uses, always(policy.Settings{IdleTime: 20 * sec})
		})), d: d, mute: d.IntN(2) == 0}
		o.every, o.dying = 0, time.Duration(d.IntN(4))*3*sec
		o.places(o.cfg.MaxInstances+d.IntN(2), time.Duration(d.IntN(2))*5*sec)
		ends, since := map[record.Key]time.Duration{}, map[record.Key]time.Duration{}
		seen := 0
		for n := 0; n < 900; n++ {
			if len(since) < o.cfg.MaxInstances && d.IntN(5) == 0 && n < 700 {
				key := record.Key(fmt.Sprint("job-", n))
				since[key] = o.now.Mono
				o.acquire(key)
			}
			if n%2 == 0 {
				o.list()
			}
			for _, key := range slices.Sorted(maps.Keys(ends)) {
				if o.now.Mono >= ends[key] {
					o.release(key)
					delete(ends, key)
					delete(since, key)
				}
			}
			o.run(sec)
			for ; seen < len(o.grants); seen++ {
				g := o.grants[seen]
				if g.Kind == GrantRevoked { // lists lacked it for too long, or called it dying: it asks again
					delete(ends, g.Key)
					delete(since, g.Key)
				}
				if g.Kind != GrantLease {
					continue
				}
				if m := o.cloud[g.ID]; m == nil || m.dies > 0 {
					t.Fatalf("seed %d, +%v: %s got %s, serial %d, whose delete was sent", seed, g.Waited, g.Key, g.ID, g.Serial)
				}
				if g.Waited > 4*time.Minute {
					t.Errorf("seed %d: %s waited %v", seed, g.Key, g.Waited)
				}
				ends[g.Key] = o.now.Mono + time.Duration(1+d.IntN(40))*sec
			}
		}
		if o.sum().Waiters+o.sum().Leases > 0 {
			t.Errorf("seed %d: at the end %d wait and %d run", seed, o.sum().Waiters, o.sum().Leases)
		}
	}
}
