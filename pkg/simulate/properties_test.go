package simulate

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"pgregory.net/rapid"
)

// anySpan draws a duration up to most that is often 0 and often a round number of seconds, so that events meet at one instant.
func anySpan(t *rapid.T, most time.Duration, name string) time.Duration {
	switch rapid.IntRange(0, 3).Draw(t, name+" kind") {
	case 0:
		return 0
	case 1:
		return time.Duration(rapid.Int64Range(0, int64(most/time.Second)).Draw(t, name)) * time.Second
	}
	return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
}

func anyTime(t *rapid.T, most time.Duration, name string) cloudmodel.Distribution {
	switch rapid.IntRange(0, 3).Draw(t, name+" distribution") {
	case 0:
		return cloudmodel.Constant(anySpan(t, most, name))
	case 1:
		return cloudmodel.Exponential(anySpan(t, most, name))
	case 2:
		p50 := anySpan(t, most, name) + 1
		return cloudmodel.LogNormal(p50, p50+anySpan(t, most, name+" spread"))
	}
	return cloudmodel.Empirical(anySpan(t, most, name), anySpan(t, most, name+" other"))
}

func anyJobs(t *rapid.T) *Jobs {
	j := &Jobs{Names: []string{"", "linux", "windows"}}
	at := time.Duration(0)
	for range rapid.IntRange(0, 60).Draw(t, "jobs") {
		at += anySpan(t, 5*time.Minute, "gap")
		j.List = append(j.List, Job{Arrival: at, Duration: anySpan(t, 20*time.Minute, "duration"), Tag: rapid.IntRange(0, 2).Draw(t, "tag")})
	}
	return j
}

func anySchedule(t *rapid.T) *policy.Schedule {
	one := func(periods ...string) policy.Policy {
		s := policy.Settings{
			IdleCount: rapid.IntRange(0, 4).Draw(t, "idle count"), IdleTime: anySpan(t, 20*time.Minute, "idle time"),
			ScaleFactor: rapid.SampledFrom([]float64{0, 0.3, 1, 2}).Draw(t, "factor"), ScaleFactorLimit: rapid.IntRange(0, 3).Draw(t, "factor limit"),
			ScaleFactorMode: rapid.SampledFrom([]policy.FactorMode{policy.FactorMax, policy.FactorAdd}).Draw(t, "mode"),
		}
		s.Preemptive = s.IdleCount > 0 && rapid.Bool().Draw(t, "preemptive")
		return policy.Policy{Periods: periods, Settings: s}
	}
	list := []policy.Policy{one()}
	if rapid.Bool().Draw(t, "two policies") {
		list = append(list, one("*/20 * * * *", "1-9 2 * * *"))
	}
	s, err := policy.Compile(list, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anyCloud(t *rapid.T) cloudmodel.Config {
	c := cloudmodel.Config{
		Boot: anyTime(t, 10*time.Minute, "boot"), Delete: anyTime(t, 5*time.Minute, "delete"),
		Price: cloudmodel.Price{PerHour: 1, Billing: rapid.SampledFrom([]string{"second", "minute", "hour", "day"}).Draw(t, "billing"),
			Minimum: cloudmodel.D(anySpan(t, time.Hour, "minimum"))},
	}
	if rapid.Bool().Draw(t, "a perfect cloud") {
		return c
	}
	c.BootFailure = cloudmodel.BootFailure{Probability: rapid.Float64Range(0, 0.5).Draw(t, "boot failures"), After: anyTime(t, 5*time.Minute, "after"),
		Mode: rapid.SampledFrom([]string{cloudmodel.FailHang, cloudmodel.FailTimeout, cloudmodel.FailVanish, cloudmodel.FailDie}).Draw(t, "failure")}
	c.Spot = cloudmodel.Spot{
		ReclaimPerHour: rapid.SampledFrom([]float64{0, 0.2, 2}).Draw(t, "reclaims"), Notice: cloudmodel.D(anySpan(t, 2*time.Minute, "notice")),
	}
	c.Partial.Probability = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "partial")
	c.DeleteFailure.Probability = rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "delete failures")
	c.SlowCall = cloudmodel.SlowCall{Probability: rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "slow"), Delay: anyTime(t, 90*time.Second, "delay")}
	if rapid.Bool().Draw(t, "refusals") {
		c.CreateErrors = []cloudmodel.CreateError{{Created: rapid.Bool().Draw(t, "created all the same"),
			CallFailure: cloudmodel.CallFailure{Probability: 0.3, Kind: rapid.SampledFrom([]string{"transient", "capacity", "throttled"}).Draw(t, "kind")}}}
	}
	from := anySpan(t, 30*time.Minute, "stock-out")
	c.StockOut.Windows = []cloudmodel.Window{{From: cloudmodel.D(from), Until: cloudmodel.D(from + 1 + anySpan(t, 20*time.Minute, "stock-out length"))}}
	c.Quota.Limit = rapid.IntRange(0, 6).Draw(t, "quota")
	return c
}

