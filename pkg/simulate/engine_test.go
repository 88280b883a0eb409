package simulate

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

func schedule(t testing.TB, s policy.Settings) *policy.Schedule {
	t.Helper()
	c, err := policy.Compile([]policy.Policy{{Settings: s}}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// poisson makes n jobs with the given rate (1/s) and exponential durations.
func poisson(seed uint64, n int, rate, mean float64) *Jobs {
	r := rand.New(rand.NewPCG(seed, 1))
	j := &Jobs{}
	at := 0.0
	for range n {
		at += r.ExpFloat64() / rate
		j.List = append(j.List, Job{Arrival: time.Duration(at * 1e9), Duration: time.Duration(r.ExpFloat64() * mean * 1e9)})
	}
	return j
}

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func BenchmarkRun(b *testing.B) {
	o := Options{
		Group: Group{CapacityPerInstance: 1, MaxInstances: 1000, Policies: schedule(b, policy.Settings{IdleCount: 20, IdleTime: 15 * time.Minute}), Throttle: policy.Throttle{Limit: -1}},
		Start: start, Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(20 * time.Second)},
	}
	jobs := poisson(3, 500_000, 0.3, 1200)
	for b.Loop() {
		r, err := Run(o, jobs.Again())
		if err != nil {
			b.Fatal(err)
		}
		if r.Completed != len(jobs.List) {
			b.Fatal(r.Completed)
		}
	}
	b.ReportMetric(float64(len(jobs.List))*float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// TestHourOf holds the cached hour against the calendar, over both changes of the clock and at offsets of half an hour.
func TestHourOf(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Date(2026, 3, 27, 22, 17, 5, 3, loc)
		a := account{o: &Options{Start: begin}}
		for at := time.Duration(0); at < 240*24*time.Hour; at += 7 * time.Minute {
			if got, want := int(a.hourOf(int64(at))), begin.Add(at).Hour(); got != want {
				t.Fatalf("%s: hour %d at %s, want %d", zone, got, begin.Add(at), want)
			}
		}
		if got, want := int(a.hourOf(int64(time.Hour))), begin.Add(time.Hour).Hour(); got != want {
			t.Fatalf("%s: going back: hour %d, want %d", zone, got, want)
		}
	}
}
