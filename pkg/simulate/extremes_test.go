package simulate

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// Whatever a file says, a run ends, without a panic and with the books in order.
func TestExtremes(t *testing.T) {
	century := 100 * 365 * 24 * time.Hour
	few := func(at, length time.Duration) *Jobs {
		return &Jobs{List: []Job{{Duration: length}, {Arrival: at, Duration: length}, {Arrival: at, Duration: 0}}}
	}
	for _, c := range []struct {
		name   string
		jobs   *Jobs
		change func(o *Options)
		done   int
	}{
		{"a job of a century, after another", few(century/2, century/2), func(*Options) {}, 3},
		{"everything at once", few(0, 0), func(*Options) {}, 3},
		{"no machine ever", few(time.Minute, time.Minute), func(o *Options) { o.Cloud.StockOut.Windows = []cloudmodel.Window{{}} }, 0},
		{"no boot ever", few(time.Minute, time.Minute), func(o *Options) { o.Cloud.BootFailure.Probability = 1 }, 0},
		{"every create is refused", few(time.Minute, time.Minute), func(o *Options) {
			o.Cloud.CreateErrors = []cloudmodel.CreateError{{CallFailure: cloudmodel.CallFailure{Probability: 1, Kind: "config"}}}
		}, 0},
		{"every delete is refused", few(time.Hour, time.Minute), func(o *Options) { o.Cloud.DeleteFailure.Probability = 1 }, 3},
		{"boots that take a century", few(time.Minute, time.Minute), func(o *Options) { o.Cloud.Boot = cloudmodel.Constant(century) }, 0},
		{"calls that take a century", few(time.Minute, time.Minute), func(o *Options) {
			o.Cloud.SlowCall = cloudmodel.SlowCall{Probability: 1, Delay: cloudmodel.Constant(century)}
		}, 3},
		{"reclaimed every second", few(time.Minute, time.Hour), func(o *Options) { o.Cloud.Spot.ReclaimPerHour = 3600 }, -1},
		{"a create a fortnight", few(time.Minute, time.Minute), func(o *Options) { o.Group.Throttle = policy.Throttle{Limit: 1e-9, Burst: 1} }, -1},
		{"preemptive, and nothing idle", few(time.Minute, time.Minute), func(o *Options) {
			o.Group.Policies = schedule(t, policy.Settings{Preemptive: true})
		}, 0},
		{"more idle than the limit", few(time.Minute, time.Minute), func(o *Options) {
			o.Group.MaxInstances, o.Group.Policies = 3, schedule(t, policy.Settings{IdleCount: math.MaxInt32, ScaleFactor: math.MaxFloat64})
		}, 3},
		{"thousands of slots a machine", few(time.Minute, time.Minute), func(o *Options) { o.Group.CapacityPerInstance = 1 << 14 }, 3},
		{"updates every nanosecond", few(0, 0), func(o *Options) { o.UpdateInterval, o.UpdateIntervalWhenExpecting = 1, 1 }, 3},
		{"polls every millisecond", few(time.Second, 0), func(o *Options) { o.CheckInterval, o.Concurrent = time.Millisecond, 1 }, 3},
		{"a warm-up that never ends", few(time.Minute, time.Minute), func(o *Options) { o.Warmup = century }, 0},
		{"a calendar far away", few(time.Hour, time.Minute), func(o *Options) { o.Start = time.Date(9999, 12, 31, 23, 30, 0, 0, time.UTC) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{
				Group: Group{CapacityPerInstance: 1, Policies: schedule(t, policy.Settings{IdleTime: time.Minute}), Throttle: policy.Throttle{Limit: -1}},
				Start: start, Check: true, Timeline: 100,
			}
			c.change(&o)
			r := mustRun(t, o, c.jobs)
			if r.Completed != c.done && c.done >= 0 || r.Completed+r.Censored != r.Arrived {
				t.Errorf("%d of %d jobs done, %d censored, want %d done", r.Completed, r.Arrived, r.Censored, c.done)
			}
			for _, v := range []float64{r.Waits.Mean, r.Hours.Total, r.Cost.Total, r.Utilization, r.Bound.AtOnce} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Errorf("a figure is %v: %+v", v, r)
				}
			}
		})
	}
}

func TestWorkloadsThatCannotBe(t *testing.T) {
	o := Options{Group: Group{Policies: schedule(t, policy.Settings{})}, Start: start}
	for _, c := range []struct {
		name string
		list []Job
		job  int
	}{
		{"back in time", []Job{{Arrival: time.Minute}, {Arrival: time.Second}}, 2},
		{"before the start", []Job{{Arrival: -1}}, 1},
		{"negative duration", []Job{{}, {Duration: -1}}, 2},
		{"longer than time", []Job{{Duration: math.MaxInt64}}, 1},
		{"later than time", []Job{{Arrival: math.MaxInt64}}, 1},
		{"an unknown tag", []Job{{Tag: 1}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(o, &Jobs{List: c.list})
			var bad *WorkloadError
			if !errors.As(err, &bad) || bad.Job != c.job {
				t.Errorf("error is %v, want one about job %d", err, c.job)
			}
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(o *Options)
	}{
		{"warmup must not be negative", func(o *Options) { o.Warmup = -1 }},
		{"check_interval must not be negative", func(o *Options) { o.CheckInterval = -1 }},
		{"a millisecond at least", func(o *Options) { o.CheckInterval = 1 }},
		{"concurrent must not be negative", func(o *Options) { o.Concurrent = -1 }},
		{"CapacityPerInstance must not be negative", func(o *Options) { o.Group.CapacityPerInstance = -1 }},
		{"MaxInstances must not be negative", func(o *Options) { o.Group.MaxInstances = -1 }},
		{"MaxUseCount must not be negative", func(o *Options) { o.Group.MaxUseCount = -1 }},
		{"ProviderMax must not be negative", func(o *Options) { o.Group.ProviderMax = -1 }},
		{"MissingLists must not be negative", func(o *Options) { o.Group.MissingLists = -1 }},
		{"RequestedDeadline must not be negative", func(o *Options) { o.Group.RequestedDeadline = -1 }},
		{"RememberFor must not be negative", func(o *Options) { o.Group.RememberFor = -1 }},
		{"the start of the run is not set", func(o *Options) { o.Start = time.Time{} }},
		{"p95: must not be less than p50", func(o *Options) { o.Cloud.Boot = cloudmodel.LogNormal(time.Minute, time.Second) }},
		{"mean: must not be negative", func(o *Options) { o.Ready = cloudmodel.Exponential(-1) }},
	} {
		o := Options{Group: Group{Policies: schedule(t, policy.Settings{})}, Start: start}
		c.change(&o)
		if _, err := Run(o, &Jobs{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}