func anyOptions(t *rapid.T) Options {
	return Options{
		Group: Group{
			CapacityPerInstance: rapid.IntRange(1, 4).Draw(t, "capacity"), MaxInstances: rapid.IntRange(0, 8).Draw(t, "max instances"),
			MaxUseCount: rapid.IntRange(0, 3).Draw(t, "max uses"), Policies: anySchedule(t),
			Throttle: policy.Throttle{Limit: rapid.SampledFrom([]float64{-1, 0, 0.1, 3}).Draw(t, "limit"), Burst: rapid.IntRange(0, 4).Draw(t, "burst")},
		},
		Start: start, Seed: rapid.Uint64().Draw(t, "seed"), Cloud: anyCloud(t), Ready: anyTime(t, time.Minute, "ready"),
		Instant: rapid.Bool().Draw(t, "instant"), Concurrent: rapid.IntRange(0, 5).Draw(t, "concurrent"),
		CheckInterval: rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "check interval"),
		Warmup:        anySpan(t, time.Hour, "warm-up"), Patience: time.Hour, Check: true, Timeline: 1 << 16,
	}
}

// integral is the area under a curve of the timeline, in value × seconds. The last step ends with the run.
func integral(r *Result, curve []float64) (sum float64) {
	for i, v := range curve {
		from := time.Duration(i) * r.Timeline.Step
		sum += v * min(r.Timeline.Step, r.End-from).Seconds()
	}
	return sum
}

func same(t *rapid.T, what string, got, want float64) {
	if math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
		t.Errorf("%s: %.9f, want %.9f", what, got, want)
	}
}

// Nothing is lost, and nothing comes from nowhere, whatever the options, with every invariant of the core checked at every step.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, jobs := anyOptions(t), anyJobs(t)
		r, err := Run(o, jobs.Again())
		if err != nil {
			t.Fatal(err)
		}
		arrived, service := 0, 0.0
		for _, j := range jobs.List {
			if j.Arrival >= o.Warmup {
				arrived++
			}
			service += j.Duration.Seconds()
		}
		if r.Arrived != arrived || r.Completed+r.Censored != arrived || r.Completed < 0 || r.Censored < 0 {
			t.Errorf("%d jobs arrived, the result has %d = %d done + %d censored", arrived, r.Arrived, r.Completed, r.Censored)
		}
		if r.Waits.Count != r.Completed {
			t.Errorf("%d waits of %d completed jobs", r.Waits.Count, r.Completed)
		}
		same(t, "instance-hours by phase", r.Hours.Busy+r.Hours.Idle+r.Hours.Boot+r.Hours.Drain, r.Hours.Total)
		alive := r.Instances.Created - r.Instances.Deleted - r.Instances.Reclaimed - r.Instances.Died
		if alive < 0 || alive > r.Instances.Peak || o.Group.MaxInstances > 0 && r.Instances.Peak > o.Group.MaxInstances {
			t.Errorf("%+v leaves %d alive, with a limit of %d", r.Instances, alive, o.Group.MaxInstances)
		}
		if r.Instances.Unproductive > r.Instances.Created {
			t.Errorf("%+v", r.Instances)
		}
		if least := r.Bound.AtStarts; r.Hours.Busy < least-1e-9 || r.Hours.Total < r.Hours.Busy-1e-9 {
			t.Errorf("%+v hours, and the least possible are %v", r.Hours, least)
		}
		var byCause, waits float64
		for _, c := range r.ByCause {
			byCause += c.Seconds
		}
		for _, w := range r.Waits.InOrder {
			waits += float64(w) / 1e9
		}
		same(t, "mean wait", r.Waits.Mean*float64(r.Waits.Count), waits)
		if r.Waits.Count == r.Arrived {
			if math.Abs(byCause-waits) > 1e-3 {
				t.Errorf("waits by cause come to %v s, all waits to %v s: %+v", byCause, waits, r.ByCause)
			}
		}
		if o.Warmup > 0 {
			return
		}
		whole(t, o, r, jobs, service)
	})
}

