package fleet

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/record"
)

func fleetOf(tb testing.TB, n, capacity int) *Register {
	tb.Helper()
	r := NewRegister(capacity, 0)
	for k := range n {
		i, err := r.Add(record.ID(fmt.Sprintf("i-%07d", k)), record.Creating, record.Created, at(1))
		if err != nil {
			tb.Fatal(err)
		}
		r.SetListed(i, ListedRunning)
		if r.Prepare(i, at(1)) != nil || r.Ready(i, at(1)) != nil {
			tb.Fatal("it does not become ready")
		}
	}
	var c record.Changes
	r.TakeChanges(&c)
	return r
}

// TestLeasePathAllocatesNothing: a lease, its end and their changes do not allocate.
func TestLeasePathAllocatesNothing(t *testing.T) {
	for _, capacity := range []int{1, 3} {
		r := fleetOf(t, 100, capacity)
		var c record.Changes
		n := 0
		got := testing.AllocsPerRun(2000, func() {
			n++
			if _, _, err := r.Lease(r.Fullest(""), "k", at(n)); err != nil {
				t.Fatal(err)
			}
			r.TakeChanges(&c)
			r.End("k", at(n))
			r.TakeChanges(&c)
		})
		if got != 0 {
			t.Errorf("capacity %d: granting and ending a lease allocate %v times", capacity, got)
		}
		check(t, r)
	}
}

// BenchmarkLeaseEnd measures the register's part of a lease at two sizes. The time must not depend on the size of the fleet.
func BenchmarkLeaseEnd(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := fleetOf(b, n, 1)
			var c record.Changes
			now := 10
			b.ReportAllocs()
			for b.Loop() {
				now++
				_, _, _ = r.Lease(r.Fullest(""), "k", at(now))
				r.TakeChanges(&c)
				r.End("k", at(now))
				r.TakeChanges(&c)
			}
		})
	}
}

// BenchmarkRandomEnd ends uniformly random leases of a full fleet and grants them again: the worst case for the CPU cache.
func BenchmarkRandomEnd(b *testing.B) {
	const n = 100_000
	r := fleetOf(b, n, 1)
	keys := make([]record.Key, n)
	for k := range keys {
		keys[k] = record.Key(fmt.Sprintf("job-%d", k))
		_, _, _ = r.Lease(r.Fullest(""), keys[k], at(2))
	}
	var c record.Changes
	r.TakeChanges(&c)
	dice := rand.New(rand.NewPCG(1, 2))
	now := 10
	b.ReportAllocs()
	for b.Loop() {
		now++
		k := keys[dice.IntN(n)]
		i, _ := r.End(k, at(now))
		_, _, _ = r.Lease(i, k, at(now))
		r.TakeChanges(&c)
	}
}

// BenchmarkMemory reports the memory of an idle instance in the register.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		r := fleetOf(b, n, 1)
		b.ReportMetric(float64(heap()-before)/n, "B/instance")
		runtime.KeepAlive(r)
	}
}
