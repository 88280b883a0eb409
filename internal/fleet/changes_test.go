package fleet

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// TestChangesOnce: each record is returned once, in the order of its first change, in its final state.
func TestChangesOnce(t *testing.T) {
	r := NewRegister(2, 0)
	b := ready(t, r, "b", at(1))
	a := ready(t, r, "a", at(1))
	_, _, err := r.Lease(b, "k", at(2))
	must(t, err)
	_, _, err = r.Lease(a, "l", at(2))
	must(t, err)
	var c record.Changes
	r.TakeChanges(&c)
	if len(c.Put) != 2 || c.Put[0].ID != "b" || c.Put[1].ID != "a" || c.Meta == nil || c.Meta.LastSerial != 2 {
		t.Fatalf("changes %+v", c)
	}
	if l := c.Put[0].Leases; len(l) != 1 || l[0] != (record.Lease{Key: "k", Slot: 0, At: at(2).Wall, Use: 1}) {
		t.Errorf("leases of b: %+v", l)
	}
	if l := c.Put[1].Leases; len(l) != 1 || l[0].Key != "l" {
		t.Errorf("leases of a: %+v", l)
	}
	r.End("k", at(3))
	r.SetListed(a, ListedSuspended)
	r.TakeChanges(&c)
	if len(c.Put) != 1 || c.Put[0].ID != "b" || len(c.Put[0].Leases) != 0 || c.Meta != nil || c.Empty() {
		t.Errorf("the end of one lease changes %+v", c)
	}
	if r.TakeChanges(&c); !c.Empty() {
		t.Errorf("nothing happened, but there are changes %+v", c)
	}
}

// TestForgetAndReenter: an ID that is forgotten and added again between two commits is put, not dropped.
func TestForgetAndReenter(t *testing.T) {
	r := NewRegister(1, 0)
	var s record.Saved
	var c record.Changes
	i := enter(t, r, "a", record.Gone, at(1))
	keep := enter(t, r, "b", record.Lost, at(1))
	r.TakeChanges(&c)
	s.Apply(&c)
	must(t, r.Forget(i))
	must(t, r.Forget(keep))
	_, err := r.Add("a", record.Creating, record.Created, at(2))
	must(t, err)
	r.TakeChanges(&c)
	s.Apply(&c)
	if len(c.Put) != 1 || c.Put[0].Serial != 3 || !slices.Equal(c.Drop, []record.ID{"b"}) || len(s.Instances) != 1 {
		t.Errorf("put %+v, drop %v, stored %+v", c.Put, c.Drop, s.Instances)
	}
	x := enter(t, r, "x", record.Unclaimed, at(3))
	must(t, r.Forget(x))
	r.TakeChanges(&c)
	if len(c.Put) != 0 || !slices.Equal(c.Drop, []record.ID{"x"}) {
		t.Errorf("added and forgotten between two commits: put %+v, drop %v", c.Put, c.Drop)
	}
	s.Apply(&c)
	check(t, r)
}

// TestApplyCopies: the stored state does not share memory with the batch, which is reused.
func TestApplyCopies(t *testing.T) {
	r := NewRegister(1, 0)
	var s record.Saved
	var c record.Changes
	if !s.Empty() {
		t.Error("Empty is false for a new state")
	}
	i := ready(t, r, "a", at(1))
	_, _, err := r.Lease(i, "k", at(2))
	must(t, err)
	r.TakeChanges(&c)
	s.Apply(&c)
	r.End("k", at(3))
	_, _, err = r.Lease(i, "other", at(4))
	must(t, err)
	var later record.Changes
	r.TakeChanges(&later)
	if got := s.Instances[0].Leases[0].Key; got != "k" {
		t.Errorf("the stored lease became %q without a commit", got)
	}
	if s.Empty() {
		t.Error("Empty is true for a state with an instance")
	}
	s.Apply(&record.Changes{Drop: []record.ID{"nobody"}, DropIntents: []uint64{99}})
	if len(s.Instances) != 1 {
		t.Error("dropping an unknown ID dropped something")
	}
}

