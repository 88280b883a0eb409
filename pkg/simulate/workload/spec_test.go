package workload

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// monday is the start of most specs here: midnight in UTC.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func mustSpec(t testing.TB, text string, seed uint64, start time.Time) *Synthetic {
	t.Helper()
	s, err := Spec(text, seed, start)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all(w simulate.Workload) (list []simulate.Job) {
	for {
		j, ok := w.Next()
		if !ok {
			return list
		}
		list = append(list, j)
	}
}

// distance is the Kolmogorov–Smirnov distance of values from a distribution function, times the root of their number. Beyond 1.95 a
// sample of the right distribution is met once in a thousand; seeds are fixed, so a test holds or does not, for ever.
func distance(values []float64, cdf func(float64) float64) float64 {
	slices.Sort(values)
	n, worst := float64(len(values)), 0.0
	for i, v := range values {
		f := cdf(v)
		worst = max(worst, math.Abs(f-float64(i)/n), math.Abs(float64(i+1)/n-f))
	}
	return worst * math.Sqrt(n)
}

const critical = 1.95

func exponential(mean float64) func(float64) float64 {
	return func(x float64) float64 { return 1 - math.Exp(-x/mean) }
}

func TestPoissonIsPoisson(t *testing.T) {
	const n = 50_000
	list := all(mustSpec(t, "poisson:rate=0.05/s,duration=exp:600s,jobs=50000", 3, monday))
	if len(list) != n {
		t.Fatalf("%d jobs, want %d", len(list), n)
	}
	var gaps, next, lengths []float64
	for i, j := range list {
		before := time.Duration(0)
		if i > 0 {
			before = list[i-1].Arrival
		}
		gaps = append(gaps, (j.Arrival - before).Seconds())
		lengths = append(lengths, j.Duration.Seconds())
	}
	for i := 1; i < n; i++ { // lag 1: independent steps have a correlation of about 0
		next = append(next, (gaps[i]-20)*(gaps[i-1]-20)/400)
	}
	sum := 0.0
	for _, v := range next {
		sum += v
	}
	if r := sum / n; math.Abs(r) > 4/math.Sqrt(n) {
		t.Errorf("correlation of neighbouring gaps %.4f", r)
	}
	if d := distance(gaps, exponential(20)); d > critical {
		t.Errorf("gaps are not exponential with a mean of 20 s: %.2f", d)
	}
	if d := distance(lengths, exponential(600)); d > critical {
		t.Errorf("lengths are not exponential with a mean of 600 s: %.2f", d)
	}
}

func TestLengthsFollowTheirKind(t *testing.T) {
	sigma := math.Log(25.0/4) / 1.6448536269514722
	for text, cdf := range map[string]func(float64) float64{
		"lognormal:p50=4m,p95=25m":     func(x float64) float64 { return 0.5 * math.Erfc(-math.Log(x/240)/(sigma*math.Sqrt2)) },
		"hyperexp:p=0.9,a=60s,b=1800s": func(x float64) float64 { return 0.9*exponential(60)(x) + 0.1*exponential(1800)(x) },
	} {
		var lengths []float64
		for _, j := range all(mustSpec(t, "poisson:rate=1/s,jobs=40000,duration="+text, 5, monday)) {
			lengths = append(lengths, j.Duration.Seconds())
		}
		if d := distance(lengths, cdf); d > critical {
			t.Errorf("%s: distance %.2f", text, d)
		}
	}
	for text, want := range map[string][]time.Duration{
		"90s": {90 * time.Second}, "const:2m": {2 * time.Minute}, "empirical:1s;1h": {time.Second, time.Hour},
	} {
		seen := map[time.Duration]int{}
		for _, j := range all(mustSpec(t, "poisson:rate=1/s,jobs=1000,duration="+text, 5, monday)) {
			seen[j.Duration]++
		}
		for _, d := range want {
			if n := seen[d] * len(want); n < 900 || n > 1100 || len(seen) != len(want) {
				t.Errorf("%s: lengths %v", text, seen)
			}
		}
	}
}