// whole holds the books of a run without a warm-up against each other: curves, sums and bills are counted in different places.
func whole(t *rapid.T, o Options, r *Result, jobs *Jobs, service float64) {
	line := r.Timeline
	same(t, "running jobs over time", integral(r, line.Running), r.BusySlots*3600)
	for _, c := range []struct {
		name  string
		curve []float64
		hours float64
	}{{"boot", line.Booting, r.Hours.Boot}, {"idle", line.Idle, r.Hours.Idle}, {"busy", line.Busy, r.Hours.Busy}, {"drain", line.Drain, r.Hours.Drain}} {
		same(t, c.name+" instances over time", integral(r, c.curve), c.hours*3600)
	}
	if r.Censored == 0 {
		same(t, "slot-seconds in use = service given", r.BusySlots*3600, service+r.LostSlots*3600)
		if r.Kills == 0 { // Little's law, with nothing at either boundary
			same(t, "queue over time = sum of waits", integral(r, line.Queue), r.Waits.Mean*float64(r.Waits.Count))
		}
	}
	if r.Kills == 0 && r.LostSlots != 0 {
		t.Errorf("no run was killed, and %v slot-hours are lost", r.LostSlots)
	}
	// Each life is rounded up to its unit, or to the minimum, by less than that.
	unit := map[string]float64{"second": 1. / 3600, "minute": 1. / 60, "hour": 1, "day": 24}[o.Cloud.Price.Billing]
	most := r.Hours.Total + float64(r.Instances.Created)*(unit+o.Cloud.Price.Minimum.Value().Hours())
	if r.Cost.Total < r.Hours.Total-1e-6 || r.Cost.Total > most+1e-6 {
		t.Errorf("%v instance-hours at 1 an hour cost %v, at most %v", r.Hours.Total, r.Cost.Total, most)
	}
	if units := r.Cost.Total / unit; math.Abs(units-math.Round(units)) > 1e-6*(1+units) {
		t.Errorf("%v is no whole number of %ss", r.Cost.Total, o.Cloud.Price.Billing)
	}
	if len(jobs.List) == 0 && r.Waits.Count != 0 {
		t.Errorf("%d waits of no job", r.Waits.Count)
	}
}

// Little's law when the run is cut off: jobs that never started waited from their arrival to the end.
func TestLittleWithBoundary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, jobs := Options{
			Group: Group{CapacityPerInstance: 1, MaxInstances: rapid.IntRange(1, 3).Draw(t, "max instances"), Throttle: policy.Throttle{Limit: -1}},
			Start: start, Cloud: cloudmodel.Config{Boot: anyTime(t, time.Minute, "boot")}, Check: true, Timeline: 1 << 16,
		}, anyJobs(t)
		stop := rapid.IntRange(0, 3).Draw(t, "hours of stock-out")
		o.Patience = time.Hour
		o.Cloud.StockOut.Windows = []cloudmodel.Window{{From: cloudmodel.D(time.Duration(stop) * time.Hour)}}
		r, err := Run(o, jobs)
		if err != nil {
			t.Fatal(err)
		}
		waited := r.Waits.Mean * float64(r.Waits.Count)
		for _, j := range jobs.List[r.Waits.Count:] { // first come, first served: those are the ones that never started
			waited += (r.End - j.Arrival).Seconds()
		}
		same(t, "queue over time", integral(r, r.Timeline.Queue), waited)
	})
}

func TestSameSeedSameResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, jobs := anyOptions(t), anyJobs(t)
		a, errA := Run(o, jobs.Again())
		o.Check, o.Progress = false, func(int, time.Duration) bool { return true } // looking changes nothing
		b, errB := Run(o, jobs.Again())
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("two runs, two results:\n%+v\n%+v", a, b)
		}
	})
}

// plain draws a setting without windows, rounding or fixed spans of the core, in which time can be stretched and shifted.
func plain(t *rapid.T, unit, most time.Duration) (Options, *Jobs) {
	span := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, int64(most/unit)).Draw(t, name)) * unit
	}
	s, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleTime: span("idle time"),
		ScaleFactor: rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "factor")}}}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Group: Group{CapacityPerInstance: rapid.IntRange(1, 3).Draw(t, "capacity"), MaxInstances: rapid.IntRange(0, 6).Draw(t, "max instances"),
			MaxUseCount: rapid.IntRange(0, 2).Draw(t, "max uses"), Policies: s, Throttle: policy.Throttle{Limit: -1},
			RequestedDeadline: forever, CreatingDeadline: forever, PreparingDeadline: forever, DeletingAlarm: forever, DeletionRetryInterval: forever},
		Start: start, Seed: rapid.Uint64().Draw(t, "seed"), Instant: true, Check: true, Patience: forever,
		Cloud: cloudmodel.Config{Boot: cloudmodel.Empirical(span("boot"), span("other boot")), Delete: cloudmodel.Constant(span("delete"))},
		Ready: cloudmodel.Constant(span("ready")), Concurrent: rapid.IntRange(0, 5).Draw(t, "concurrent"),
	}
	jobs, at := &Jobs{}, time.Duration(0)
	for range rapid.IntRange(0, 50).Draw(t, "jobs") {
		at += span("gap")
		jobs.List = append(jobs.List, Job{Arrival: at, Duration: span("duration")})
	}
	return o, jobs
}

