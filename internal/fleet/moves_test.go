package fleet

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/record"
)

// at is a stamp n seconds into a test. Both clocks advance alike, but start at different values.
func at(n int) Stamp {
	return Stamp{Mono: time.Duration(n) * time.Second, Wall: 1_700_000_000_000_000_000 + int64(n)*int64(time.Second)}
}

func check(t *testing.T, r *Register) {
	t.Helper()
	if err := r.Check(); err != nil {
		t.Fatalf("Check failed: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ready adds an instance and makes it ready and running.
func ready(t *testing.T, r *Register, id record.ID, now Stamp) *Instance {
	t.Helper()
	return enter(t, r, id, record.Ready, now)
}

// enter adds an instance and brings it to a state by legal moves.
func enter(t *testing.T, r *Register, id record.ID, s record.State, now Stamp) *Instance {
	t.Helper()
	first := record.Creating
	if s == record.Unclaimed {
		first = record.Unclaimed
	}
	i, err := r.Add(id, first, record.Created, now)
	must(t, err)
	if s == record.Unclaimed || s == record.Creating {
		return i
	}
	if s == record.Lost {
		must(t, r.Lose(i, record.CauseMissing, now))
		return i
	}
	r.SetListed(i, ListedRunning)
	must(t, r.Prepare(i, now))
	if s == record.Preparing {
		return i
	}
	must(t, r.Ready(i, now))
	for _, step := range []struct {
		to   record.State
		move func() error
	}{
		{record.Draining, func() error { return r.Drain(i, record.CauseIdle, now) }},
		{record.Deleting, func() error { return r.Delete(i, record.CauseNone, now) }},
		{record.Gone, func() error { return r.Finish(i, now) }},
	} {
		if i.State == s {
			break
		}
		must(t, step.move())
		if i.State != step.to {
			t.Fatalf("moved to %s, want %s", i.State, step.to)
		}
	}
	if i.State != s {
		t.Fatalf("no way to %s", s)
	}
	return i
}

// moves are the named methods, with each state from which they are legal and the state that they lead to.
var moves = []struct {
	name string
	do   func(r *Register, i *Instance, now Stamp) error
	to   map[record.State]record.State
}{
	{"prepare", func(r *Register, i *Instance, n Stamp) error { return r.Prepare(i, n) }, map[record.State]record.State{record.Creating: record.Preparing}},
	{"unprepare", func(r *Register, i *Instance, n Stamp) error { return r.Unprepare(i, n) }, map[record.State]record.State{record.Preparing: record.Creating}},
	{"ready", func(r *Register, i *Instance, n Stamp) error { return r.Ready(i, n) }, map[record.State]record.State{record.Preparing: record.Ready}},
	{"drain", func(r *Register, i *Instance, n Stamp) error { return r.Drain(i, record.CauseIdle, n) }, map[record.State]record.State{
		record.Creating: record.Draining, record.Preparing: record.Draining, record.Ready: record.Draining, record.Unclaimed: record.Draining,
	}},
	{"delete", func(r *Register, i *Instance, n Stamp) error { return r.Delete(i, record.CauseZombie, n) }, map[record.State]record.State{
		record.Draining: record.Deleting, record.Gone: record.Deleting, record.Lost: record.Deleting,
	}},
	{"finish", func(r *Register, i *Instance, n Stamp) error { return r.Finish(i, n) }, map[record.State]record.State{record.Deleting: record.Gone}},
	{"lose", func(r *Register, i *Instance, n Stamp) error { return r.Lose(i, record.CauseMissing, n) }, map[record.State]record.State{
		record.Creating: record.Lost, record.Preparing: record.Lost, record.Ready: record.Lost, record.Draining: record.Lost,
	}},
	{"return", func(r *Register, i *Instance, n Stamp) error { return r.Return(i, n) }, map[record.State]record.State{record.Lost: record.Creating}},
	{"adopt", func(r *Register, i *Instance, n Stamp) error { return r.Adopt(i, n) }, map[record.State]record.State{record.Unclaimed: record.Creating}},
	{"forget", func(r *Register, i *Instance, _ Stamp) error { return r.Forget(i) }, map[record.State]record.State{record.Gone: 0, record.Lost: 0, record.Unclaimed: 0}},
	{"add", func(r *Register, i *Instance, n Stamp) error {
		_, err := r.Add(i.ID, record.Creating, record.Created, n)
		return err
	}, map[record.State]record.State{
		record.Gone: record.Creating, record.Lost: record.Creating,
	}},
	{"lease", func(r *Register, i *Instance, n Stamp) error { _, _, err := r.Lease(i, "k", n); return err }, map[record.State]record.State{record.Ready: record.Ready}},
	{"claim", func(r *Register, i *Instance, _ Stamp) error { _, err := r.Reserve("k", i); return err }, map[record.State]record.State{record.Ready: record.Ready}},
}

// TestMoves tries every move from every state. Legal moves lead to the right state; the others are refused and change nothing.
func TestMoves(t *testing.T) {
	for s := record.Creating; s <= record.Unclaimed; s++ {
		for _, m := range moves {
			t.Run(s.String()+"/"+m.name, func(t *testing.T) {
				r := NewRegister(2, 0)
				i := enter(t, r, "a", s, at(1))
				var c record.Changes
				r.TakeChanges(&c)
				before := snapshot(r)
				err := m.do(r, i, at(2))
				check(t, r)
				to, legal := m.to[s]
				if !legal {
					var illegal *IllegalMove
					if !errors.As(err, &illegal) || err.Error() == "" {
						t.Fatalf("it answered %v, want an IllegalMove", err)
					}
					if illegal.ID != "a" {
						t.Errorf("the refusal names %q", illegal.ID)
					}
					if after := snapshot(r); !reflect.DeepEqual(before, after) {
						t.Errorf("a refused move changed the register\nbefore %+v\nafter  %+v", before, after)
					}
					if r.TakeChanges(&c); !c.Empty() {
						t.Errorf("a refused move led to changes: %+v", c)
					}
					return
				}
				must(t, err)
				if to == 0 {
					if r.Get("a") != nil || r.Len() != 0 {
						t.Error("it is still in the register")
					}
					return
				}
				if now := r.Get("a"); now.State != to || r.Count(to) != 1 || to != s && (r.Count(s) != 0 || now.Since != at(2)) {
					t.Errorf("it is %s since %v, want %s; counts %d and %d", now.State, now.Since, to, r.Count(to), r.Count(s))
				}
			})
		}
	}
}

// snapshot returns everything that is stored of the register, collected anew from every instance.
func snapshot(r *Register) record.Saved {
	s := record.Saved{Meta: r.Meta}
	r.Each(func(i *Instance) bool {
		var rec record.Instance
		r.record(i, &rec)
		rec.Leases = slices.Clone(rec.Leases)
		s.Instances = append(s.Instances, rec)
		return true
	})
	for _, in := range r.Intents() {
		s.Intents = append(s.Intents, in.Intent)
	}
	return s
}

func TestAddRefusesOtherStates(t *testing.T) {
	r := NewRegister(1, 0)
	for _, s := range []record.State{0, record.Preparing, record.Ready, record.Draining, record.Deleting, record.Gone, record.Lost, record.Unclaimed + 1} {
		if _, err := r.Add("a", s, record.Created, at(0)); err == nil {
			t.Errorf("an instance was entered as %s", s)
		}
	}
	if r.Len() != 0 || r.Meta.LastSerial != 0 {
		t.Errorf("refused instances left %d entries, serial %d", r.Len(), r.Meta.LastSerial)
	}
}

// TestSerials: another instance with the same ID has another serial, and nothing of the old one's history.
func TestSerials(t *testing.T) {
	r := NewRegister(1, 5)
	i := ready(t, r, "a", at(1))
	_, _, err := r.Lease(i, "k", at(2))
	must(t, err)
	r.End("k", at(3))
	must(t, r.Drain(i, record.CauseUsedUp, at(4)))
	must(t, r.Delete(i, record.CauseNone, at(4)))
	must(t, r.Finish(i, at(5)))
	owner := new(int)
	i.Attached = owner
	again, err := r.Add("a", record.Creating, record.Adopted, at(9))
	must(t, err)
	check(t, r)
	if again.Serial != 2 || again.Uses != 0 || again.DeleteAsked || again.Cause != record.CauseNone || again.ReadyAt.Wall != 0 || again.Leased() != 0 {
		t.Errorf("the new instance inherited: %+v", again)
	}
	if again.Attached != any(owner) {
		t.Error("its Owner was lost")
	}
	if r.Len() != 1 || r.Exists() != 1 {
		t.Errorf("%d in the register, %d exist", r.Len(), r.Exists())
	}
}

func TestStampsOfALife(t *testing.T) {
	r := NewRegister(1, 0)
	i, err := r.Add("a", record.Creating, record.Created, at(1))
	must(t, err)
	r.SetListed(i, ListedRunning)
	must(t, r.Prepare(i, at(2)))
	if i.ReadyAt.Wall != 0 || i.Created != at(1) {
		t.Errorf("before it is ready: %+v", i)
	}
	must(t, r.Ready(i, at(3)))
	if i.ReadyAt != at(3) || i.IdleAt != at(3) {
		t.Errorf("ready: %+v", i)
	}
	_, _, err = r.Lease(i, "k", at(4))
	must(t, err)
	r.End("k", at(6))
	if i.IdleAt != at(6) || i.ReadyAt != at(3) {
		t.Errorf("after its lease: idle since %v, ready since %v", i.IdleAt, i.ReadyAt)
	}
	must(t, r.Drain(i, record.CauseIdle, at(7)))
	if i.Cause != record.CauseIdle || i.Since != at(7) || i.DeleteAsked {
		t.Errorf("draining: %+v", i)
	}
	must(t, r.Delete(i, record.CauseNone, at(8)))
	if i.Cause != record.CauseIdle || !i.DeleteAsked {
		t.Errorf("deleting must keep the cause for which it was retired: %+v", i)
	}
	must(t, r.Finish(i, at(9)))
	must(t, r.Delete(i, record.CauseZombie, at(10)))
	if i.Cause != record.CauseZombie {
		t.Errorf("a zombie is deleted as %s", i.Cause)
	}
}

// TestBlame: only a lost instance can be blamed, and its record says so.
func TestBlame(t *testing.T) {
	r := NewRegister(1, 0)
	i := enter(t, r, "i-1", record.Creating, at(1))
	if err := r.Blame(i, record.CauseUnhealthy); err == nil {
		t.Error("an instance that is there was blamed")
	}
	must(t, r.Lose(i, record.CauseMissing, at(2)))
	var c record.Changes
	r.TakeChanges(&c)
	must(t, r.Blame(i, record.CauseUnhealthy))
	r.TakeChanges(&c)
	if len(c.Put) != 1 || c.Put[0].Cause != record.CauseUnhealthy || c.Put[0].State != record.Lost || c.Put[0].StateAt != at(2).Wall {
		t.Errorf("%+v", c.Put)
	}
}

// TestReturnAndAdopt: a lost instance that is listed again keeps its uses. It does not return after a delete was requested.
func TestReturnAndAdopt(t *testing.T) {
	r := NewRegister(1, 3)
	i := ready(t, r, "a", at(1))
	_, _, err := r.Lease(i, "k", at(2))
	must(t, err)
	if err := r.Lose(i, record.CauseMissing, at(3)); err == nil {
		t.Fatal("it was lost with a lease on it: invariant 3")
	}
	r.End("k", at(3))
	must(t, r.Lose(i, record.CauseMissing, at(3)))
	must(t, r.Return(i, at(4)))
	check(t, r)
	if i.Uses != 1 || i.Cause != record.CauseNone || i.State != record.Creating {
		t.Errorf("returned as %+v", i)
	}
	must(t, r.Drain(i, record.CauseBootOverdue, at(5)))
	must(t, r.Delete(i, record.CauseNone, at(5)))
	must(t, r.Finish(i, at(6)))
	must(t, r.Delete(i, record.CauseZombie, at(7)))
	u := enter(t, r, "u", record.Unclaimed, at(8))
	must(t, r.Adopt(u, at(9)))
	if u.Origin != record.Adopted {
		t.Errorf("after Adopt its origin is %s", u.Origin)
	}
	lost := enter(t, r, "b", record.Lost, at(10))
	lost.DeleteAsked = true // as loaded from a store
	if err := r.Return(lost, at(11)); err == nil {
		t.Error("an instance with a requested delete returned to service")
	}
}

// TestGuards: moves that would violate an invariant are refused, with the reason.
func TestGuards(t *testing.T) {
	r := NewRegister(2, 0)
	i := ready(t, r, "a", at(1))
	res, err := r.Reserve("r", i)
	must(t, err)
	for name, err := range map[string]error{"drain": r.Drain(i, record.CauseIdle, at(2)), "lose": r.Lose(i, record.CauseMissing, at(2))} {
		if err == nil {
			t.Errorf("%s with a claim was not refused", name)
		}
	}
	check(t, r)
	r.Unreserve(res)
	_, _, err = r.Lease(i, "k", at(2))
	must(t, err)
	must(t, r.Drain(i, record.CauseIdle, at(3)))
	if err := r.Delete(i, record.CauseNone, at(4)); err == nil {
		t.Error("a delete with a lease was not refused: invariant 3")
	}
	if i.DeleteAsked {
		t.Error("a refused delete set DeleteAsked")
	}
	if n, _ := r.End("k", at(5)); n != i {
		t.Error("the lease of a draining instance cannot end")
	}
	must(t, r.Delete(i, record.CauseNone, at(6)))
	check(t, r)
}

// TestSums checks the sums that the sizing rule uses, during the life of two instances.
func TestSums(t *testing.T) {
	r := NewRegister(3, 4)
	type sums struct{ exists, supply, pending, open, idle, leased int }
	want := func(what string, w sums) {
		t.Helper()
		check(t, r)
		if got := (sums{r.Exists(), r.Supply(), r.Pending(), r.OpenSlots(), r.IdleCount(), r.Leased()}); got != w {
			t.Errorf("%s: %+v, want %+v", what, got, w)
		}
	}
	want("empty", sums{})
	a, err := r.Add("a", record.Creating, record.Created, at(1))
	must(t, err)
	want("creating", sums{exists: 1, supply: 3, pending: 3})
	r.SetListed(a, ListedRunning)
	must(t, r.Prepare(a, at(2)))
	want("preparing", sums{exists: 1, supply: 3, pending: 3})
	must(t, r.Ready(a, at(3)))
	want("ready", sums{exists: 1, supply: 3, open: 3, idle: 1})
	_, _, err = r.Lease(a, "k1", at(4))
	must(t, err)
	_, _, err = r.Lease(a, "k2", at(4))
	must(t, err)
	want("two leases", sums{exists: 1, supply: 1, open: 1, leased: 2})
	r.End("k1", at(5))
	_, _, err = r.Lease(a, "k3", at(5))
	must(t, err)
	want("three uses of four", sums{exists: 1, supply: 1, open: 1, leased: 2})
	r.End("k2", at(6))
	want("one use left bounds two free slots", sums{exists: 1, supply: 1, open: 1, leased: 1})
	r.SetListed(a, ListedSuspended)
	want("suspended: its lease stands", sums{exists: 1, leased: 1})
	r.SetListed(a, ListedAbsent)
	want("one list without it", sums{exists: 1, supply: 1, leased: 1})
	r.SetSuspect(a)
	want("many lists without it", sums{exists: 1, leased: 1})
	r.SetListed(a, ListedRunning)
	want("back", sums{exists: 1, supply: 1, open: 1, leased: 1})
	u := enter(t, r, "u", record.Unclaimed, at(7))
	want("an unclaimed one", sums{exists: 2, supply: 1, open: 1, leased: 1})
	must(t, r.Drain(a, record.CauseOperator, at(8)))
	want("draining", sums{exists: 2, leased: 1})
	must(t, r.Forget(u))
	want("forgotten", sums{exists: 1, leased: 1})
	if got, want := fmt.Sprint(r.PerInstance(), r.Capacity(), r.UsedUp(a)), "3 3 false"; got != want {
		t.Errorf("limits: %s, want %s", got, want)
	}
}