func TestApplyKeepsOrder(t *testing.T) {
	var s record.Saved
	s.Apply(&record.Changes{Put: []record.Instance{{ID: "c"}, {ID: "a"}, {ID: "b"}}, PutIntents: []record.Intent{{Op: 3}, {Op: 1}, {Op: 2}}})
	s.Apply(&record.Changes{Put: []record.Instance{{ID: "b", Uses: 7}}, PutIntents: []record.Intent{{Op: 2, Open: 5}}, Drop: []record.ID{"a"}, DropIntents: []uint64{1}})
	if len(s.Instances) != 2 || s.Instances[0].ID != "b" || s.Instances[0].Uses != 7 || s.Instances[1].ID != "c" {
		t.Errorf("instances %+v", s.Instances)
	}
	if len(s.Intents) != 2 || s.Intents[0].Op != 2 || s.Intents[0].Open != 5 || s.Intents[1].Op != 3 {
		t.Errorf("intents %+v", s.Intents)
	}
}

func TestPast(t *testing.T) {
	now := Stamp{Mono: time.Hour, Wall: at(1000).Wall}
	for _, c := range []struct {
		name string
		wall int64
		want Stamp
	}{
		{"never stays never", 0, Stamp{}},
		{"now", now.Wall, now},
		{"ten seconds ago", at(990).Wall, Stamp{Mono: time.Hour - 10*time.Second, Wall: at(990).Wall}},
		{"before this clock began", at(-9000).Wall, Stamp{Mono: time.Hour - 10_000*time.Second, Wall: at(-9000).Wall}},
		{"the future counts as now", at(2000).Wall, now},
	} {
		if got := Past(c.wall, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestLoad: a loaded register continues, but no instance counts as listed before the provider lists it.
func TestLoad(t *testing.T) {
	now := Stamp{Mono: 5 * time.Second, Wall: at(100).Wall}
	s := record.Saved{
		Meta: record.Meta{Group: "g", LastSerial: 4, LastOp: 7, Fruitless: 2},
		Instances: []record.Instance{
			{
				ID: "a", Serial: 9, State: record.Ready, Uses: 3, CreatedAt: at(10).Wall, IdleAt: at(90).Wall,
				Leases: []record.Lease{{Key: "k", Slot: 2, At: at(50).Wall}},
			},
			{ID: "b", Serial: 2, State: record.Deleting, DeleteAsked: true, Cause: record.CauseIdle},
		},
		Intents: []record.Intent{{Op: 8, Asked: 4, Open: 3}, {Op: 12, Asked: 2, Open: 1, Doubt: 1, Answered: true}},
	}
	r := NewRegister(3, 0)
	must(t, r.Load(&s, now))
	check(t, r)
	a := r.Get("a")
	if a.Usable() || r.OpenSlots() != 0 || r.Supply() != 2 {
		t.Errorf("before any list: usable %v, open %d, supply %d", a.Usable(), r.OpenSlots(), r.Supply())
	}
	r.SetListed(a, ListedRunning)
	if r.OpenSlots() != 2 || r.Fullest("") != a {
		t.Error("it is listed again, but not open")
	}
	if i, slot := r.LeaseOf("k"); i != a || slot != 2 {
		t.Errorf("k is on %v, slot %d", i, slot)
	}
	if want := now.Mono - 90*time.Second; a.Created.Mono != want {
		t.Errorf("created at %v of the new clock, want %v", a.Created.Mono, want)
	}
	if r.Meta.LastSerial != 9 || r.Meta.LastOp != 12 || r.Meta.Group != "g" || r.Meta.Fruitless != 2 {
		t.Errorf("meta %+v: numbers must not be used twice", r.Meta)
	}
	if one, two := r.Intent(8), r.Intent(12); one.Unsure != 3 || two.Unsure != 0 || r.IntentExpected() != 4 || r.IntentDoubt() != 1 {
		t.Errorf("intents %+v and %+v", one, two)
	}
	if b := r.Get("b"); !b.DeleteAsked || b.Cause != record.CauseIdle || r.Count(record.Deleting) != 1 {
		t.Errorf("b: %+v", b)
	}
}

func TestLoadRefusesContradictions(t *testing.T) {
	rec := func(id record.ID, s record.State, l ...record.Lease) record.Instance {
		return record.Instance{ID: id, Serial: 1, State: s, Uses: len(l), Leases: l}
	}
	for name, bad := range map[string][]record.Instance{
		"an id twice":             {rec("a", record.Ready), rec("a", record.Ready)},
		"no state":                {rec("a", 0)},
		"an unknown state":        {rec("a", record.Unclaimed+1)},
		"a key twice":             {rec("a", record.Ready, record.Lease{Key: "k"}), rec("b", record.Ready, record.Lease{Key: "k"})},
		"a slot twice":            {rec("a", record.Ready, record.Lease{Key: "k"}, record.Lease{Key: "l"})},
		"a slot below 0":          {rec("a", record.Ready, record.Lease{Key: "k", Slot: -1})},
		"a slot beyond all sense": {rec("a", record.Ready, record.Lease{Key: "k", Slot: 1 << 40})},
	} {
		var illegal *IllegalMove
		if err := NewRegister(2, 0).Load(&record.Saved{Instances: bad}, at(0)); !errors.As(err, &illegal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]record.Saved{
		"a lease on a gone one":        {Instances: []record.Instance{rec("a", record.Gone, record.Lease{Key: "k"})}},
		"more leases than uses":        {Instances: []record.Instance{{ID: "a", State: record.Ready, Leases: []record.Lease{{Key: "k"}}}}},
		"deleting without a delete":    {Instances: []record.Instance{rec("a", record.Deleting)}},
		"an intent of less than none":  {Intents: []record.Intent{{Op: 1, Asked: 1, Open: -1}}},
		"an intent of more than asked": {Intents: []record.Intent{{Op: 1, Asked: 1, Open: 1, Doubt: 1}}},
	} {
		r := NewRegister(2, 0)
		if err := errors.Join(r.Load(&bad, at(0)), r.Check()); err == nil {
			t.Errorf("Load and Check accepted: %s", name)
		}
	}
}

// TestCheckSees corrupts the register by hand, in one way at a time. Check must notice each.
func TestCheckSees(t *testing.T) {
	for name, harm := range map[string]func(r *Register, i *Instance){
		"a lease lost":           func(r *Register, _ *Instance) { delete(r.leases, "k") },
		"a lease elsewhere":      func(r *Register, _ *Instance) { r.leases["k"] = lease{on: r.Get("b"), slot: 0} },
		"a lease too many":       func(r *Register, i *Instance) { r.leases["ghost"] = lease{on: i, slot: 1} },
		"a lease miscounted":     func(_ *Register, i *Instance) { i.leased++ },
		"uses forgotten":         func(_ *Register, i *Instance) { i.Uses = 0 },
		"the sum of leases":      func(r *Register, _ *Instance) { r.leased = 7 },
		"leased while preparing": func(_ *Register, i *Instance) { i.State = record.Preparing },
		"deleting unasked":       func(r *Register, _ *Instance) { r.Get("b").State = record.Deleting },
		"open though not listed": func(_ *Register, i *Instance) { i.Listed = ListedSuspended },
		"the supply":             func(r *Register, _ *Instance) { r.supply++ },
		"its supply":             func(_ *Register, i *Instance) { i.supply-- },
		"the pending supply":     func(r *Register, _ *Instance) { r.pending++ },
		"the open slots":         func(r *Register, _ *Instance) { r.openSlots-- },
		"the idle count":         func(r *Register, _ *Instance) { r.idleCount++ },
		"the idle order":         func(r *Register, _ *Instance) { r.Get("c").IdleAt.Mono = 0 },
		"the idle list":          func(r *Register, _ *Instance) { r.idle.head = nil },
		"a count of a state":     func(r *Register, _ *Instance) { r.counts[record.Ready]-- },
		"claims without holder":  func(_ *Register, i *Instance) { i.claims++ },
		"the sum of claims":      func(r *Register, _ *Instance) { r.claims++ },
		"an id that is another":  func(r *Register, i *Instance) { r.byID["z"] = i },
		"expected by intents":    func(r *Register, _ *Instance) { r.intentExpected++ },
		"doubtful intents":       func(r *Register, _ *Instance) { r.intentDoubt-- },
		"an intent below zero":   func(r *Register, _ *Instance) { r.intents[0].Faded = -1 },
		"an intent of too many":  func(r *Register, _ *Instance) { r.intents[0].Faded = 9 },
		"an intent too unsure":   func(r *Register, _ *Instance) { r.intents[0].Unsure = 9 },
	} {
		r := NewRegister(2, 0)
		i := ready(t, r, "a", at(1))
		ready(t, r, "b", at(2))
		ready(t, r, "c", at(3))
		_, _, err := r.Lease(i, "k", at(4))
		must(t, err)
		r.AddIntent(2, at(4))
		check(t, r)
		harm(r, i)
		if r.Check() == nil {
			t.Errorf("Check did not notice: %s", name)
		}
	}
}
