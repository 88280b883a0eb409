package optimise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// stocked is the small problem with another idle_count.
func stocked(t testing.TB, k int) Variant {
	t.Helper()
	p := smallProblem(50)
	s := p.today()
	s.Policies = []policy.Policy{{Settings: policy.Settings{IdleCount: k, IdleTime: 1000 * time.Hour}}}
	o, err := p.options(s, p.Options.Start)
	if err != nil {
		t.Fatal(err)
	}
	o.Group.MaxInstances, o.Cloud.Price = 0, cloudmodel.Price{PerHour: 1}
	return Variant{Name: fmt.Sprintf("idle %d", k), Options: o}
}

func TestCompareReplicas(t *testing.T) {
	make := func(_ int, seed uint64) simulate.Workload { return poissonJobs(seed, size(4000, 1000), 0.05, nil, 60) }
	var calls atomic.Int32
	got, err := Compare(context.Background(), []Variant{stocked(t, 4), stocked(t, 6)}, make,
		CompareOptions{Seed: 11, Replicas: 12, Confidence: 0.99, Progress: func(done, all int) {
			if calls.Add(1); done > all || all != 24 {
				t.Errorf("%d of %d", done, all)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 24 || got[0].Method != "replicas" || got[0].Samples != 12 || got[0].Diffs != nil {
		t.Errorf("%d calls, %+v", calls.Load(), got[0])
	}
	const path = "wait_seconds.mean"
	a, b := baseStock(0.05, 60, 4), baseStock(0.05, 60, 6)
	if i := got[0].Values[path]; !i.Contains(a.MeanWait) {
		t.Errorf("idle 4 waits %+v, theory says %v", i, a.MeanWait)
	}
	d := got[1].Diffs[path]
	if !d.Contains(b.MeanWait - a.MeanWait) {
		t.Errorf("the difference is %+v, theory says %v", d, b.MeanWait-a.MeanWait)
	}
	// The machines that stand idle beyond the jobs cost the same whatever the luck: common luck makes the difference far surer than the figures.
	h := "instance_hours.total"
	if d, v := got[1].Diffs[h], got[1].Values[h]; d.Half() > v.Half()/2 || d.Low <= 0 {
		t.Errorf("instance-hours differ by %+v, and are %+v: no common luck", d, v)
	}
}

func TestCompareBlocks(t *testing.T) {
	jobs := poissonJobs(21, size(30_000, 6000), 0.05, nil, 60)
	variants := []Variant{stocked(t, 4), stocked(t, 6), stocked(t, 4)}
	got, err := Compare(context.Background(), variants, Trace(jobs), CompareOptions{Seed: 1, Confidence: 0.99})
	if err != nil {
		t.Fatal(err)
	}
	if got[1].Method != "batch means" || got[1].Samples != 20 {
		t.Errorf("%s over %d", got[1].Method, got[1].Samples)
	}
	a, b := baseStock(0.05, 60, 4), baseStock(0.05, 60, 6)
	for path, want := range map[string]float64{"wait_seconds.mean": b.MeanWait - a.MeanWait, "wait_fraction": b.Wait - a.Wait} {
		if d := got[1].Diffs[path]; !d.Contains(want) || d.High >= 0 {
			t.Errorf("%s differs by %+v, theory says %v", path, d, want)
		}
	}
	if i := got[0].Values["wait_fraction"]; !i.Contains(a.Wait) || i.Half() > 0.05 {
		t.Errorf("idle 4: %+v wait, theory says %v", i, a.Wait)
	}
	for path, d := range got[2].Diffs {
		if d != (simulate.Interval{}) {
			t.Errorf("%s: the same configuration differs by %+v from itself", path, d)
		}
	}
	// The blocks of the whole add up to it, and cost follows hours.
	for _, c := range got {
		r := c.Result
		sum := 0.0
		for _, b := range blocks(r, 0, len(r.Waits.InOrder), 20) {
			sum += b.hours
		}
		if math.Abs(sum-r.Hours.Total) > 0.001*r.Hours.Total {
			t.Errorf("%s: the blocks have %v hours, the run %v", c.Name, sum, r.Hours.Total)
		}
	}
	hours, cost := got[1].Diffs["instance_hours.total"], got[1].Diffs["cost.total"]
	if math.Abs(hours.Mean-cost.Mean) > 0.02*cost.Mean || hours.Low <= 0 || hours.Mean < 1.5*jobsHours(jobs) {
		t.Errorf("two machines more: %+v hours, %+v of cost in %v hours", hours, cost, jobsHours(jobs))
	}
}

// jobsHours is how long a trace is.
func jobsHours(j *simulate.Jobs) float64 { return j.List[len(j.List)-1].Arrival.Hours() }

func TestIntervalsCoverTheTruth(t *testing.T) {
	// Of many 90 % intervals over blocks of short runs most contain what theory says: a bound far below 90 %, and far above chance.
	want := baseStock(0.05, 60, 6).MeanWait - baseStock(0.05, 60, 4).MeanWait
	rounds := size(40, 12)
	hits := 0
	for k := range rounds {
		got, err := Compare(context.Background(), []Variant{stocked(t, 4), stocked(t, 6)}, Trace(poissonJobs(uint64(100+k), 3000, 0.05, nil, 60)),
			CompareOptions{Seed: uint64(k), Confidence: 0.9})
		if err != nil {
			t.Fatal(err)
		}
		if got[1].Diffs["wait_seconds.mean"].Contains(want) {
			hits++
		}
	}
	if hits < rounds*3/4 {
		t.Errorf("%d of %d intervals of 90 %% contain the truth", hits, rounds)
	}
}

func TestCompareIsDeterministic(t *testing.T) {
	jobs := poissonJobs(2, 500, 0.05, nil, 60)
	run := func(workers int) []Compared {
		got, err := Compare(context.Background(), []Variant{stocked(t, 1), stocked(t, 2), stocked(t, 3)}, Trace(jobs), CompareOptions{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !reflect.DeepEqual(run(1), run(3)) {
		t.Error("the number of workers has a say")
	}
}

func TestCompareWithWarmup(t *testing.T) {
	v := stocked(t, 4)
	v.Options.Warmup = 20_000 * time.Second
	got, err := Compare(context.Background(), []Variant{v, v}, Trace(poissonJobs(2, 3000, 0.05, nil, 60)), CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sum, r := 0.0, got[0].Result
	for _, b := range blocks(r, 20_000, len(r.Waits.InOrder), 20) {
		sum += b.hours
	}
	if math.Abs(sum-r.Hours.Total) > 0.002*r.Hours.Total {
		t.Errorf("the blocks have %v hours, the run after the warm-up %v", sum, r.Hours.Total)
	}
}

func TestCompareErrors(t *testing.T) {
	if _, err := Compare(context.Background(), nil, Trace(&simulate.Jobs{}), CompareOptions{}); err == nil {
		t.Error("nothing was compared")
	}
	bad := stocked(t, 1)
	bad.Options.Start, bad.Name = time.Time{}, "no calendar"
	jobs := Trace(poissonJobs(1, 60, 0.05, nil, 60))
	_, err := Compare(context.Background(), []Variant{stocked(t, 1), bad}, jobs, CompareOptions{})
	if err == nil || !strings.Contains(err.Error(), "no calendar: ") {
		t.Errorf("%v does not name the variant", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Compare(ctx, []Variant{stocked(t, 1)}, jobs, CompareOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled comparison returned %v", err)
	}
	few, err := Compare(context.Background(), []Variant{stocked(t, 1), stocked(t, 2)}, Trace(poissonJobs(1, 15, 0.05, nil, 60)), CompareOptions{})
	if err != nil || len(few[1].Diffs) != 0 {
		t.Errorf("15 jobs gave intervals: %v %v", few[1].Diffs, err)
	}
}
