package policy

import (
	"testing"
	"time"
)

func benchSchedule(tb testing.TB) *Schedule {
	return mustCompile(tb, []Policy{
		on("Asia/Seoul"), on("Asia/Seoul", "* 8-17 * * mon-fri"), on("Asia/Seoul", "* 0-7,18-23 * * mon-fri", "* * * * sat,sun"),
	}, nil)
}

// TestHotPathsAllocateNothing: the calls that a core makes at every step do not allocate.
func TestHotPathsAllocateNothing(t *testing.T) {
	s := benchSchedule(t)
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	for name, call := range map[string]func(){
		"At":         func() { s.At(now) },
		"NextChange": func() { s.NextChange(now) },
		"Size":       func() { Size(Settings{IdleCount: 4, ScaleFactor: 1.5}, Limits{}, Demand{Leases: 9}, Allowance{}) },
	} {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkAt(b *testing.B) {
	s, now := benchSchedule(b), time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	for b.Loop() {
		s.At(now)
	}
}

func BenchmarkNextChange(b *testing.B) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	for name, s := range map[string]*Schedule{
		"office":             benchSchedule(b),
		"leap_sunday":        mustCompile(b, []Policy{on("UTC", "* * 29 2 */7")}, nil),
		"leap_sunday_in_dst": mustCompile(b, []Policy{on("America/New_York", "* * 29 2 */7")}, nil),
		"never":              mustCompile(b, []Policy{on("America/New_York", "* * 30 2 *")}, nil),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.NextChange(now)
			}
		})
	}
}

func BenchmarkSize(b *testing.B) {
	s := Settings{IdleCount: 4, ScaleFactor: 1.5, ScaleFactorLimit: 30}
	l := Limits{Capacity: 3, MaxInstances: 50, ProviderMax: 100, MaxUses: 2}
	d := Demand{Leases: 9, Waiters: 4, Free: 2, Existing: 5}
	a := Allowance{Throttle: 3}
	for b.Loop() {
		d.Leases ^= Size(s, l, d, a).Grow & 1 // prevents the compiler from moving the call out of the loop
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		benchSchedule(b)
	}
}
