package simulate

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// trace reads one of the Firefox CI traces, which are not part of the repository.
func trace(tb testing.TB, name string) *Jobs {
	tb.Helper()
	data, err := os.ReadFile("../../../shared/traces/" + name)
	if err != nil {
		tb.Skipf("the trace %s is not here (it is not part of the repository): %v", name, err)
	}
	j := &Jobs{}
	for ; len(data) >= 8; data = data[8:] {
		j.List = append(j.List, Job{
			Arrival:  time.Duration(binary.BigEndian.Uint32(data)) * time.Millisecond,
			Duration: time.Duration(binary.BigEndian.Uint32(data[4:])) * time.Millisecond,
		})
	}
	return j
}

// BenchmarkTiledTrace replays a week of a real CI, played again and again until it has at least two million jobs: the engine's required
// figure is 500,000 jobs/s on one core, waits recorded, checks off.
func BenchmarkTiledTrace(b *testing.B) { benchTiles(b, 2_000_000, false) }

// BenchmarkCheckedTrace is the same with every step held against the invariants; required: 50,000 jobs/s.
func BenchmarkCheckedTrace(b *testing.B) { benchTiles(b, 200_000, true) }

func benchTiles(b *testing.B, least int, check bool) {
	jobs := trace(b, "firefox-ci-t-linux-large.dat")
	o := Options{
		Group: Group{
			CapacityPerInstance: 1, MaxInstances: 1000, Policies: schedule(b, policy.Settings{IdleCount: 20, IdleTime: 15 * time.Minute}),
			Throttle: policy.Throttle{Limit: -1},
		},
		Start: start, Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(20 * time.Second)}, Check: check,
	}
	tiles := least/len(jobs.List) + 1
	total, events := 0, int64(0)
	var first, last time.Time // the first and (to within 4,096) the last event: what comes before and after is not the engine
	var played time.Duration
	o.Progress = func(done int, now time.Duration) bool {
		if last = time.Now(); now == 0 {
			first = last
		}
		return true
	}
	for b.Loop() {
		r, err := Run(o, &Repeat{Jobs: jobs.Again(), Times: tiles, Period: 5 * 24 * time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		total += r.Completed
		events += r.Events
		played += last.Sub(first)
	}
	if total != tiles*len(jobs.List)*b.N {
		b.Fatalf("%d jobs done", total)
	}
	b.ReportMetric(float64(total)/played.Seconds(), "jobs/s")
	b.ReportMetric(float64(events)/played.Seconds(), "events/s")
}
