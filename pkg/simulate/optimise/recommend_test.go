package optimise

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/config"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

func recommend(t *testing.T, p Problem) *Recommendation {
	t.Helper()
	r, err := Recommend(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// only lets a search change these keys.
func only(keys ...Key) []Key {
	return slices.DeleteFunc(allKeys(), func(k Key) bool { return slices.Contains(keys, k) })
}

func TestFindsTheOptimum(t *testing.T) {
	// One knob, all values of which can be tried: the least stock that keeps the promise.
	for _, limit := range []string{"5s", "20s", "45s"} {
		p := smallProblem(size(2000, 300))
		p.Fixed, p.Slack, p.SLO = only(KeyIdleCount), -1, assertions(t, "mean_wait<="+limit)
		r := recommend(t, p)
		train := p.withDefaults()
		part := train.cut(0, r.TrainJobs)
		best, at := math.Inf(1), 0
		for k := range 61 {
			setup := p.today()
			setup.Policies = []policy.Policy{{Settings: policy.Settings{IdleCount: k, IdleTime: 20 * time.Minute}}}
			o, err := p.options(setup, part.start)
			if err != nil {
				t.Fatal(err)
			}
			res, err := simulate.Run(o, part.jobs.Again())
			if err != nil {
				t.Fatal(err)
			}
			if res.Waits.Mean <= p.SLO[0].Limit && res.Hours.Total < best {
				best, at = res.Hours.Total, k
			}
		}
		if got := r.Best(); !r.Met || math.Abs(got.Train.InstanceHours-best) > 1e-9 || got.Setup.Policies[0].IdleCount != at {
			t.Errorf("mean_wait<=%s: the search chose %s with %.3f hours, the best of all is idle_count %d with %.3f", limit, got.Name,
				got.Train.InstanceHours, at, best)
		}
	}
}

func TestNearTheOptimumOfTwoKnobs(t *testing.T) {
	p := smallProblem(size(1200, 250))
	p.Options.Group.MaxUseCount = 0
	p.Fixed, p.Slack, p.SLO, p.Budget = only(KeyIdleCount, KeyIdleTime), -1, assertions(t, "p95_wait<=30s"), 60
	r := recommend(t, p)
	part := p.cut(0, r.TrainJobs)
	best := math.Inf(1)
	for k := range 16 {
		for _, idle := range idleTimes() {
			setup := p.today()
			setup.Policies = []policy.Policy{{Settings: policy.Settings{IdleCount: k, IdleTime: idle}}}
			o, err := p.options(setup, part.start)
			if err != nil {
				t.Fatal(err)
			}
			res, err := simulate.Run(o, part.jobs.Again())
			if err != nil {
				t.Fatal(err)
			}
			if res.Waits.Quantile(0.95) <= 30 {
				best = min(best, res.Hours.Total)
			}
		}
	}
	if got := r.Best(); !r.Met || got.Train.InstanceHours > best*1.005 {
		t.Errorf("the search chose %s with %.3f hours, the best of 384 has %.3f", got.Name, got.Train.InstanceHours, best)
	}
}

func TestSameSeedSameAnswer(t *testing.T) {
	p := smallProblem(400)
	p.SLO = assertions(t, "p95_wait<=30s")
	one := p
	one.Workers = 1
	a, b := recommend(t, one), recommend(t, p)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one worker chose %s of %d, two %s of %d", a.Best().Name, len(a.Points), b.Best().Name, len(b.Points))
	}
	var x, y bytes.Buffer
	if err := errors.Join(a.TOML(&x, "jobs.csv"), b.TOML(&y, "jobs.csv")); err != nil || x.String() != y.String() {
		t.Errorf("two texts of one answer (%v)", err)
	}
	p.Options.Seed++
	if c := recommend(t, p); slices.EqualFunc(a.Points, c.Points, func(x, y Point) bool { return x.Name == y.Name }) {
		t.Error("another seed tried the same candidates: the seed has no say")
	}
}

func TestAnswerIsConsistent(t *testing.T) {
	p := smallProblem(600)
	p.Options.Cloud.Price = cloudmodel.Price{PerHour: 2}
	stages := map[string]bool{}
	p.Progress = func(pr Progress) {
		stages[pr.Stage] = true
		if pr.Done > pr.Budget {
			t.Errorf("%v of %v runs", pr.Done, pr.Budget)
		}
	}
	r := recommend(t, p)
	if r.Objective != Cost || len(r.SLO) != 1 || r.SLO[0].Path != "wait_seconds.p95" {
		t.Errorf("with a price and without a promise the search was for %s with %v", r.Objective, r.SLO)
	}
	if !stages["narrowing"] || !stages["refining"] || !stages["testing"] || r.Runs > float64(p.Budget)+2 {
		t.Errorf("stages %v, %v runs", stages, r.Runs)
	}
	today, best := r.Points[r.Today], r.Best()
	if !today.Today || !best.Chosen || len(r.Points) < 10 || r.TrainJobs != 360 || r.Holdout.Jobs != 240 {
		t.Fatalf("today %v, chosen %v, %d points, %d + %d jobs", today.Today, best.Chosen, len(r.Points), r.TrainJobs, r.Holdout.Jobs)
	}
	for i, x := range r.Points {
		if i > 0 && x.Train.Objective < r.Points[i-1].Train.Objective {
			t.Fatal("the points are not in the order of the objective")
		}
		dominated := slices.ContainsFunc(r.Points, func(y Point) bool {
			return y.Train.Objective <= x.Train.Objective && y.Train.P95Wait <= x.Train.P95Wait &&
				(y.Train.Objective < x.Train.Objective || y.Train.P95Wait < x.Train.P95Wait)
		})
		if x.OnFront && dominated {
			t.Errorf("%s is on the front, and is dominated", x.Name)
		}
	}
	if r.Met && r.Points[r.SameWait].Train.P95Wait > today.Train.P95Wait {
		t.Error("the saving at equal wait has a longer wait")
	}
	if got := 1 - r.Points[r.SameWait].Train.Objective/today.Train.Objective; math.Abs(got-r.Saving) > 1e-12 {
		t.Errorf("saves %v, said %v", got, r.Saving)
	}
	if got := today.Train.P95Wait - r.Points[r.SameCost].Train.P95Wait; math.Abs(got-r.Sooner) > 1e-9 {
		t.Errorf("%v s sooner, said %v", got, r.Sooner)
	}
	if len(r.Holdout.Diffs) == 0 || r.Holdout.Samples < 2 {
		t.Errorf("no intervals on the rest: %+v", r.Holdout)
	}
}

// officeJobs are two weeks with jobs from 8 to 18 on weekdays, and nearly none else.
func officeJobs() *simulate.Jobs {
	zone := berlin()
	return poissonJobs(5, 6000, 0.015, func(at time.Duration) float64 {
		t := officeStart(zone).Add(at)
		if h := t.Hour(); t.Weekday() != 0 && t.Weekday() != 6 && h >= 8 && h < 18 {
			return 0.015
		}
		return 0.00015
	}, 120)
}

func berlin() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}

