package optimise

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

func TestParseAssertion(t *testing.T) {
	for text, want := range map[string]Assertion{
		"p95_wait<=60s":            {Path: "wait_seconds.p95", Operator: "<=", Limit: 60},
		"p95_wait<60s":             {Path: "wait_seconds.p95", Operator: "<", Limit: 60},
		" mean_wait  <=  1m30s ":   {Path: "wait_seconds.mean", Operator: "<=", Limit: 90},
		"p50_wait>0":               {Path: "wait_seconds.p50", Operator: ">", Limit: 0},
		"p90_wait>=250ms":          {Path: "wait_seconds.p90", Operator: ">=", Limit: 0.25},
		"p99_wait<1h":              {Path: "wait_seconds.p99", Operator: "<", Limit: 3600},
		"max_wait<600":             {Path: "wait_seconds.max", Operator: "<", Limit: 600},
		"wait_fraction<5%":         {Path: "wait_fraction", Operator: "<", Limit: 0.05},
		"wait_fraction<0.05":       {Path: "wait_fraction", Operator: "<", Limit: 0.05},
		"cost<1200":                {Path: "cost.total", Operator: "<", Limit: 1200},
		"cost.per_job<=1.5e-3":     {Path: "cost.per_job", Operator: "<=", Limit: 0.0015},
		"instance_hours<80h":       {Path: "instance_hours.total", Operator: "<", Limit: 80},
		"instance_hours.idle<90m":  {Path: "instance_hours.idle", Operator: "<", Limit: 1.5},
		"utilization>=70 %":        {Path: "utilization", Operator: ">=", Limit: 0.7},
		"jobs.censored<=0":         {Path: "jobs.censored", Operator: "<=", Limit: 0},
		"wait_seconds.p95<60":      {Path: "wait_seconds.p95", Operator: "<", Limit: 60},
		"wait_by_tag.linux.p95<2m": {Path: "wait_by_tag.linux.p95", Operator: "<", Limit: 120},
		"wait_by_cause.boot<10h":   {Path: "wait_by_cause.boot", Operator: "<", Limit: 36000},
	} {
		got, err := ParseAssertion(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got.Path != want.Path || got.Operator != want.Operator || math.Abs(got.Limit-want.Limit) > 1e-12 {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		if again, err := ParseAssertion(got.String()); err != nil || again.Limit != got.Limit || again.Path != got.Path {
			t.Errorf("%q prints as %q, which is %+v (%v)", text, got.String(), again, err)
		}
	}
}

func TestParseAssertionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "no operator",
		"p95_wait":           "no operator",
		"p95_wait=60s":       `"=" is not one of`,
		"p95_wait==60s":      `"==" is not one of`,
		"p95_wait!=60s":      `"!=" is not one of`,
		"p95_wait≤60s":       `"≤" is not one of`,
		"p95_wait=<60s":      `"=<" is not one of`,
		"<60s":               "has no figure before",
		"p95_wait<":          "no limit",
		"p95_wait<soon":      "is a time",
		"p95_wait<60 apples": "is a time",
		"p95_wait<5%":        "percentage",
		"p95_wait<NaN":       "not a finite number",
		"cost<Inf":           "not a finite number",
		"cost<60s":           "is a duration, but cost.total is a plain number",
		"wait_fraction<60s":  "is a share",
		"p59_wait<60s":       "did you mean",
		"wait_seconds.p96<1": `"wait_seconds.p9`,
		"wait_by_tag.<5":     "there is no figure",

		"wait_by_tag.linux.p96<5": `did you mean "wait_by_tag.linux.p95"?`,
		"wait_by_tag.linux<5":     "there is no figure",
		"wait_by_hour.24:00.p5<5": "there is no figure",
		"wait_by_hour.8.p95<5":    "there is no figure",
		"wait_by_cause.luck<5":    "there is no figure",
		"wait_histogram.x.jobs<5": "there is no figure",
	} {
		_, err := ParseAssertion(text)
		var bad *AssertionError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", text, err, want)
		}
	}
	if _, err := ParseAssertions([]string{"cost<1", "x", "y"}); err == nil || strings.Count(err.Error(), "no operator") != 2 {
		t.Errorf("not every fault is told: %v", err)
	}
}

// A tag that no job has is refused before anything is simulated. A tag may contain dots; jobs without a tag have none in the path.
func TestCheckTags(t *testing.T) {
	tags := []string{"", "linux", "linux.arm"}
	if err := CheckTags(assertions(t, "wait_by_tag.linux.p95<1", "wait_by_tag.linux.arm.max<1", "wait_by_tag.mean<1", "cost<1"), tags); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"wait_by_tag.linx.p95<1":    `assertion "wait_by_tag.linx.p95<1": no counted job has the tag "linx"; did you mean "linux"?`,
		"wait_by_tag.windows.p95<1": `no counted job has the tag "windows"; the tags are linux, linux.arm`,
	} {
		var bad *AssertionError
		if err := CheckTags(assertions(t, text), tags); !errors.As(err, &bad) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	two := assertions(t, "wait_by_tag.a.p95<1", "wait_by_tag.b.p95<1")
	if err := CheckTags(two, nil); err == nil || strings.Count(err.Error(), "the jobs have no tags") != 2 {
		t.Errorf("not every fault is told: %v", err)
	}
	if err := CheckTags(assertions(t, "wait_by_tag.p95<1"), []string{"linux"}); err == nil || !strings.Contains(err.Error(), "jobs without a tag") {
		t.Errorf("jobs without a tag: %v", err)
	}
	many := make([]string, 13)
	for i := range many {
		many[i] = strings.Repeat("x", 20+i)
	}
	if err := CheckTags(two[:1], many); err == nil || !strings.Contains(err.Error(), "the report lists the tags") {
		t.Errorf("many tags: %v", err)
	}
}

