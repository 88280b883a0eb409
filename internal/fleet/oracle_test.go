package fleet

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/pkg/record"
)

// model is a simple register: it searches lists linearly and computes every sum anew. It says what the real register must answer after any
// legal operations.
type model struct {
	r     *Register
	now   int
	seq   int
	got   map[record.ID]place // the place of an instance in the order of Fullest, and since when
	idle  map[record.ID]int   // since when it is idle
	keys  []record.Key        // with a lease
	res   []record.Key        // with a reservation
	next  int
	saved record.Saved
}

type place struct{ bucket, since int }

func newModel(capacity, maxUses int) *model {
	return &model{r: NewRegister(capacity, maxUses), got: map[record.ID]place{}, idle: map[record.ID]int{}}
}

func (m *model) stamp() Stamp { return at(m.now) }

// open returns the slots of i that any caller can lease, computed from the definition.
func (m *model) open(i *Instance) int {
	leases := 0
	i.Each(func(record.Lease) { leases++ })
	free := m.r.capacity - leases
	if m.r.maxUses > 0 {
		free = min(free, m.r.maxUses-i.Uses)
	}
	if i.State != record.Ready || i.Listed != ListedRunning || i.Unreachable {
		return 0
	}
	return max(free-m.claims(i), 0)
}

func (m *model) claims(i *Instance) int {
	n := 0
	for _, k := range m.res {
		if m.r.Reservation(k).Claim == i {
			n++
		}
	}
	return n
}

// observe updates the two orders after an operation.
func (m *model) observe() {
	m.r.Each(func(i *Instance) bool {
		bucket := -1
		if m.open(i) > 0 {
			bucket = i.Leased() + m.claims(i)
		}
		if was, ok := m.got[i.ID]; !ok || was.bucket != bucket {
			m.seq++
			m.got[i.ID] = place{bucket, m.seq}
		}
		if i.State != record.Ready || i.Listed != ListedRunning || i.Unreachable || i.Leased() > 0 {
			delete(m.idle, i.ID)
		} else if _, ok := m.idle[i.ID]; !ok {
			m.seq++
			m.idle[i.ID] = m.seq
		}
		return true
	})
	for id := range m.got {
		if m.r.Get(id) == nil {
			delete(m.got, id)
			delete(m.idle, id)
		}
	}
}

func (m *model) fullest(not record.ID) record.ID {
	best := record.ID("")
	for id, p := range m.got {
		if p.bucket < 0 || id == not {
			continue
		}
		if b := m.got[best]; best == "" || p.bucket > b.bucket || p.bucket == b.bucket && p.since > b.since {
			best = id
		}
	}
	return best
}

func (m *model) idleOrder() []record.ID {
	ids := []record.ID{}
	for id := range m.idle {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b record.ID) int {
		return cmp.Or(cmp.Compare(m.r.Get(a).IdleAt.Mono, m.r.Get(b).IdleAt.Mono), cmp.Compare(m.idle[a], m.idle[b]))
	})
	return ids
}

// check compares everything that can be queried.
func (m *model) check(t *draw.T) {
	if err := m.r.Check(); err != nil {
		t.Fatal(err)
	}
	m.observe()
	for _, not := range []record.ID{"", "i1", m.fullest("")} {
		got := record.ID("")
		if i := m.r.Fullest(not); i != nil {
			got = i.ID
		}
		if want := m.fullest(not); got != want {
			t.Fatalf("Fullest(%q) is %q, want %q of %v", not, got, want, m.got)
		}
	}
	order := []record.ID{}
	for i := m.r.LongestIdle(); i != nil; i = m.r.NextIdle(i) {
		order = append(order, i.ID)
	}
	if want := m.idleOrder(); !slices.Equal(order, want) {
		t.Fatalf("idle order %v, want %v", order, want)
	}
	open, leased, claimed := 0, 0, 0
	m.r.Each(func(i *Instance) bool {
		open += m.open(i)
		leased += i.Leased()
		claimed += m.claims(i)
		return true
	})
	if m.r.OpenSlots() != open || m.r.Leased() != leased || leased != len(m.keys) || m.r.ClaimedSlots() != claimed {
		t.Fatalf("sums: open %d of %d, leased %d of %d, claimed %d of %d", m.r.OpenSlots(), open, m.r.Leased(), leased, m.r.ClaimedSlots(), claimed)
	}
	for _, k := range m.keys {
		i, slot := m.r.LeaseOf(k)
		found := false
		i.Each(func(l record.Lease) { found = found || l.Key == k && l.Slot == slot })
		if !found {
			t.Fatalf("LeaseOf says that %s holds slot %d of %s", k, slot, i.ID)
		}
	}
}

