package fleet

import (
	"fmt"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

func TestLeaseRefusals(t *testing.T) {
	r := NewRegister(2, 3)
	i := ready(t, r, "a", at(1))
	lease := func(k record.Key) error { _, _, err := r.Lease(i, k, at(2)); return err }
	must(t, lease("k1"))
	if lease("k1") == nil {
		t.Error("a key got two leases")
	}
	must(t, lease("k2"))
	if lease("k3") == nil {
		t.Error("three leases on two slots: invariant 1")
	}
	r.End("k1", at(3))
	must(t, lease("k3"))
	r.End("k2", at(3))
	r.End("k3", at(3))
	if lease("k4") == nil {
		t.Error("a fourth use of three: invariant 2")
	}
	if !r.UsedUp(i) {
		t.Error("UsedUp is false")
	}
	if i, _ := r.End("nobody", at(4)); i != nil {
		t.Error("a key without a lease ended one")
	}
	if i, slot := r.LeaseOf("nobody"); i != nil || slot != 0 {
		t.Error("a key without a lease has one")
	}
	for _, l := range []Listed{ListedAbsent, ListedCreating, ListedSuspended, ListedDeleting, ListedTimeout, ListedDeleted} {
		b := ready(t, r, record.ID("b-"+l.String()), at(5))
		r.SetListed(b, l)
		if _, _, err := r.Lease(b, "k9", at(5)); err == nil {
			t.Errorf("an instance listed as %s was leased: invariant 9", l)
		}
	}
	check(t, r)
}

// TestSlots: the lowest free slot is used first, and a lowered capacity does not end leases beyond it.
func TestSlots(t *testing.T) {
	r := NewRegister(3, 0)
	i := ready(t, r, "a", at(1))
	slots := func() (s []int) {
		i.Each(func(l record.Lease) { s = append(s, l.Slot) })
		return s
	}
	for _, k := range []record.Key{"k0", "k1", "k2"} {
		_, _, err := r.Lease(i, k, at(2))
		must(t, err)
	}
	r.End("k0", at(3))
	r.End("k1", at(3))
	if n, use, err := r.Lease(i, "k3", at(4)); err != nil || n != 0 || use != 4 {
		t.Fatalf("slot %d, use %d, %v; want slot 0, use 4", n, use, err)
	}
	r.SetLimits(1, 0)
	check(t, r)
	if got := slots(); !slices.Equal(got, []int{0, 2}) {
		t.Errorf("after the capacity fell to 1: leases on %v, want 0 and 2", got)
	}
	if r.OpenSlots() != 0 || i.Open() != 0 || r.Fullest("") != nil {
		t.Error("an instance with more leases than its capacity has an open slot")
	}
	r.End("k2", at(5))
	check(t, r)
	if len(i.slots) != 1 {
		t.Errorf("%d slots are kept for a capacity of 1", len(i.slots))
	}
	r.End("k3", at(6))
	if n, _, err := r.Lease(i, "k4", at(7)); err != nil || n != 0 {
		t.Errorf("slot %d, %v", n, err)
	}
	r.SetLimits(200, 0)
	check(t, r)
	for n := range 199 {
		if slot, _, err := r.Lease(i, record.Key(fmt.Sprint("m", n)), at(8)); err != nil || slot != n+1 {
			t.Fatalf("slot %d, %v; want %d", slot, err, n+1)
		}
	}
	check(t, r)
	if r.OpenSlots() != 0 {
		t.Errorf("%d of 200 open", r.OpenSlots())
	}
}

// TestToldNamesItsLease: a request that names its lease is about no other lease of its key: neither one on another instance, nor a later use of the same.
func TestToldNamesItsLease(t *testing.T) {
	r := NewRegister(1, 0)
	a, b := ready(t, r, "a", at(1)), ready(t, r, "b", at(1))
	_, earlier, err := r.Lease(a, "k", at(2))
	must(t, err)
	r.End("k", at(3))
	_, use, err := r.Lease(b, "k", at(4))
	must(t, err)
	var c record.Changes
	r.TakeChanges(&c) // the caller knows the second lease from now on
	for _, named := range []struct {
		serial uint64
		use    int
		want   *Instance
	}{{b.Serial, use, b}, {0, 0, b}, {a.Serial, earlier, nil}, {b.Serial, use + 1, nil}} {
		if got := r.Told("k", named.serial, named.use); got != named.want {
			t.Errorf("use %d of serial %d is a lease on %v, want %v", named.use, named.serial, got, named.want)
		}
	}
}

// TestPack: the fullest instance gets the next lease, so that others become idle. The test covers more than one word of the bucket index.
func TestPack(t *testing.T) {
	r := NewRegister(130, 0)
	full := map[record.ID]int{"a": 5, "b": 64, "c": 128, "d": 63}
	for _, id := range []record.ID{"a", "b", "c", "d"} {
		i := ready(t, r, id, at(1))
		for n := range full[id] {
			_, _, err := r.Lease(i, record.Key(fmt.Sprint(id, n)), at(2))
			must(t, err)
		}
	}
	var got []record.ID
	for i := r.Fullest(""); i != nil && len(got) < 5; i = r.Fullest("") {
		got = append(got, i.ID)
		r.SetListed(i, ListedSuspended)
	}
	if !slices.Equal(got, []record.ID{"c", "b", "d", "a"}) {
		t.Errorf("order %v, want c b d a", got)
	}
	for _, id := range got {
		r.SetListed(r.Get(id), ListedRunning)
	}
	if i := r.Fullest("c"); i == nil || i.ID != "b" {
		t.Errorf("Fullest without c is %v, want b", i)
	}
	check(t, r)
}

func TestReservations(t *testing.T) {
	r := NewRegister(2, 0)
	i := ready(t, r, "a", at(1))
	one, err := r.Reserve("r1", i)
	must(t, err)
	if _, err := r.Reserve("r1", nil); err == nil {
		t.Error("one key has two reservations")
	}
	_, err = r.Reserve("r2", i)
	must(t, err)
	if _, err := r.Reserve("r3", i); err == nil {
		t.Error("three claims on two slots")
	}
	if _, _, err := r.Lease(i, "k", at(2)); err == nil {
		t.Error("a claimed slot was leased to another key")
	}
	_, err = r.Reserve("r4", nil)
	must(t, err)
	check(t, r)
	if r.Reservations() != 3 || r.ClaimedSlots() != 2 || i.Claims() != 2 || r.OpenSlots() != 0 || r.Supply() != 2 || r.IdleCount() != 1 {
		t.Errorf("reservations %d, claims %d, open %d, supply %d, idle %d", r.Reservations(), r.ClaimedSlots(), r.OpenSlots(), r.Supply(), r.IdleCount())
	}
	r.Unclaim(one)
	r.Unclaim(one)
	check(t, r)
	if r.Reservation("r1") != one || one.Claim != nil || r.OpenSlots() != 1 {
		t.Error("dropping a claim also ended its reservation, or was counted wrongly")
	}
	r.UnclaimAll(i)
	check(t, r)
	if r.Reservations() != 3 || r.ClaimedSlots() != 0 || r.OpenSlots() != 2 {
		t.Errorf("after all claims were dropped: %d reservations, %d claims", r.Reservations(), r.ClaimedSlots())
	}
	for _, k := range []record.Key{"r1", "r2", "r4"} {
		r.Unreserve(r.Reservation(k))
	}
	if r.Reservations() != 0 || r.Reservation("r1") != nil {
		t.Error("an ended reservation still exists")
	}
	u := enter(t, r, "u", record.Unclaimed, at(3))
	if _, err := r.Reserve("r5", u); err == nil || r.Reservation("r5") != nil {
		t.Error("a reservation claimed an unclaimed instance")
	}
}

// TestIdleOrder: the longest idle instance is first, even if a list lacked it in between.
func TestIdleOrder(t *testing.T) {
	r := NewRegister(1, 0)
	for n, id := range []record.ID{"a", "b", "c"} {
		ready(t, r, id, at(n+1))
	}
	order := func() (ids []record.ID) {
		for i := r.LongestIdle(); i != nil; i = r.NextIdle(i) {
			ids = append(ids, i.ID)
		}
		return ids
	}
	if got := order(); !slices.Equal(got, []record.ID{"a", "b", "c"}) {
		t.Fatalf("order %v", got)
	}
	_, _, err := r.Lease(r.Get("a"), "k", at(5))
	must(t, err)
	r.End("k", at(6))
	if got := order(); !slices.Equal(got, []record.ID{"b", "c", "a"}) {
		t.Errorf("after a lease of a: %v", got)
	}
	r.SetListed(r.Get("b"), ListedAbsent)
	if got := order(); !slices.Equal(got, []record.ID{"c", "a"}) {
		t.Errorf("while b is not listed: %v", got)
	}
	r.SetListed(r.Get("b"), ListedRunning)
	if got := order(); !slices.Equal(got, []record.ID{"b", "c", "a"}) {
		t.Errorf("after b is listed again: %v, want b first, which is idle for longest", got)
	}
	check(t, r)
}

func TestIntents(t *testing.T) {
	r := NewRegister(1, 0)
	a, b := r.AddIntent(3, at(1)), r.AddIntent(2, at(2))
	if a.Op != 1 || b.Op != 2 || r.Meta.LastOp != 2 || a.At != at(1).Wall {
		t.Errorf("numbers %d and %d, last %d", a.Op, b.Op, r.Meta.LastOp)
	}
	r.Extend(a, 2)
	sums := func(open, doubt, left int) {
		t.Helper()
		check(t, r)
		if r.IntentExpected() != open || r.IntentDoubt() != doubt || a.Left() != left || r.Existing() != open+doubt {
			t.Errorf("open %d, doubt %d, left %d, existing %d; want %d, %d, %d", r.IntentExpected(), r.IntentDoubt(), a.Left(), r.Existing(), open, doubt, left)
		}
	}
	sums(7, 0, 5)
	must(t, r.Shift(a, -1, 0, 0))
	sums(6, 0, 4)
	a.Unsure = 4
	must(t, r.Shift(a, -2, 2, 0))
	if a.Unsure != 2 {
		t.Errorf("%d unsure of %d open", a.Unsure, a.Open)
	}
	sums(4, 2, 4)
	must(t, r.Shift(a, 0, -1, 1))
	sums(4, 1, 4)
	for _, d := range [][3]int{{-3, 0, 0}, {0, -2, 0}, {0, 0, -2}} {
		if r.Shift(a, d[0], d[1], d[2]) == nil {
			t.Errorf("shift by %v was not refused", d)
		}
	}
	sums(4, 1, 4)
	r.Answered(a)
	var c record.Changes
	r.TakeChanges(&c)
	if len(c.PutIntents) != 2 || !c.PutIntents[0].Answered || c.PutIntents[0].Asked != 5 || c.Meta == nil || c.Meta.LastOp != 2 {
		t.Errorf("changes %+v", c)
	}
	r.CloseIntent(b)
	if r.Intent(2) != nil || r.Intent(1) != a || len(r.Intents()) != 1 {
		t.Error("the wrong intent was closed")
	}
	sums(2, 1, 4)
	r.CloseIntent(b)
	sums(2, 1, 4)
	if r.TakeChanges(&c); !slices.Equal(c.DropIntents, []uint64{2}) || len(c.PutIntents) != 0 {
		t.Errorf("closing changes %+v", c)
	}
}