// integral is the oracle of profiles: the area under the rate between two moments, minute by minute of the local clock.
func integral(from, to time.Time, perHour func(local time.Time) float64, loc *time.Location) float64 {
	area := 0.0
	for at := from; at.Before(to); {
		end := at.Truncate(time.Minute).Add(time.Minute)
		if end.After(to) {
			end = to
		}
		area += perHour(at.In(loc)) * end.Sub(at).Hours()
		at = end
	}
	return area
}

func TestProfileIsExact(t *testing.T) {
	for _, zone := range []string{"Asia/Seoul", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		rate := func(local time.Time) float64 {
			f := 6.0
			switch h := local.Hour(); {
			case h < 8:
				f *= 0.2
			case h >= 18:
				f *= 0
			}
			if w := local.Weekday(); w == time.Saturday || w == time.Sunday {
				f *= 0.5
			}
			return f
		}
		start := time.Date(2026, 3, 20, 5, 37, 11, 0, time.UTC) // five weeks over a change of daylight saving time
		s := mustSpec(t, "poisson:rate=6/h,hours=0.2*8;1*10;0*6,weekdays=1*5;0.5*2,tz="+zone+",duration=1s,for=5w", 11, start)
		var steps []float64
		from := start
		for _, j := range all(s) {
			at := start.Add(j.Arrival)
			if rate(at.In(loc)) == 0 {
				t.Fatalf("%s: an arrival at %s, where the rate is 0", zone, at.In(loc))
			}
			steps = append(steps, integral(from, at, rate, loc))
			from = at
		}
		// Time rescaling (Papangelou 1972): measured in area, an exact process has unit exponential steps.
		if d := distance(steps, exponential(1)); d > critical || len(steps) < 1000 {
			t.Errorf("%s: %d steps, distance %.2f", zone, len(steps), d)
		}
	}
}

func TestNamedProfiles(t *testing.T) {
	counts := map[string][2]int{}
	for _, name := range []string{"office", "global", "flat"} {
		s := mustSpec(t, "poisson:rate=100/h,profile="+name+",tz=Asia/Seoul,duration=1s,for=4w", 1, monday)
		seoul, _ := time.LoadLocation("Asia/Seoul")
		expected := float64(s.Expected())
		n, c := 0, [2]int{}
		for _, j := range all(s) {
			n++
			if local := monday.Add(j.Arrival).In(seoul); local.Weekday() == time.Tuesday && local.Hour() == 10 {
				c[0]++
			} else if local.Weekday() == time.Sunday && local.Hour() == 3 {
				c[1]++
			}
		}
		counts[name] = c
		if math.Abs(float64(n)-expected) > 4*math.Sqrt(expected) {
			t.Errorf("%s: %d jobs, %.0f expected", name, n, expected)
		}
	}
	for name, want := range map[string][2]float64{"office": {400, 400 * 0.05 * 0.15}, "global": {400, 400 * 0.8 * 0.35}, "flat": {400, 400}} {
		for i, w := range want {
			if got := float64(counts[name][i]); math.Abs(got-w) > 4*math.Sqrt(w) {
				t.Errorf("%s: %v jobs in the busy and the quiet hour, want about %v", name, counts[name], want)
			}
		}
	}
}

func TestBursts(t *testing.T) {
	list := all(mustSpec(t, "burst:size=40,every=1h,offset=30m,from=1d,for=3h,duration=5m,tag=nightly", 1, monday))
	if len(list) != 120 {
		t.Fatalf("%d jobs, want 3 × 40", len(list))
	}
	for i, j := range list {
		if want := day + 30*time.Minute + time.Duration(i/40)*time.Hour; j.Arrival != want || j.Tag != 1 {
			t.Fatalf("job %d: %+v, want it at %s", i, j, want)
		}
	}
	with := all(mustSpec(t, "poisson:rate=1/m,burst=40/1h,duration=5m,for=10h", 1, monday))
	at := map[time.Duration]int{}
	for _, j := range with {
		at[j.Arrival]++
	}
	if at[0] != 40 || at[9*time.Hour] != 40 || at[10*time.Hour] != 0 || len(with) < 900 {
		t.Errorf("bursts of %d and %d, %d jobs", at[0], at[9*time.Hour], len(with))
	}
	if n := len(all(mustSpec(t, "poisson:rate=1/m,burst=40/1h,duration=5m,jobs=50", 1, monday))); n != 50 {
		t.Errorf("%d jobs, want jobs= to bound both", n)
	}
}