func (m *model) some(t *draw.T, states ...record.State) *Instance {
	var ids []record.ID
	m.r.Each(func(i *Instance) bool {
		if len(states) == 0 || slices.Contains(states, i.State) {
			ids = append(ids, i.ID)
		}
		return true
	})
	if len(ids) == 0 {
		t.Skip("no such instance")
	}
	return m.r.Get(draw.From(ids).Draw(t, "id"))
}

func (m *model) key(prefix string) record.Key {
	m.next++
	return record.Key(fmt.Sprint(prefix, m.next))
}

func take[E any](t *draw.T, from *[]E, label string) E {
	if len(*from) == 0 {
		t.Skip("none")
	}
	n := draw.Range(0, len(*from)-1).Draw(t, label)
	e := (*from)[n]
	*from = slices.Delete(*from, n, n+1)
	return e
}

func legalOr(t *draw.T, err error) {
	if err != nil {
		t.Fatalf("a legal move was refused: %v", err)
	}
}

// TestAgainstModel runs random legal operations on both, and compares everything that can be queried after each.
func TestAgainstModel(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		m := newModel(draw.Range(1, 70).Draw(t, "capacity"), draw.From([]int{0, 0, 1, 3, 9}).Draw(t, "uses"))
		t.Repeat(map[string]func(*draw.T){
			"":        m.check,
			"time":    func(t *draw.T) { m.now += draw.Range(1, 9).Draw(t, "s") },
			"add":     m.add,
			"listed":  func(t *draw.T) { m.r.SetListed(m.some(t), Listed(draw.Range(0, 6).Draw(t, "l"))) },
			"reach":   func(t *draw.T) { m.r.SetUnreachable(m.some(t, record.Ready), draw.Range(0, 3).Draw(t, "u") == 0) },
			"running": func(t *draw.T) { m.r.SetListed(m.some(t, record.Ready), ListedRunning) },
			"lease":   m.lease, "lease2": m.lease, "end": m.end,
			"reserve": m.reserve, "unreserve": func(t *draw.T) { m.r.Unreserve(m.r.Reservation(take(t, &m.res, "res"))) },
			"suspect": func(t *draw.T) {
				i := m.some(t, record.Creating, record.Preparing, record.Ready)
				m.r.SetListed(i, ListedAbsent)
				m.r.SetSuspect(i)
			},
			"drain": func(t *draw.T) {
				i := m.some(t, record.Ready, record.Creating)
				m.r.UnclaimAll(i)
				legalOr(t, m.r.Drain(i, record.CauseIdle, m.stamp()))
			},
			"delete": func(t *draw.T) {
				i := m.some(t, record.Draining)
				var rec record.Instance
				m.r.record(i, &rec)
				for _, l := range rec.Leases {
					m.drop(l.Key)
				}
				legalOr(t, m.r.Delete(i, record.CauseNone, m.stamp()))
				legalOr(t, m.r.Finish(i, m.stamp()))
			},
			"forget": func(t *draw.T) { legalOr(t, m.r.Forget(m.some(t, record.Gone))) },
			"limits": func(t *draw.T) {
				m.r.SetLimits(draw.Range(1, 130).Draw(t, "capacity"), draw.From([]int{0, 2, 9}).Draw(t, "uses"))
			},
			"intent": func(t *draw.T) { m.r.AddIntent(draw.Range(1, 5).Draw(t, "n"), m.stamp()) },
			"shift":  m.shift,
			"meta":   func(t *draw.T) { m.r.Meta.Fruitless++; m.r.TouchMeta() },
			"take":   m.store,
		})
	})
}