func officeStart(zone *time.Location) time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, zone) }

func officeProblem(t *testing.T) Problem {
	p := smallProblem(100)
	p.Jobs, p.Options.Start = officeJobs(), officeStart(berlin())
	p.Options.Cloud.Boot = cloudmodel.Constant(3 * time.Minute)
	p.Today = []policy.Policy{{Settings: policy.Settings{IdleCount: 8, IdleTime: 20 * time.Minute}}}
	p.SLO, p.Budget, p.Fixed = assertions(t, "mean_wait<=10s"), 64, []Key{KeyScaleFactor} // a factor follows the hours by itself
	return p
}

func TestOfficeHours(t *testing.T) {
	p := officeProblem(t)
	p.Budget = size(p.Budget, 24)
	r := recommend(t, p)
	best := r.Best()
	if !r.Met || len(best.Setup.Policies) != 2 || !slices.Equal(best.Setup.Policies[1].Periods, []string{"* 8-17 * * mon-fri"}) ||
		best.Setup.Policies[1].Timezone != "Europe/Berlin" {
		t.Fatalf("the office hours were not found: met %t, %s", r.Met, best.Name)
	}
	if today := r.Points[r.Today]; best.Train.InstanceHours > 0.6*today.Train.InstanceHours {
		t.Errorf("%.1f instance-hours, today %.1f: nights and weekends cost too much", best.Train.InstanceHours, today.Train.InstanceHours)
	}
	if !r.Holdout.Met {
		t.Errorf("on the rest: %v", r.Holdout.Verdicts)
	}
	if d := r.Holdout.Diffs["instance_hours.total"]; d.High >= 0 {
		t.Errorf("the saving on the rest is %+v, no luck excluded", d)
	}
}