func TestPartsAreJoinedInOrder(t *testing.T) {
	s := mustSpec(t, "poisson:rate=1/s,duration=1s,jobs=1000,tag=a + "+
		"poisson:rate=2/s,duration=2s,jobs=3000,tz=Etc/GMT+9+"+
		"burst:size=10,every=1m,duration=3s,jobs=50,tag=a", 1, monday)
	if got := s.Tags(); !slices.Equal(got, []string{"", "a"}) {
		t.Errorf("tags %v", got)
	}
	if s.Expected() != 4050 {
		t.Errorf("%d expected", s.Expected())
	}
	lengths, last := map[time.Duration]int{}, time.Duration(0)
	for _, j := range all(s) {
		if j.Arrival < last {
			t.Fatalf("%s after %s", j.Arrival, last)
		}
		last = j.Arrival
		lengths[j.Duration]++
		if want := 1; (j.Duration == 2*time.Second) == (j.Tag == want) {
			t.Fatalf("%+v has the wrong tag", j)
		}
	}
	if lengths[time.Second] != 1000 || lengths[2*time.Second] != 3000 || lengths[3*time.Second] != 50 {
		t.Errorf("jobs of the parts: %v", lengths)
	}
}

func TestSpecIsAFunctionOfItsSeed(t *testing.T) {
	const text = "poisson:rate=30/h,profile=office,duration=exp:5m,for=2w+burst:size=3,every=7h,duration=exp:1h,for=2w"
	first := all(mustSpec(t, text, 9, monday))
	s := mustSpec(t, text, 9, monday)
	if !slices.Equal(first, all(s)) || !slices.Equal(first, all(s.Reseed(s.seed))) {
		t.Error("the same seed gave other jobs")
	}
	if slices.Equal(first, all(s.Reseed(10))) || slices.Equal(first, all(mustSpec(t, text, 9, monday.Add(12*time.Hour)))) {
		t.Error("another seed, or another start under a profile, gave the same jobs")
	}
	slow := all(mustSpec(t, "poisson:rate=1/h,duration=exp:5m,jobs=100", 9, monday))
	fast := all(mustSpec(t, "poisson:rate=1/s,profile=office,duration=exp:5m,jobs=100", 9, monday))
	for i := range slow {
		if slow[i].Duration != fast[i].Duration {
			t.Fatalf("job %d runs for %s and %s: a job's length may depend on its number alone", i, slow[i].Duration, fast[i].Duration)
		}
	}
}

func TestSpecsNeedNoMemory(t *testing.T) {
	s := mustSpec(t, "poisson:rate=3/m,profile=global,tz=Europe/Berlin,burst=5/1h,duration=lognormal:p50=4m,p95=25m,for=100w+"+
		"poisson:rate=1/s,duration=60s,for=100w", 1, monday)
	if n := testing.AllocsPerRun(10_000, func() {
		if _, ok := s.Next(); !ok {
			t.Fatal("it ended")
		}
	}); n != 0 {
		t.Errorf("%v allocations a job", n)
	}
}