func FuzzParseAssertion(f *testing.F) {
	for _, s := range []string{"p95_wait<=60s", "cost<1200", "wait_fraction<5%", "wait_by_tag.a b<1", "a<b<c", "<", "utilization>1e400", "p95_wait<-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAssertion(text)
		if err != nil {
			var bad *AssertionError
			if !errors.As(err, &bad) {
				t.Fatalf("%q: %T", text, err)
			}
			return
		}
		if math.IsNaN(a.Limit) || math.IsInf(a.Limit, 0) || a.Path == "" {
			t.Fatalf("%q is %+v", text, a)
		}
		again, err := ParseAssertion(a.String())
		if err != nil || again.Path != a.Path || again.Limit != a.Limit || again.Operator != a.Operator {
			t.Fatalf("%q prints as %q, which is %+v (%v)", text, a.String(), again, err)
		}
	})
}

func TestEvaluate(t *testing.T) {
	r := someResult(t)
	for text, want := range map[string]bool{
		"jobs.arrived>=200": true, "jobs.arrived>200": false, "jobs.arrived<=200": true, "jobs.arrived<200": false,
		"mean_wait>0": true, "max_wait<1ms": false, "cost<=0": true, "utilization<=100%": true, "wait_by_cause.throttle<=0s": true,
		"wait_histogram.20.jobs<1": true, "wait_by_hour.23:00.jobs<1": true,
	} {
		a, err := ParseAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Evaluate(a, r)
		if err != nil || v.OK != want {
			t.Errorf("%v (%v), want %t", v, err, want)
		}
		if !strings.Contains(v.String(), map[bool]string{true: "holds", false: "fails"}[want]) {
			t.Errorf("it is told as %q", v)
		}
	}
	if _, err := Evaluate(Assertion{Path: "wait_by_tag.windows.p95", Operator: "<", Limit: 1}, r); err == nil {
		t.Error("a tag that is not there was compared")
	}
	list, _ := ParseAssertions([]string{"cost<=0", "max_wait<1ms"})
	for i, want := range []bool{true, false} {
		if v, err := Evaluate(list[i], r); err != nil || v.OK != want {
			t.Errorf("%v: %v, %v; want %t", list[i], v, err, want)
		}
	}
}

func TestFiguresAreThoseOfTheReport(t *testing.T) {
	r := someResult(t)
	for _, path := range append(comparedFigures(), "wait_seconds.max") {
		got, err1 := valueOf(r, path)
		want, err2 := report.ValueOf(r, path)
		if err := errors.Join(err1, err2); err != nil || math.Abs(got-want) > 1e-8 {
			t.Errorf("%s is %v, the report says %v (%v)", path, got, want, err)
		}
	}
}

func TestNothingServedKeepsNoPromise(t *testing.T) {
	r := &simulate.Result{Arrived: 5, Censored: 5}
	for _, text := range []string{"p95_wait<60s", "mean_wait<=1h", "wait_fraction<=100%"} {
		a, err := ParseAssertion(text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := Evaluate(a, r); err != nil || v.OK {
			t.Errorf("%v (%v): no job was served", v, err)
		}
	}
}

func TestExcess(t *testing.T) {
	below, above := Assertion{Operator: "<=", Limit: 100}, Assertion{Operator: ">=", Limit: 0.5}
	for _, c := range []struct {
		a                   Assertion
		value, margin, want float64
	}{
		{below, 90, 0, 0}, {below, 90, 10, 0}, {below, 100, 0, 0}, {below, 100, 10, 0.1}, {below, 150, 0, 0.5}, {above, 0.6, 0, 0},
		{above, 0.4, 0, 0.2}, {above, 0.5, 0.05, 0.1},
	} {
		if got := c.a.judge(c.value).excess(c.margin); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v with %v and margin %v is off by %v, want %v", c.a, c.value, c.margin, got, c.want)
		}
	}
	if (Assertion{Operator: "<", Limit: 100}).judge(100).excess(0) == 0 {
		t.Error("100 < 100 was kept")
	}
}

// someResult is a run of 200 jobs.
func someResult(t *testing.T) *simulate.Result {
	t.Helper()
	p := smallProblem(200)
	o, err := p.options(p.today(), p.Options.Start)
	if err != nil {
		t.Fatal(err)
	}
	r, err := simulate.Run(o, p.Jobs.Again())
	if err != nil {
		t.Fatal(err)
	}
	if r.Completed != 200 || r.End < time.Second {
		t.Fatal("the run is no run")
	}
	return r
}