func TestTOMLIsValid(t *testing.T) {
	office := recommend(t, smallProblem(300))
	office.Points[office.Chosen].Setup.Policies = []policy.Policy{{Settings: policy.Settings{IdleTime: 2 * time.Minute}},
		{Periods: []string{"* 8-17 * * mon-fri"}, Timezone: "Europe/Berlin", Settings: policy.Settings{IdleCount: 8, IdleTime: time.Hour}}}
	limits := smallProblem(300)
	limits.Options.Group.MaxUseCount = 0
	limits.Capacities, limits.SLO = []int{2, 4}, assertions(t, "p95_wait<=1h")
	capacity := recommend(t, limits)
	if capacity.Best().Setup.Capacity == 1 {
		t.Errorf("slots for nothing were not taken: %s", capacity.Best().Name)
	}
	capacity.Points[capacity.Chosen].Setup.Throttle = policy.Throttle{Limit: 5, Burst: 20}
	full := recommend(t, smallProblem(300))
	full.Points[full.Chosen].Setup = Setup{Capacity: 3, MaxInstances: 7, Throttle: policy.Throttle{Limit: 0.25, Burst: 2},
		Policies: []policy.Policy{{Periods: []string{"* * * * sat,sun", "* 0-7,18-23 * * *"}, Timezone: "Asia/Seoul", Settings: policy.Settings{
			IdleCount: 3, IdleTime: 90 * time.Second, ScaleFactor: 1.25, ScaleFactorLimit: 12, ScaleFactorMode: policy.FactorAdd, Preemptive: true,
			Throttle: &policy.Throttle{Limit: -1}}}}}
	for name, r := range map[string]*Recommendation{"office": office, "capacity": capacity, "everything": full} {
		var b bytes.Buffer
		if err := r.TOML(&b, "jobs\n[evil]\u2028.csv"); err != nil {
			t.Fatal(err)
		}
		if report := config.ValidateFragment("snippet.toml", b.Bytes()); len(report.Problems) > 0 {
			t.Errorf("%s: %v\n%s", name, report.Problems, b.String())
		}
		file, report := config.Parse("config.toml", []byte(wholeFile(b.String())))
		if file == nil || len(report.Faults()) > 0 {
			t.Fatalf("%s: %v\n%s", name, report.Problems, b.String())
		}
		a, want := file.Runners[0].Autoscaler, r.Best().Setup
		if len(a.Policies) != len(want.Policies) {
			t.Fatalf("%s: %d policies, want %d\n%s", name, len(a.Policies), len(want.Policies), b.String())
		}
		for i, p := range want.Policies {
			got := a.Policies[i]
			if !reflect.DeepEqual(got.Settings, p.Settings) && got.Throttle == nil {
				t.Errorf("%s: policy %d is %+v, want %+v", name, i+1, got.Settings, p.Settings)
			}
			if len(p.Periods) > 0 && (!slices.Equal(got.Periods, p.Periods) || got.Timezone != p.Timezone) {
				t.Errorf("%s: policy %d holds %q in %q, want %q in %q", name, i+1, got.Periods, got.Timezone, p.Periods, p.Timezone)
			}
		}
		for _, some := range []string{"# Evidence: jobs [evil]", "seed 7", "training part:", "95 % intervals", "instance-hours"} {
			if !strings.Contains(b.String(), some) {
				t.Errorf("%s: the evidence does not say %q:\n%s", name, some, b.String())
			}
		}
	}
}

// wholeFile is a config.toml with a snippet in it, whose sections are where a reader would put them.
func wholeFile(snippet string) string {
	const head = "[[runners]]\nname = \"r\"\nurl = \"https://ci.example\"\ntoken = \"t\"\nexecutor = \"instance\"\n"
	const section, plugin = "[runners.autoscaler]\n", "plugin = \"fake\"\n"
	if strings.Contains(snippet, section) {
		return head + strings.Replace(snippet, section, section+plugin, 1)
	}
	return head + section + plugin + "max_instances = 100\n" + snippet
}