func TestSpecFaultsNameTheirPart(t *testing.T) {
	for text, want := range map[string][3]string{
		"":                                      {"", "the part is empty", "use poisson or burst"},
		"poisson":                               {"poisson", "not a kind", "use poisson or burst"},
		"gauss:rate=1/s":                        {"gauss:rate=1/s", `"gauss" is not a kind`, "use poisson or burst"},
		"poisson:":                              {"", "not key=value", "write one such as"},
		"poisson:rate":                          {"rate", "not key=value", "write one such as"},
		"poisson:duration=1s,jobs=1":            {"poisson:duration=1s,jobs=1", "no rate", "rate=0.05/s"},
		"poisson:rate=5,duration=1s,jobs=1":     {"rate=5", "not a rate", "3/m"},
		"poisson:rate=0/s,duration=1s,jobs=1":   {"rate=0/s", "not a rate above 0", "3/m"},
		"poisson:rate=NaN/s,duration=1s,jobs=1": {"rate=NaN/s", "not a rate", "3/m"},
		"poisson:rate=1/fortnight,duration=1s,jobs=1":  {"rate=1/fortnight", "not a rate", "1/20s"},
		"poisson:rate=1/s,rate=2/s,duration=1s,jobs=1": {"rate=2/s", "twice", "remove one"},
		"poisson:rate=1/s,size=4,duration=1s,jobs=1": {
			"size=4",
			`poisson has no key "size"`,
			"rate, burst",
		},
		"poisson:rate=1/s,jobs=1": {
			"poisson:rate=1/s,jobs=1",
			"how long jobs run",
			"duration=600s",
		},
		"poisson:rate=1/s,duration=1s": {
			"poisson:rate=1/s,duration=1s",
			"never ends",
			"for=30d",
		},
		"poisson:rate=1/s,duration=1s,jobs=0": {
			"jobs=0",
			"not a number of jobs",
			"whole number",
		},
		"poisson:rate=1/s,duration=1s,jobs=1.5": {
			"jobs=1.5",
			"not a number of jobs",
			"whole number",
		},
		"poisson:rate=1/s,duration=1s,for=0s": {"for=0s", "out of range", "a hundred years"},
		"poisson:rate=1/s,duration=1s,for=5":  {"for=5", "not a duration", "30d"},
		"poisson:rate=1/s,duration=weibull:5s,for=5d": {
			"duration=weibull:5s",
			"not a kind of duration",
			"use const",
		},
		"poisson:rate=1/s,duration=exp:soon,for=5d": {
			"duration=exp:soon",
			`"soon" is not a duration`,
			"exp:600s",
		},
		"poisson:rate=1/s,duration=exp:-5s,for=5d": {
			"duration=exp:-5s",
			"not a duration",
			"exp:600s",
		},
		"poisson:rate=1/s,duration=lognormal:p50=9m,p95=1m,for=5d": {
			"duration=lognormal:p50=9m,p95=1m",
			"p95: must not be less than p50",
			"the median",
		},
		"poisson:rate=1/s,duration=lognormal:p50=9m,for=5d": {
			"duration=lognormal:p50=9m",
			"not a duration",
			"the median",
		},
		"poisson:rate=1/s,duration=lognormal:p50=9m,a=1m,for=5d": {
			"duration=lognormal:p50=9m,a=1m",
			"does not belong",
			"the median",
		},
		"poisson:rate=1/s,duration=hyperexp:p=1.5,a=1s,b=2s,for=5d": {
			"duration=hyperexp:p=1.5,a=1s,b=2s",
			"not a probability",
			"with mean a",
		},
		"poisson:rate=1/s,p50=3s,duration=1s,for=5d": {
			"p50=3s",
			"no duration comes before it",
			"duration=lognormal",
		},
		"poisson:rate=1/s,duration=1s,for=5d,profile=nine": {"profile=nine", "profile does not exist", "office"},
		"poisson:rate=1/s,duration=1s,for=5d,hours=1*23": {
			"hours=1*23",
			"there are 23 factors, and 24 are needed",
			"24 factors",
		},
		"poisson:rate=1/s,duration=1s,for=5d,hours=1*25": {"hours=1*25", "more than 24", "24 factors"},
		"poisson:rate=1/s,duration=1s,for=5d,hours=0*24": {
			"hours=0*24",
			"every factor is 0",
			"24 factors",
		},
		"poisson:rate=1/s,duration=1s,for=5d,weekdays=1*5;-1*2": {
			"weekdays=1*5;-1*2",
			"not a factor",
			"Monday first",
		},
		"poisson:rate=1/s,duration=1s,for=5d,tz=Mars/Olympus": {
			"tz=Mars/Olympus",
			"time zone does not exist",
			"Asia/Seoul",
		},
		"poisson:rate=1/s,duration=1s,for=5d,tz=Local": {
			"tz=Local",
			"time zone does not exist",
			"Asia/Seoul",
		},
		"poisson:rate=1/s,duration=1s,for=5d,burst=40": {"burst=40", "an interval", "burst=40/1h"},
		"poisson:rate=1/s,duration=1s,for=5d,burst=0.5/1h": {
			"burst=0.5/1h",
			"size of a burst",
			"burst=40/1h",
		},
		"burst:size=40,duration=1s,for=5d": {
			"burst:size=40,duration=1s,for=5d",
			"needs size and every",
			"every=1h",
		},
		"burst:size=-4,every=1h,duration=1s,for=5d":       {"size=-4", "size of a burst", "size=40"},
		"burst:size=4,every=0s,duration=1s,for=5d":        {"every=0s", "out of range", "hundred years"},
		"poisson:rate=1/s,duration=1s,jobs=9 + gauss:x=1": {"gauss:x=1", "not a kind", "use poisson"},
		"poisson:rate=1/100d,duration=1s,jobs=1000": {
			"poisson:rate=1/100d,duration=1s,jobs=1000",
			"more than a hundred years",
			"raise the rate",
		},
		"poisson:rate=1000000/s,duration=1s,for=4w": {
			"poisson:rate=1000000/s,duration=1s,for=4w",
			"about 2419200000000 jobs",
			"lower the rate",
		},
	} {
		_, err := Spec(text, 1, monday)
		var fault *SpecError
		if !errors.As(err, &fault) {
			t.Errorf("%q: %v, want a *SpecError", text, err)
			continue
		}
		if fault.Part != want[0] || !strings.Contains(fault.Reason, want[1]) || !strings.Contains(fault.Remedy, want[2]) {
			t.Errorf("%q: part %q, reason %q, remedy %q; want %q", text, fault.Part, fault.Reason, fault.Remedy, want)
		}
		if msg := err.Error(); !strings.Contains(msg, fault.Reason) || !strings.Contains(msg, fault.Remedy) {
			t.Errorf("%q: message %q", text, msg)
		}
	}
	parts := strings.Repeat("poisson:rate=1/s,duration=1s,jobs=1+", maxParts) + "poisson:rate=1/s,duration=1s,jobs=1"
	if _, err := Spec(parts, 1, monday); err == nil || !strings.Contains(err.Error(), "more than 64 parts") {
		t.Errorf("%d parts: %v", maxParts+1, err)
	}
}

