package optimise

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

func TestProfileFindsOfficeHours(t *testing.T) {
	p := profileOf(officeJobs().List, officeStart(berlin()))
	list := p.windows()
	if len(list) == 0 || list[0].periods[0] != "* 8-17 * * mon-fri" {
		t.Fatalf("windows %+v", list)
	}
	on, _ := p.rate(list[0].holds)
	off, _ := p.rate(func(d, h int) bool { return !list[0].holds(d, h) })
	if math.Abs(on-0.015) > 0.0015 || math.Abs(off-0.00015) > 0.0001 {
		t.Errorf("rates %v and %v", on, off)
	}
	if steady := profileOf(poissonJobs(1, 20_000, 0.02, nil, 60).List, monday()).windows(); len(steady) != 0 {
		t.Errorf("a steady stream has the busy hours %v", steady[0].periods)
	}
}

func TestWindowsAreWhatTheirPeriodsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var busy [24]bool
		for h := range busy {
			busy[h] = rapid.Bool().Draw(t, "busy")
		}
		w := window{hours: longest(busy), days: [7]bool{true, true, true, true, true, true, true}}
		if rapid.Bool().Draw(t, "workdays") {
			w.days[0], w.days[6] = false, false
		}
		if !slices.Contains(w.hours[:], true) {
			return
		}
		w.periods = []string{w.cron()}
		again := windowOf(policy.Policy{Periods: w.periods})
		if again.hours != w.hours || again.days != w.days {
			t.Fatalf("%q holds %v on %v, want %v on %v", w.periods[0], again.hours, again.days, w.hours, w.days)
		}
	})
}

func TestLongestGoesAroundMidnight(t *testing.T) {
	var busy [24]bool
	for _, h := range []int{22, 23, 1, 2, 9, 10} { // the hole at 0 is filled
		busy[h] = true
	}
	got := longest(busy)
	if text := ranges(got); text != "0-2,22-23" {
		t.Errorf("the longest stretch is %s", text)
	}
}

func TestRotate(t *testing.T) {
	jobs := poissonJobs(4, 500, 0.002, nil, 60)
	for _, from := range []int{0, 1, 137, 499} {
		got, start := rotate(jobs, monday(), from)
		if len(got.List) != 500 || from > 0 && got.List[0].Arrival != 0 {
			t.Fatalf("from %d: %d jobs, the first at %v", from, len(got.List), got.List[0].Arrival)
		}
		for i, j := range got.List {
			was := jobs.List[(from+i)%500]
			if i > 0 && j.Arrival < got.List[i-1].Arrival || j.Duration != was.Duration {
				t.Fatalf("from %d: job %d is %+v, was %+v", from, i, j, was)
			}
			if a, b := start.Add(j.Arrival), monday().Add(was.Arrival); a.Sub(b)%(24*time.Hour) != 0 {
				t.Fatalf("from %d: job %d arrives at %v, was at %v", from, i, a, b)
			}
		}
	}
}

func TestBacktest(t *testing.T) {
	p := smallProblem(600)
	p.SLO, p.Budget = assertions(t, "mean_wait<=20s"), 16
	adjusted := 0
	b, err := backtest(context.Background(), p, 5, func(p *Problem, train *simulate.Jobs) error {
		adjusted++
		if len(train.List) != 360 || len(p.Jobs.List) != 600 {
			t.Errorf("%d of %d jobs to learn from", len(train.List), len(p.Jobs.List))
		}
		return nil
	}, func(rest *simulate.Jobs) (rivalFigures, error) {
		return rivalFigures{MeanWait: 30, InstanceHours: 2 * jobsHours(rest)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var wait, hours float64
	for _, s := range b.Splits {
		f := s.Recommendation.Holdout.Chosen
		if s.Wait != f.MeanWait-30 || math.Abs(s.Hours-(f.InstanceHours/s.Rival.InstanceHours-1)) > 1e-12 {
			t.Errorf("split %+v", s)
		}
		wait, hours = wait+s.Wait/5, hours+s.Hours/5
	}
	if adjusted != 5 || math.Abs(b.Wait.Mean-wait) > 1e-9 || math.Abs(b.Hours.Mean-hours) > 1e-9 || b.Wait.Half() <= 0 {
		t.Errorf("%d splits adjusted; %+v and %+v, means %v and %v", adjusted, b.Wait, b.Hours, wait, hours)
	}
	fails := errors.New("no rival")
	if _, err := backtest(context.Background(), p, 1, nil, func(*simulate.Jobs) (rivalFigures, error) { return rivalFigures{}, fails }); !errors.Is(err, fails) {
		t.Errorf("a rival that failed gave %v", err)
	}
	if _, err := backtest(context.Background(), p, 0, nil, nil); err == nil {
		t.Error("no split at all was a backtest")
	}
}

func TestProblemErrors(t *testing.T) {
	for want, spoil := range map[string]func(p *Problem){
		"too small to learn from":       func(p *Problem) { p.Jobs = &simulate.Jobs{} },
		"at least 50 are needed":        func(p *Problem) { p.Jobs = nil },
		"training share":                func(p *Problem) { p.Train = 1.5 },
		"there is no price":             func(p *Problem) { p.Objective = Cost },
		`objective "speed" is unknown`:  func(p *Problem) { p.Objective = "speed" },
		`"colour" cannot be fixed`:      func(p *Problem) { p.Fixed = []Key{"colour"} },
		"a capacity must be at least 1": func(p *Problem) { p.Capacities = []int{0} },
		"today's policies":              func(p *Problem) { p.Today[0].Periods = []string{"never"} },
		"warmup must be 0":              func(p *Problem) { p.Options.Warmup = time.Hour },
		"start of the run is not set":   func(p *Problem) { p.Options.Start = time.Time{} },
		"there is no figure":            func(p *Problem) { p.SLO = []Assertion{{Path: "wait_by_tag.x.p95", Operator: "<", Limit: 1}} },
		"before the job ahead of it":    func(p *Problem) { p.Jobs.List[9].Arrival = 0 },
		"its duration is negative":      func(p *Problem) { p.Jobs.List[9].Duration = -1 },
	} {
		p := smallProblem(100)
		spoil(&p)
		if _, err := Recommend(context.Background(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Recommend(ctx, smallProblem(100)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled search returned %v", err)
	}
}

func TestWarnings(t *testing.T) {
	p := smallProblem(300)
	p.SLO, p.Fixed = assertions(t, "p95_wait<=1s"), allKeys() // nothing may be changed, so nothing helps
	r := recommend(t, p)
	if r.Met || !strings.Contains(strings.Join(r.Warnings, "\n"), "no tried policy keeps p95_wait<=1s") {
		t.Errorf("met %t, %q", r.Met, r.Warnings)
	}
	// The rest is three times as busy as the training part.
	p = smallProblem(300)
	p.Jobs = poissonJobs(1, 600, 0.15, func(at time.Duration) float64 {
		if at > 2*time.Hour {
			return 0.15
		}
		return 0.05
	}, 120)
	p.SLO, p.Slack = assertions(t, "mean_wait<=15s"), -1
	p.Fixed = only(KeyIdleCount)
	r = recommend(t, p)
	if !r.Met || r.Holdout.Met || !strings.Contains(strings.Join(r.Warnings, "\n"), "holds on the training part but not on the rest") {
		t.Errorf("met %t, then %t: %q", r.Met, r.Holdout.Met, r.Warnings)
	}
}
