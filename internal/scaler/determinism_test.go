package scaler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/failure"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// busyHour returns a rig after an hour of jobs, reservations, failures and a provider that removes instances.
func busyHour(t *testing.T, seed uint64) *rig {
	dice := rand.New(rand.NewPCG(seed, 3))
	r := newRig(t, conf(func(c *Config) {
		c.Capacity, c.MaxInstances, c.Heartbeat, c.Throttle = 2, 8, true, policy.Throttle{Limit: 0.3, Burst: 3}
		c.Schedule = sched(policy.Policy{Settings: policy.Settings{IdleCount: 2, ScaleFactor: 0.5, IdleTime: time.Minute}},
			policy.Policy{Periods: []string{"20-39 * * * *"}, Settings: policy.Settings{IdleCount: 5, IdleTime: 10 * sec, Preemptive: true}})
	}))
	r.fail = func(cmd Command) (failure.Failure, bool) {
		if dice.IntN(12) == 0 {
			return failure.Failure{Kind: failure.Kind(1 + dice.IntN(7))}, dice.IntN(3) == 0
		}
		return failure.Failure{}, false
	}
	var held []record.Key
	for n := range 400 {
		key := record.Key(fmt.Sprint("k", n))
		if dice.IntN(2) == 0 {
			r.ask(EvReserve, key)
		}
		r.acquire(key)
		held = append(held, key)
		if len(held) > 6 {
			k := dice.IntN(len(held))
			r.ask(EvRelease, held[k])
			held = slices.Delete(held, k, k+1)
		}
		if ids := slices.Sorted(maps.Keys(r.cloud)); len(ids) > 0 && dice.IntN(20) == 0 {
			r.cloud[ids[dice.IntN(len(ids))]].word = fleet.ListedDeleting
		}
		r.run(time.Duration(dice.IntN(18)) * sec)
	}
	return r
}

// TestReplay: the journal of one core, stepped into a new core, gives the same batches, field by field.
func TestReplay(t *testing.T) {
	for seed := range uint64(4) {
		r := busyHour(t, seed)
		if len(r.factsOf(FactPolicy)) < 3 || len(r.factsOf(FactRevoke)) == 0 || len(r.factsOf(FactRetire)) == 0 {
			t.Fatal("too little happened in the hour: the test proves nothing")
		}
		core, err := New(r.cfg, record.Saved{}, true, Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		var saved record.Saved
		batch := 0
		for _, s := range r.journal {
			core.Step(s.now, s.ev)
			if !s.take {
				continue
			}
			b := core.Take()
			saved.Apply(&b.Changes)
			if digest(b) != r.digests[batch] {
				t.Fatalf("seed %d: batch %d differs", seed, batch)
			}
			batch++
		}
		if batch != len(r.digests) || fmt.Sprintf("%+v", saved) != fmt.Sprintf("%+v", r.saved) {
			t.Fatalf("seed %d: the stored states differ after %d batches of %d", seed, batch, len(r.digests))
		}
	}
}

// TestRestartAnywhere: a core can be made from the state after any commit. It has exactly the committed leases, and two cores made from the
// same state are equal.
func TestRestartAnywhere(t *testing.T) {
	r := busyHour(t, 7)
	core, err := New(r.cfg, record.Saved{}, true, Time{Mono: time.Hour, Wall: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	var saved record.Saved
	for n, s := range r.journal {
		core.Step(s.now, s.ev)
		if !s.take {
			continue
		}
		saved.Apply(&core.Take().Changes)
		if n%7 != 0 {
			continue
		}
		digests := [2]uint64{}
		for k := range digests {
			again, err := New(r.cfg, saved, true, s.now)
			if err != nil {
				t.Fatalf("event %d: %v", n, err)
			}
			if err := again.Check(); err != nil {
				t.Fatalf("event %d: %v", n, err)
			}
			leases := 0
			for _, i := range saved.Instances {
				for _, l := range i.Leases {
					leases++
					if id, slot, ok := again.Lease(l.Key); !ok || id != i.ID || slot != l.Slot {
						t.Fatalf("event %d: lease of %s is on %s/%d", n, l.Key, id, slot)
					}
				}
			}
			if again.Summary().Leases != leases {
				t.Fatalf("event %d: %d leases, %d committed", n, again.Summary().Leases, leases)
			}
			again.Step(s.now, Event{Kind: EvListed, Since: s.now.Mono})
			digests[k] = digest(again.Take())
		}
		if digests[0] != digests[1] {
			t.Fatalf("event %d: two cores from one state differ", n)
		}
	}
}

// TestTimeThatGoesBack: an earlier monotonic time counts as the last one.
func TestTimeThatGoesBack(t *testing.T) {
	r := standing(t, 1)
	back := Time{Mono: r.now.Mono - time.Hour, Wall: r.now.Wall.Add(-time.Hour)}
	r.core.Step(back, Event{Kind: EvAcquire, Key: "a", Ticket: 1})
	b := r.core.Take()
	if len(b.Grants) != 1 || b.Grants[0].Waited != 0 || r.core.now.Mono != r.now.Mono || b.Bug != nil {
		t.Errorf("grants %+v at %v", b.Grants, r.core.now.Mono)
	}
}