func TestIsSpec(t *testing.T) {
	for text, want := range map[string]bool{
		"poisson:rate=1/s": true, " gauss:x": true, "burst:": true, "jobs.csv": false, "./poisson:rate": false, `C:\jobs.csv`: false,
		`cc:\jobs`: false, "c:jobs": false, "https://host/jobs": false, "": false, "a/b:c": false, "trace-2:x": false,
	} {
		if IsSpec(text) != want {
			t.Errorf("IsSpec(%q) = %v", text, !want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	for _, s := range []string{
		"poisson:rate=0.05/s,duration=exp:600s,jobs=100000",
		"burst:size=200,every=1d,offset=2h,duration=const:10m,tag=x,for=30d + poisson:rate=1/m,duration=exp:5m,for=30d",
		"poisson:rate=300/h,profile=office,tz=Asia/Seoul,duration=lognormal:p50=4m,p95=25m,for=30d",
		"poisson:rate=1/m,burst=40/1h,duration=hyperexp:p=0.9,a=60s,b=1800s,for=1w",
		"poisson:rate=1/h,hours=0.2*8;1*10;0.3*6,weekdays=1*5;0.3;0.2,duration=empirical:1s;2m,from=99y,jobs=5",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Spec(text, 1, monday)
		if err != nil {
			var fault *SpecError
			if !errors.As(err, &fault) || fault.Reason == "" || fault.Remedy == "" {
				t.Fatalf("%q: %v does not say what is wrong and what would be right", text, err)
			}
			return
		}
		last := time.Duration(0)
		for range 200 {
			j, ok := s.Next()
			if !ok {
				return
			}
			if j.Arrival < last || j.Arrival >= longest || j.Duration < 0 || j.Tag >= len(s.Tags()) {
				t.Fatalf("%q: %+v after %s", text, j, last)
			}
			last = j.Arrival
		}
	})
}

func BenchmarkPoissonSpec(b *testing.B) {
	for name, text := range map[string]string{
		"const":  "poisson:rate=1000/s,duration=600s,jobs=1e10",
		"exp":    "poisson:rate=1000/s,duration=exp:600s,jobs=1e10",
		"office": "poisson:rate=100/s,profile=office,tz=Asia/Seoul,duration=exp:600s,jobs=1e10",
	} {
		b.Run(name, func(b *testing.B) {
			s := mustSpec(b, text, 1, monday)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := s.Next(); !ok {
					b.Fatal("it ended")
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mjobs/s")
		})
	}
}