func (m *model) add(t *draw.T) {
	id := record.ID(fmt.Sprint("i", draw.Range(0, 9).Draw(t, "id")))
	if i := m.r.Get(id); i != nil && i.State != record.Gone && i.State != record.Lost {
		t.Skip("it exists")
	}
	i, err := m.r.Add(id, record.Creating, record.Created, m.stamp())
	legalOr(t, err)
	m.r.SetListed(i, ListedRunning)
	if draw.Bool().Draw(t, "ready") {
		legalOr(t, m.r.Prepare(i, m.stamp()))
		legalOr(t, m.r.Ready(i, m.stamp()))
	}
}

func (m *model) lease(t *draw.T) {
	i := m.r.Fullest("")
	if i == nil {
		t.Skip("no open slot")
	}
	k, low := m.key("k"), 0
	taken := map[int]bool{}
	i.Each(func(l record.Lease) { taken[l.Slot] = true })
	for taken[low] {
		low++
	}
	uses := i.Uses
	slot, use, err := m.r.Lease(i, k, m.stamp())
	legalOr(t, err)
	if slot != low || use != uses+1 || slot >= m.r.Capacity() {
		t.Fatalf("slot %d, use %d; want slot %d, use %d", slot, use, low, uses+1)
	}
	m.keys = append(m.keys, k)
	if _, _, err := m.r.Lease(i, k, m.stamp()); err == nil {
		t.Fatal("a key has two leases")
	}
}

func (m *model) end(t *draw.T) {
	if len(m.keys) == 0 {
		t.Skip("no lease")
	}
	m.drop(draw.From(m.keys).Draw(t, "key"))
}

func (m *model) drop(k record.Key) {
	m.r.End(k, m.stamp())
	m.keys = slices.DeleteFunc(m.keys, func(o record.Key) bool { return o == k })
}

func (m *model) reserve(t *draw.T) {
	k := m.key("r")
	_, err := m.r.Reserve(k, m.r.Fullest(""))
	legalOr(t, err)
	m.res = append(m.res, k)
}

func (m *model) shift(t *draw.T) {
	if len(m.r.Intents()) == 0 {
		t.Skip("no intent")
	}
	in := draw.From(m.r.Intents()).Draw(t, "intent")
	if n := draw.Range(0, 2).Draw(t, "n"); in.Open >= n {
		legalOr(t, m.r.Shift(in, -n, n, 0))
	}
	if draw.Bool().Draw(t, "close") {
		m.r.CloseIntent(in)
	}
}

// store takes the changes and applies them to the stored state, and twice to a copy. Then it loads the result into a new register.
func (m *model) store(t *draw.T) {
	var c record.Changes
	m.r.TakeChanges(&c)
	m.saved.Apply(&c)
	want := snapshot(m.r)
	if !sameState(m.saved, want) {
		t.Fatalf("the stored state differs from the register\nstored %+v\nwant   %+v", m.saved, want)
	}
	m.saved.Apply(&c)
	if !sameState(m.saved, want) {
		t.Fatal("applying changes twice differs from applying them once")
	}
	again := NewRegister(m.r.Capacity(), m.r.maxUses)
	if err := again.Load(&m.saved, m.stamp()); err != nil {
		t.Fatal(err)
	}
	if err := again.Check(); err != nil {
		t.Fatalf("after loading: %v", err)
	}
	if got := snapshot(again); !sameState(got, want) {
		t.Fatalf("loaded %+v\nwant %+v", got, want)
	}
	again.Each(func(i *Instance) bool {
		if old := m.r.Get(i.ID); i.Since != old.Since || i.IdleAt != old.IdleAt || i.Created != old.Created {
			t.Fatalf("the stamps of %s changed: %+v %+v", i.ID, i, old)
		}
		return true
	})
	if m.r.TakeChanges(&c); !c.Empty() {
		t.Fatalf("TakeChanges returned changes twice: %+v", c)
	}
}

func sameState(a, b record.Saved) bool {
	norm := func(s record.Saved) record.Saved {
		s.Instances = slices.Clone(s.Instances)
		for n := range s.Instances {
			if len(s.Instances[n].Leases) == 0 {
				s.Instances[n].Leases = nil
			}
		}
		if len(s.Instances) == 0 {
			s.Instances = nil
		}
		if len(s.Intents) == 0 {
			s.Intents = nil
		}
		return s
	}
	return reflect.DeepEqual(norm(a), norm(b))
}
