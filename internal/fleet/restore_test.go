package fleet

import (
	"math"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// A snapshot whose leases are not in order, or whose numbers of a create have a sum that overflows, is refused.
func TestRestoreRefusesDamagedNumbers(t *testing.T) {
	leases := func(slots ...int) Snapshot {
		s := NewRegister(4, 0).Snapshot()
		i := InstanceSnapshot{ID: "i", Serial: 1, State: record.Ready, Listed: ListedRunning, Uses: 2}
		for n, slot := range slots {
			i.Leases = append(i.Leases, record.Lease{Key: record.Key(rune('a' + n)), Slot: slot})
		}
		s.Instances = append(s.Instances, i)
		return s
	}
	intent := func(in record.Intent) Snapshot {
		s := NewRegister(4, 0).Snapshot()
		s.Intents = append(s.Intents, IntentSnapshot{IntentRecord: in})
		return s
	}
	for name, s := range map[string]Snapshot{
		"the first lease has the highest slot": leases(3, 0),
		"a slot below zero":                    leases(-1, 0),
		"a slot twice":                         leases(1, 1),
		"a sum that overflows":                 intent(record.Intent{Op: 1, Asked: 4, Open: math.MaxInt - 4, Doubt: 3, Faded: 8}),
		"more asked for than can be":           intent(record.Intent{Op: 1, Asked: math.MaxInt, Open: math.MaxInt}),
		"less than none":                       intent(record.Intent{Op: 1, Asked: 4, Open: -1}),
	} {
		if r, err := Restore(&s); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, s := range map[string]Snapshot{"leases": leases(0, 3), "a create": intent(record.Intent{Op: 1, Asked: 4, Open: 3, Doubt: 1})} {
		if s.Instances != nil {
			s.Open = []record.ID{"i"}
		}
		if _, err := Restore(&s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRestoreKnowsNewLeases: a register made from a snapshot in the middle of a batch knows which leases nobody was told of yet.
func TestRestoreKnowsNewLeases(t *testing.T) {
	r := NewRegister(2, 0)
	i := ready(t, r, "i", Stamp{})
	for _, key := range []record.Key{"old", "new"} {
		if _, _, err := r.Lease(i, key, Stamp{}); err != nil {
			t.Fatal(err)
		}
		if key == "old" {
			r.TakeChanges(&record.Changes{})
		}
	}
	s := r.Snapshot()
	again, err := Restore(&s)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Register{r, again} {
		if r.Told("old", 0, 0) == nil || r.Told("new", 0, 0) != nil {
			t.Errorf("old: %v, new: %v", r.Told("old", 0, 0), r.Told("new", 0, 0))
		}
		r.TakeChanges(&record.Changes{})
		if r.Told("new", 0, 0) == nil {
			t.Error("a lease is not told after its batch")
		}
	}
	for _, untold := range [][]record.Key{{"nobody"}, {"old", "new"}, {"new", "new"}} {
		s.Untold = untold
		if _, err := Restore(&s); err == nil {
			t.Errorf("a snapshot with the new leases %q was accepted", untold)
		}
	}
}
