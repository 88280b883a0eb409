package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// actor plays a fleet that keeps every promise, by chance.
type actor struct {
	*story
	r        *rand.Rand
	limits   Limits
	machines []*played // those that exist
	waiting  []string  // jobs that were asked for and have no slot
	made     int
	jobs     int
	away     bool // no manager serves
}

// played is an instance that exists.
type played struct {
	id     string
	uses   int
	slots  []string // the key that holds each; empty: free
	booted bool
	held   bool // a client of it was killed: it gets no more work
}

func (m *played) busy() bool {
	return slices.ContainsFunc(m.slots, func(k string) bool { return k != "" })
}

// play makes a random history that is good.
func play(r *rand.Rand) *History {
	l := Limits{Capacity: 1 + r.IntN(3), MaxUses: 1 + r.IntN(5), MaxInstances: 1 + r.IntN(4)}
	a := &actor{story: newStory(l), r: r, limits: l}
	a.events(ManagerStarted, ManagerServes)
	for range 60 + r.IntN(100) {
		a.act(r.IntN(100))
	}
	if a.away {
		a.comeBack()
	}
	for _, key := range a.waiting { // those that are left are cancelled
		a.log(Entry{Event: ClientCancelled, Key: key})
		a.told(key, code(codeInterrupted))
	}
	for len(a.machines) > 0 {
		a.finish(a.machines[0])
	}
	return a.done()
}

func (a *actor) act(draw int) {
	m, some := pick(a.r, a.machines)
	switch {
	case draw < 18:
		a.ask()
	case draw < 28:
		a.create()
	case draw < 45:
		a.grant()
	case draw < 60 && some:
		a.endOne(m, func(key string) {
			a.ends(key, m.id, "")
			a.told(key, code(0))
		})
	case draw < 63 && some:
		a.endOne(m, func(key string) {
			a.log(Entry{Event: ClientCancelled, Key: key})
			a.ends(key, m.id, "TERM")
			a.told(key, code(codeInterrupted))
		})
	case draw < 66 && some:
		a.endOne(m, func(key string) {
			a.log(Entry{Event: ClientKilled, Key: key})
			a.ends(key, m.id, "KILL")
			a.told(key, nil)
			m.held = true
		})
	case draw < 70 && some:
		a.die(m)
	case draw < 76 && some && !m.busy():
		a.finish(m)
	case draw < 80 && !a.away:
		a.events(ManagerKilled)
		a.log(Entry{Event: ManagerEnded})
		a.away = true
	case draw < 88 && a.away:
		a.comeBack()
	case !a.away:
		a.show()
	}
}

func (a *actor) comeBack() {
	a.events(ManagerStarted, ManagerServes)
	a.away = false
	a.show()
}

func (a *actor) ask() {
	a.jobs++
	key := fmt.Sprintf("job-%d", a.jobs)
	a.asked(key)
	if a.away {
		a.told(key, code(codeRefused))
		return
	}
	a.waiting = append(a.waiting, key)
}

func (a *actor) create() {
	if len(a.machines) >= a.limits.MaxInstances {
		return
	}
	a.made++
	m := &played{id: fmt.Sprintf("i-%d", a.made), slots: make([]string, a.limits.Capacity), booted: a.r.IntN(5) > 0}
	a.recs(m.id, record.Created)
	if m.booted {
		a.recs(m.id, record.Booted)
	} else {
		a.recs(m.id, record.BootFailed)
	}
	a.machines = append(a.machines, m)
}

func (a *actor) grant() {
	for _, m := range a.machines {
		slot := slices.Index(m.slots, "")
		if !m.booted || m.held || slot < 0 || m.uses == a.limits.MaxUses || len(a.waiting) == 0 {
			continue
		}
		m.uses++
		m.slots[slot] = a.waiting[0]
		a.waiting = a.waiting[1:]
		a.begins(m.slots[slot], m.id, slot, m.uses)
		return
	}
}

// endOne ends one job of an instance.
func (a *actor) endOne(m *played, end func(key string)) {
	slot := slices.IndexFunc(m.slots, func(k string) bool { return k != "" })
	if slot < 0 {
		return
	}
	key := m.slots[slot]
	m.slots[slot] = ""
	end(key)
}

// die ends an instance by an outer cause, and with it its jobs.
func (a *actor) die(m *played) {
	as := []record.Event{record.Reclaimed, record.Vanished, record.Died}[a.r.IntN(3)]
	if as == record.Died {
		a.log(Entry{Event: MachineKilled, Instance: m.id})
	}
	for m.busy() {
		a.endOne(m, func(key string) {
			if a.r.IntN(2) == 0 {
				a.ends(key, m.id, "KILL")
			}
			a.told(key, code(codeLost))
		})
	}
	a.recs(m.id, as)
	a.drop(m)
}

// finish deletes an instance whose jobs, if any, have come to their end.
func (a *actor) finish(m *played) {
	for m.busy() {
		a.endOne(m, func(key string) {
			a.ends(key, m.id, "")
			a.told(key, code(0))
		})
	}
	a.recs(m.id, record.Deleting, record.Deleted)
	a.drop(m)
	if !a.away && a.r.IntN(2) == 0 {
		a.show(StatusInstance{ID: m.id, State: "gone", Uses: m.uses})
	}
}

func (a *actor) drop(m *played) {
	a.machines = slices.DeleteFunc(a.machines, func(o *played) bool { return o == m })
}

// show answers a status; more are shown beside what exists.
func (a *actor) show(more ...StatusInstance) {
	all := more
	for _, m := range a.machines {
		if !m.booted {
			all = append(all, StatusInstance{ID: m.id, State: "creating"})
			continue
		}
		var leases []StatusLease
		for slot, key := range m.slots {
			if key != "" {
				leases = append(leases, StatusLease{Key: key, Slot: slot})
			}
		}
		all = append(all, ready(m.id, m.uses, leases...))
	}
	a.status(all...)
}

// TestRandomHistories: random good histories pass, and each doctoring of each that can be applied is found.
func TestRandomHistories(t *testing.T) {
	applied := map[string]int{}
	for seed := range uint64(60) {
		h := play(rand.New(rand.NewPCG(seed, 1)))
		found, f := Check(h)
		for _, v := range found {
			t.Fatalf("seed %d: %s", seed, v)
		}
		if f.Jobs != f.OK+f.Lost+f.Refused+f.Killed+f.Cancelled {
			t.Fatalf("seed %d: jobs do not add up: %+v", seed, f)
		}
		for _, d := range doctorings {
			spoilt := clone(h)
			if !d.spoil(spoilt, rand.New(rand.NewPCG(seed, 2))) {
				continue
			}
			applied[d.name]++
			if found, _ := Check(spoilt); !slices.Contains(rules(found), d.rule) {
				t.Errorf("seed %d: %s: found %v, not %s", seed, d.name, rules(found), d.rule)
			}
		}
	}
	for _, d := range doctorings {
		if applied[d.name] < 10 {
			t.Errorf("%q could be applied to %d histories only: the histories are too poor", d.name, applied[d.name])
		}
	}
}
