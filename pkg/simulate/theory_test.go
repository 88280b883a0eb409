package simulate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// The closed forms of queueing theory that a correct simulation reproduces. Every estimate is held against the exact value with an interval of
// confidence 99.9 %, computed from the run itself, that must also be narrow: a test that could not fail would prove nothing.

const sure = 0.999

// longRun is n jobs, a tenth of that under the race detector.
func longRun(n int) int {
	if raceEnabled || testing.Short() {
		return n / 10
	}
	return n
}

func theory(t *testing.T, s policy.Settings) Options {
	t.Helper()
	return Options{
		Group: Group{CapacityPerInstance: 1, Policies: schedule(t, s), Throttle: policy.Throttle{Limit: -1}},
		Start: start, Instant: true,
	}
}

func mustRun(t *testing.T, o Options, w Workload) *Result {
	t.Helper()
	r, err := Run(o, w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails unless want lies in the interval and the interval is no wider than ± slack of want.
func near(t *testing.T, what string, got Interval, want, slack float64) {
	t.Helper()
	if raceEnabled || testing.Short() {
		slack *= 3.5 // ten times fewer jobs
	}
	if !got.Contains(want) || got.Half() > slack*want {
		t.Errorf("%s: %.5g ± %.2g, theory says %.6g (± %.2g at most)", what, got.Mean, got.Half(), want, slack*want)
	}
}

// share is the interval of the share of waits for which yes holds, by batch means.
func share(ns []int64, yes func(int64) bool) Interval {
	marks := make([]int64, len(ns))
	for i, v := range ns {
		if yes(v) {
			marks[i] = 1e9
		}
	}
	return BatchMeans(marks, 30, sure)
}

const forever = 1e6 * time.Hour

func TestErlangC(t *testing.T) {
	for _, c := range []struct {
		name                    string
		servers                 int
		load, wait, mean, p95of float64
	}{
		{"c=10 a=8", 10, 8, 0.4091801508, 0.2045900754, 1.0510662601},
		{"c=5 a=4", 5, 4, 0.5541125541, 0.5541125541, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := theory(t, policy.Settings{IdleCount: c.servers, IdleTime: forever})
			o.Group.MaxInstances, o.Warmup = c.servers, 1000*time.Second
			r := mustRun(t, o, poisson(11, longRun(2_000_000), c.load, 1))
			near(t, "P(wait)", share(r.Waits.InOrder, func(v int64) bool { return v > 0 }), c.wait, 0.03)
			near(t, "E[W]", BatchMeans(r.Waits.InOrder, 30, sure), c.mean, 0.08)
			if c.p95of > 0 {
				// P(W > p95) = 5 % is the same statement, and its interval is known.
				near(t, "P(W > p95)", share(r.Waits.InOrder, func(v int64) bool { return float64(v) > c.p95of*1e9 }), 0.05, 0.1)
			}
		})
	}
}

func TestInfiniteServers(t *testing.T) {
	// M/G/∞: single use, nothing kept: every job waits for one boot; alive ~ Poisson(λ(E[L]+E[S])), so the mean is λ(E[L]+E[S]).
	o := theory(t, policy.Settings{IdleTime: forever})
	o.Group.MaxUseCount, o.Cloud.Boot = 1, cloudmodel.Exponential(40*time.Second)
	jobs := poisson(12, longRun(300_000), 0.5, 60)
	r := mustRun(t, o, jobs)
	near(t, "E[W]", BatchMeans(r.Waits.InOrder, 30, sure), 40, 0.03)
	alive := r.Hours.Total * 3600 / r.End.Seconds()
	if want := 0.5 * 100; math.Abs(alive-want) > 0.03*want*slackOfRun() {
		t.Errorf("mean instances alive %.3f, theory says %.3f", alive, want)
	}
	o.Cloud.Boot = cloudmodel.Constant(40 * time.Second)
	r = mustRun(t, o, jobs.Again())
	if got := r.Waits.Quantile(0.001); math.Abs(got-40) > 1e-6 || math.Abs(r.Waits.Max-40) > 1e-6 {
		t.Errorf("with constant boots every wait is 40 s, got %v to %v", got, r.Waits.Max)
	}
}

func slackOfRun() float64 {
	if raceEnabled || testing.Short() {
		return 3.5
	}
	return 1
}

func TestBaseStockPalm(t *testing.T) {
	for _, c := range []struct {
		name             string
		keep             int
		wait, mean, idle float64
		boot             cloudmodel.Distribution
	}{
		{"K=4 exponential", 4, 0.6577040442, 21.76165008, 0.58808250, cloudmodel.Exponential(90 * time.Second)},
		{"K=8 exponential", 8, 0.0865864716, 1.35161245, 3.56758062, cloudmodel.Exponential(90 * time.Second)},
		{"K=4 constant", 4, 0.6577040442, 21.76165008, 0.58808250, cloudmodel.Constant(90 * time.Second)},
		{"K=4 samples", 4, 0.6577040442, 21.76165008, 0.58808250, cloudmodel.Empirical(30*time.Second, 60*time.Second, 180*time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := theory(t, policy.Settings{IdleCount: c.keep, IdleTime: forever})
			o.Group.MaxUseCount, o.Cloud.Boot, o.Warmup = 1, c.boot, 10_000*time.Second
			r := mustRun(t, o, poisson(13, longRun(400_000), 0.05, 60))
			near(t, "P(wait)", share(r.Waits.InOrder, func(v int64) bool { return v > 0 }), c.wait, 0.08)
			near(t, "E[W]", BatchMeans(r.Waits.InOrder, 30, sure), c.mean, 0.12)
			idle := r.Hours.Idle * 3600 / (r.End - o.Warmup).Seconds()
			if math.Abs(idle-c.idle) > 0.02*slackOfRun() {
				t.Errorf("mean idle %.4f, theory says %.4f", idle, c.idle)
			}
		})
	}
}

func TestThrottleClosedForm(t *testing.T) {
	// A burst of n jobs at once: the k-th create happens at max(0, (k−b)/r), and with constant boots the k-th start a boot later.
	const n, b, rate = 40, 10, 2.0
	o := theory(t, policy.Settings{IdleTime: forever})
	o.Group.MaxUseCount, o.Group.Throttle, o.Cloud.Boot = 1, policy.Throttle{Limit: rate, Burst: b}, cloudmodel.Constant(30*time.Second)
	jobs := &Jobs{}
	for range n {
		jobs.List = append(jobs.List, Job{Arrival: time.Minute, Duration: time.Hour})
	}
	r := mustRun(t, o, jobs)
	for k := 1; k <= n; k++ {
		want := 30 + max(0, float64(k-b)/rate)
		if got := float64(r.Waits.InOrder[k-1]) / 1e9; math.Abs(got-want) > 1e-3 {
			t.Errorf("job %d started after %.6f s, theory says %.6f", k, got, want)
		}
	}
	o.Group.Throttle = policy.Throttle{Limit: 1, Burst: 50}
	if r := mustRun(t, o, &Jobs{List: append(jobs.Again().List, make([]Job, 0)...)}); r.Waits.Max > 30+1e-3 {
		t.Errorf("40 jobs within a burst of 50 waited up to %v s", r.Waits.Max)
	}
}

func TestTimeVaryingLoad(t *testing.T) {
	// Mt/G/∞ (Eick, Massey, Whitt 1993): jobs in service at t are Poisson with mean ∫ λ(t−u) P(S>u) du. For λ(t) = λ0 + λ1 sin(γt) and
	// exponential service of mean 1/μ that is λ0/μ + λ1 (μ sin γt − γ cos γt)/(μ²+γ²).
	const day, mean, l0, l1 = 86400.0, 3600.0, 0.02, 0.015
	gamma, mu := 2*math.Pi/day, 1/mean
	r := rand.New(rand.NewPCG(5, 5))
	days := longRun(400)
	counts, points := make([]float64, 24), make([]float64, 24)
	jobs := &Jobs{}
	for at := 0.0; ; {
		at += r.ExpFloat64() / (l0 + l1)
		if at > float64(days)*day {
			break
		}
		if r.Float64() < (l0+l1*math.Sin(gamma*at))/(l0+l1) {
			jobs.List = append(jobs.List, Job{Arrival: time.Duration(at * 1e9), Duration: time.Duration(r.ExpFloat64() * mean * 1e9)})
		}
	}
	o := theory(t, policy.Settings{IdleTime: forever})
	o.Group.MaxUseCount, o.Timeline = 1, days*24*2
	res := mustRun(t, o, jobs)
	for i, v := range res.Timeline.Running {
		at := float64(i) * res.Timeline.Step.Seconds()
		if at < 2*day || at+res.Timeline.Step.Seconds() > float64(days)*day {
			continue
		}
		h := int(math.Mod(at+res.Timeline.Step.Seconds()/2, day) / 3600)
		counts[h] += v
		points[h]++
	}
	for h := range counts {
		got, want := counts[h]/points[h], 0.0
		for k := range 100 { // the mean over the hour
			at := (float64(h) + (float64(k)+0.5)/100) * 3600
			want += (l0/mu + l1*(mu*math.Sin(gamma*at)-gamma*math.Cos(gamma*at))/(mu*mu+gamma*gamma)) / 100
		}
		// One day's hour is nearly one Poisson draw: its standard error over the days, times 4.
		if limit := 4 * math.Sqrt(want/float64(days-2)); math.Abs(got-want) > limit {
			t.Errorf("hour %d: %.2f jobs run, theory says %.2f ± %.2f", h, got, want, limit)
		}
	}
}

func TestSpotRestartsFromZero(t *testing.T) {
	// E[total run time] = (e^{θs} − 1)/θ; P(a run is killed) = 1 − e^{−θs}.
	const s = 3600.0
	theta := 1.0 / 7200
	n := longRun(60_000)
	jobs := &Jobs{}
	for i := range n {
		jobs.List = append(jobs.List, Job{Arrival: time.Duration(i) * 100 * time.Second, Duration: time.Hour})
	}
	o := theory(t, policy.Settings{IdleTime: 0})
	o.Group.MaxUseCount, o.Cloud.Spot.ReclaimPerHour = 1, 3600*theta
	r := mustRun(t, o, jobs)
	if r.Completed != n {
		t.Fatalf("%d of %d jobs ended", r.Completed, n)
	}
	runs := float64(n + r.Kills)
	killed, p := float64(r.Kills)/runs, 1-math.Exp(-theta*s)
	if limit := 4 * math.Sqrt(p*(1-p)/runs); math.Abs(killed-p) > limit {
		t.Errorf("share of killed runs %.4f, theory says %.4f ± %.4f", killed, p, limit)
	}
	want := (math.Exp(theta*s) - 1) / theta
	if got := r.BusySlots * 3600 / float64(n); math.Abs(got-want) > 0.03*want*slackOfRun() {
		t.Errorf("total run time a job %.1f s, theory says %.1f", got, want)
	}
}

func TestKeepAlive(t *testing.T) {
	// One slot kept for τ after a job: the next arrival within τ is warm. With jobs of no length P(cold) = e^{−λτ} and the idle time paid an
	// interval is (1−e^{−λτ})/λ.
	const rate, tau = 0.01, 60.0
	n := longRun(200_000)
	o := theory(t, policy.Settings{IdleTime: time.Duration(tau * float64(time.Second))})
	o.Group.MaxInstances, o.Cloud.Boot = 1, cloudmodel.Constant(time.Millisecond)
	r := mustRun(t, o, poisson(14, n, rate, 1e-6))
	cold, p := float64(r.Instances.Created)/float64(n), math.Exp(-rate*tau)
	if limit := 4 * math.Sqrt(p*(1-p)/float64(n)); math.Abs(cold-p) > limit {
		t.Errorf("P(cold) %.4f, theory says %.4f ± %.4f", cold, p, limit)
	}
	idle, want := r.Hours.Idle*3600/float64(n), (1-p)/rate
	if math.Abs(idle-want) > 0.02*want*slackOfRun() {
		t.Errorf("idle paid an interval %.3f s, theory says %.3f", idle, want)
	}
}

func TestSetupQueue(t *testing.T) {
	// M/G/1 with setup D after every idle period: E[W] = λE[S²]/(2(1−ρ)) + (2E[D]+λE[D²])/(2(1+λE[D])). λ=.6, S~exp(1), D=5: 4.625.
	o := theory(t, policy.Settings{IdleTime: 0})
	o.Group.MaxInstances, o.Cloud.Boot = 1, cloudmodel.Constant(5*time.Second)
	r := mustRun(t, o, poisson(15, longRun(1_000_000), 0.6, 1))
	near(t, "E[W]", BatchMeans(r.Waits.InOrder, 30, sure), 4.625, 0.04)
}
