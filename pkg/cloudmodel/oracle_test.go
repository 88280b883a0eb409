package cloudmodel

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

// naive is the model without optimisations: it keeps every instance for ever and examines all of them each time.
type naive struct {
	cloud *Cloud // for Fate and drawn answers only
	all   []*naiveMachine
	early []Event // events at the time of a call, after the events of the last step were taken
}

type naiveMachine struct {
	number   uint64
	stamps   [4]time.Duration // running, failed, deleting, gone
	end      EventKind
	born     time.Duration
	fate     Fate
	asked    bool
	reported State
}

func newNaive(n uint64, now time.Duration, f Fate) *naiveMachine {
	m := &naiveMachine{number: n, born: now, fate: f, end: Died, reported: Creating, stamps: [4]time.Duration{Never, Never, Never, Never}}
	if f.Boot != Never {
		m.stamps[0] = now + f.Boot
		if f.Life != Never {
			m.stamps[2] = m.stamps[0] + f.Life
			m.stamps[3] = m.stamps[2] + f.Notice
		}
	}
	if f.Timeout != Never {
		m.stamps[1] = now + f.Timeout
	}
	if f.Vanish != Never {
		m.stamps[3] = now + f.Vanish
	}
	if f.Reclaim {
		m.end = WasReclaimed
	}
	return m
}

func (m *naiveMachine) state(t time.Duration) State {
	s := Creating
	for i, to := range []State{Running, Failed, Deleting, none} {
		if t >= m.stamps[i] {
			s = to
		}
	}
	if t < m.born {
		s = none
	}
	return s
}

// events finds what happened until to, by examining every time at which something can happen.
func (o *naive) events(to time.Duration) []Event {
	out := o.early
	o.early = nil
	for _, m := range o.all {
		moments := slices.Clone(m.stamps[:])
		slices.Sort(moments)
		for _, at := range moments {
			if at > to || m.reported == none {
				continue
			}
			s := m.state(at)
			if s != none && s <= m.reported {
				continue
			}
			m.reported = s
			kind := map[State]EventKind{Running: BecameRunning, Failed: BootFailed, Deleting: ReclaimBegan, none: m.end}[s]
			out = append(out, Event{At: at, Number: m.number, Kind: kind})
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Number, b.Number)) })
	return out
}

func (o *naive) delete(n uint64, now time.Duration) {
	for _, m := range o.all {
		if m.number == n && m.state(now) != none && !m.asked {
			m.asked, m.end, m.reported = true, WasDeleted, Deleting
			m.stamps[2] = min(m.stamps[2], now)
			m.stamps[3] = min(m.stamps[3], now+m.fate.Delete)
		}
	}
}

func (o *naive) list(t time.Duration) []Instance {
	var out []Instance
	for _, m := range o.all {
		if s := m.state(t); s != none {
			out = append(out, Instance{Number: m.number, State: s, Created: m.born})
		}
	}
	return out
}

func anyConfig(t *draw.T) Config {
	mode := draw.From([]string{"", FailHang, FailTimeout, FailVanish, FailDie}).Draw(t, "mode")
	probability := draw.From([]float64{0, 0.3, 1})
	return Config{
		MaxSize:     draw.From([]int{0, 5}).Draw(t, "max_size"),
		Boot:        anyDistribution(t),
		BootFailure: BootFailure{Probability: probability.Draw(t, "boot_failure"), Mode: mode, After: anyDistribution(t)},
		Delete:      anyDistribution(t),
		Partial:     Partial{Probability: probability.Draw(t, "partial")},
		Spot: Spot{ReclaimPerHour: draw.From([]float64{0, 1, 100}).Draw(t, "reclaim"),
			Notice: D(draw.From([]time.Duration{0, 2 * time.Minute}).Draw(t, "notice"))},
		List: List{Lag: D(draw.From([]time.Duration{0, time.Minute}).Draw(t, "lag"))},
	}
}

// TestCloudAgainstNaiveModel makes the same calls to both. Events, lists and counts must be equal at every step.
func TestCloudAgainstNaiveModel(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		cfg := anyConfig(t)
		c, err := New(cfg, draw.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		o := &naive{cloud: c}
		var now time.Duration
		step := draw.Range[int64](0, int64(20*time.Minute))
		for range draw.Range(1, 40).Draw(t, "steps") {
			now += time.Duration(step.Draw(t, "step"))
			want := o.events(now)
			got := c.Advance(now, nil)
			if !slices.Equal(got, want) {
				t.Fatalf("at %v: events %v, want %v", now, got, want)
			}
			o.act(t, now)
			agree(t, o, now)
		}
	})
}

// act does one random action on both models.
func (o *naive) act(t *draw.T, now time.Duration) {
	o.early = o.events(now)
	switch draw.Range(0, 3).Draw(t, "act") {
	case 0, 1:
		r := o.cloud.Create(now, draw.Range(1, 4).Draw(t, "n"))
		for i := range uint64(r.Made) {
			o.all = append(o.all, newNaive(r.First+i, now, o.cloud.Fate(r.First+i)))
		}
	case 2:
		n := draw.Range[uint64](1, uint64(len(o.all)+1)).Draw(t, "delete")
		o.cloud.Delete(now, n)
		o.delete(n, now)
	case 3:
		n := draw.Range[uint64](1, uint64(len(o.all)+1)).Draw(t, "kill")
		if o.cloud.Kill(now, n) {
			m := o.all[n-1]
			m.stamps[3] = now
			if !m.asked {
				m.end = Died
			}
		}
	}
}

func agree(t *draw.T, o *naive, now time.Duration) {
	list, _ := o.cloud.List(now, nil)
	if want := o.list(now - o.cloud.cfg.List.Lag.Value()); !slices.Equal(list, want) {
		t.Fatalf("at %v: list %v, want %v", now, list, want)
	}
	// Events at exactly this time count already.
	if got, want := o.cloud.alive, len(o.list(now)); got != want {
		t.Fatalf("at %v: %d instances exist, want %d", now, got, want)
	}
	checkStructure(t, o.cloud)
}

// checkStructure checks that the slots, the list, the index and the heap are consistent.
func checkStructure(t *draw.T, c *Cloud) {
	linked := 0
	last := uint64(0)
	for s := c.first; s != nowhere; s = c.machine[s].next {
		m := &c.machine[s]
		if m.number <= last || c.index[m.number] != s {
			t.Fatalf("instance %d after %d, index says slot %d, is in %d", m.number, last, c.index[m.number], s)
		}
		last = m.number
		linked++
	}
	if linked != len(c.index) {
		t.Fatalf("%d instances in the list, %d in the index", linked, len(c.index))
	}
	for i, e := range c.heap {
		if int(c.machine[e.slot].heapAt) != i || i > 0 && e.before(c.heap[(i-1)/2]) {
			t.Fatalf("heap entry %d is out of place", i)
		}
	}
}