// stretch multiplies every time of a setting.
func stretch(t *rapid.T, o Options, jobs *Jobs, k time.Duration) (Options, *Jobs) {
	settings := o.Group.Policies.At(start).Settings
	settings.IdleTime *= k
	s, err := policy.Compile([]policy.Policy{{Settings: settings}}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	o.Group.Policies = s
	b := o.Cloud.Boot.Samples
	o.Cloud.Boot = cloudmodel.Empirical(b[0].Value()*k, b[1].Value()*k)
	o.Cloud.Delete = cloudmodel.Constant(o.Cloud.Delete.Value.Value() * k)
	o.Ready = cloudmodel.Constant(o.Ready.Value.Value() * k)
	o.UpdateInterval, o.UpdateIntervalWhenExpecting = time.Minute*k, 2*time.Second*k
	long := &Jobs{}
	for _, j := range jobs.List {
		long.List = append(long.List, Job{Arrival: j.Arrival * k, Duration: j.Duration * k})
	}
	return o, long
}

func TestStretchedTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, jobs := plain(t, time.Second, 5*time.Minute)
		k := rapid.IntRange(2, 20).Draw(t, "k")
		a, err := Run(o, jobs.Again())
		if err != nil {
			t.Fatal(err)
		}
		o, long := stretch(t, o, jobs, time.Duration(k))
		b, err := Run(o, long)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Waits.InOrder {
			if b.Waits.InOrder[i] != a.Waits.InOrder[i]*int64(k) {
				t.Fatalf("start %d: waited %v, and %v with all times × %d", i, time.Duration(a.Waits.InOrder[i]), time.Duration(b.Waits.InOrder[i]), k)
			}
		}
		if a.Instances != b.Instances {
			t.Errorf("%+v, and %+v with all times × %d", a.Instances, b.Instances, k)
		}
		same(t, "instance-hours", b.Hours.Total, a.Hours.Total*float64(k))
	})
}

func TestShiftedTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, jobs := plain(t, time.Millisecond, 5*time.Minute)
		a, err := Run(o, jobs.Again())
		if err != nil {
			t.Fatal(err)
		}
		shift := anySpan(t, 1000*time.Hour, "shift")
		o.Start = o.Start.Add(anySpan(t, 1e6*time.Hour, "other start"))
		later := &Jobs{}
		for _, j := range jobs.List {
			later.List = append(later.List, Job{Arrival: j.Arrival + shift, Duration: j.Duration})
		}
		b, err := Run(o, later)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(a.Waits.InOrder) != fmt.Sprint(b.Waits.InOrder) || a.Instances != b.Instances || a.Completed != b.Completed {
			t.Errorf("a later trace is another one:\n%v %+v\n%v %+v", a.Waits.InOrder, a.Instances, b.Waits.InOrder, b.Instances)
		}
		same(t, "instance-hours", b.Hours.Total, a.Hours.Total)
	})
}

// With single use, no limit and the same random numbers, keeping more machines idle never delays the n-th create, so no job starts later.
// (With reuse or a throttle anomalies are legal, and nothing of the kind is claimed.)
func TestMoreIdleNeverWaitsLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jobs, boot := anyJobs(t), anyTime(t, 10*time.Minute, "boot")
		seed := rapid.Uint64().Draw(t, "seed")
		run := func(idle int) []int64 {
			s, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: idle, IdleTime: forever}}}, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Run(Options{
				Group: Group{CapacityPerInstance: 1, MaxUseCount: 1, Policies: s, Throttle: policy.Throttle{Limit: -1}, CreatingDeadline: forever},
				Start: start, Seed: seed, Instant: true, Cloud: cloudmodel.Config{Boot: boot}, Check: true,
			}, jobs.Again())
			if err != nil {
				t.Fatal(err)
			}
			return r.Waits.InOrder
		}
		few := rapid.IntRange(0, 6).Draw(t, "idle count")
		more := few + rapid.IntRange(1, 6).Draw(t, "more")
		a, b := run(few), run(more)
		for i := range a {
			if b[i] > a[i] {
				t.Fatalf("job %d waited %v at idle_count %d, and %v at %d", i+1, time.Duration(a[i]), few, time.Duration(b[i]), more)
			}
		}
	})
}
