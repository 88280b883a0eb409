package cloudmodel

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/draw"
)

// draws returns n draws from d with a fixed seed.
func draws(t *testing.T, d Distribution, n int) []time.Duration {
	t.Helper()
	s, err := d.Sampler()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = s.Sample(Uniform(7, streamBoot, uint64(i)))
	}
	return out
}

// ksDistance returns the Kolmogorov–Smirnov distance between the draws and a distribution function.
func ksDistance(draws []time.Duration, cdf func(x float64) float64) float64 {
	sorted := slices.Sorted(slices.Values(draws))
	worst := 0.0
	for i, v := range sorted {
		f := cdf(v.Seconds())
		n := float64(len(sorted))
		worst = max(worst, math.Abs(f-float64(i)/n), math.Abs(float64(i+1)/n-f))
	}
	return worst
}

func TestDrawsFollowTheirDistribution(t *testing.T) {
	const n = 20000
	sigma := math.Log(3) / z95
	for _, tc := range []struct {
		name string
		d    Distribution
		cdf  func(x float64) float64
	}{
		{"exponential", Exponential(90 * time.Second), func(x float64) float64 { return 1 - math.Exp(-x/90) }},
		{"lognormal", LogNormal(30*time.Second, 90*time.Second), func(x float64) float64 {
			return 0.5 * math.Erfc(-math.Log(x/30)/(sigma*math.Sqrt2))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// 1.95/√n is the critical value at a significance of 0.001. The seed is fixed, so the result never changes.
			if got, limit := ksDistance(draws(t, tc.d, n), tc.cdf), 1.95/math.Sqrt(n); got > limit {
				t.Errorf("KS distance = %.5f, want at most %.5f", got, limit)
			}
		})
	}
}

func TestMeanIsTheMeanOfTheDraws(t *testing.T) {
	for _, d := range []Distribution{
		{}, Constant(5 * time.Second), Exponential(time.Minute), LogNormal(30*time.Second, 90*time.Second),
		Empirical(time.Second, 3*time.Second, 20*time.Second),
	} {
		all := draws(t, d, 100000)
		var total, squares float64
		for _, v := range all {
			total += v.Seconds()
			squares += v.Seconds() * v.Seconds()
		}
		n := float64(len(all))
		mean := total / n
		stderr := math.Sqrt(max(squares/n-mean*mean, 0) / n)
		s, _ := d.Sampler()
		if want := s.Mean().Seconds(); math.Abs(mean-want) > 4*stderr+1e-9 {
			t.Errorf("%+v: mean of draws %.4f, Mean() %.4f, standard error %.4f", d, mean, want, stderr)
		}
	}
}

func TestLogNormalMeetsItsPercentiles(t *testing.T) {
	d := LogNormal(30*time.Second, 90*time.Second)
	s, err := d.Sampler()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ u, want float64 }{{0.5, 30}, {0.95, 90}} {
		if got := s.Sample(q.u).Seconds(); math.Abs(got-q.want) > 1e-6 {
			t.Errorf("quantile %v = %v s, want %v s", q.u, got, q.want)
		}
	}
}

func TestEmpiricalDrawsEachSampleEquallyOften(t *testing.T) {
	samples := []time.Duration{9 * time.Second, time.Second, 4 * time.Second, 4 * time.Second}
	got := map[time.Duration]float64{}
	all := draws(t, Empirical(samples...), 40000)
	for _, v := range all {
		got[v] += 1.0 / float64(len(all))
	}
	want := map[time.Duration]float64{time.Second: 0.25, 4 * time.Second: 0.5, 9 * time.Second: 0.25}
	if len(got) != len(want) {
		t.Fatalf("drawn values %v, want only the samples %v", got, samples)
	}
	for v, p := range want {
		if math.Abs(got[v]-p) > 0.01 {
			t.Errorf("share of %s = %.3f, want %.2f", v, got[v], p)
		}
	}
}

func anyDistribution(t *draw.T) Distribution {
	span := draw.Range[int64](0, int64(time.Hour))
	switch draw.Range(0, 3).Draw(t, "kind") {
	case 0:
		return Constant(time.Duration(span.Draw(t, "value")))
	case 1:
		return Exponential(time.Duration(span.Draw(t, "mean")))
	case 2:
		p50 := 1 + span.Draw(t, "p50")
		return LogNormal(time.Duration(p50), time.Duration(p50+span.Draw(t, "more")))
	}
	d := Distribution{Kind: KindEmpirical}
	for _, s := range draw.Slice(span, 1, 5).Draw(t, "samples") {
		d.Samples = append(d.Samples, D(time.Duration(s)))
	}
	return d
}

func TestSampleIsMonotonicAndBounded(t *testing.T) {
	draw.Check(t, func(t *draw.T) {
		s, err := anyDistribution(t).Sampler()
		if err != nil {
			t.Fatal(err)
		}
		unit := draw.FloatRange(1e-16, 1-1e-16)
		a, b := unit.Draw(t, "a"), unit.Draw(t, "b")
		lo, hi := s.Sample(min(a, b)), s.Sample(max(a, b))
		if lo < 0 || lo > hi || hi > longest {
			t.Fatalf("Sample(%v) = %v, Sample(%v) = %v", min(a, b), lo, max(a, b), hi)
		}
	})
}

func TestExtremeDrawsStayInRange(t *testing.T) {
	for _, d := range []Distribution{Exponential(longest), LogNormal(1, longest)} {
		s, err := d.Sampler()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Sample(1 - 1e-16); got <= 0 || got > longest {
			t.Errorf("%+v: extreme draw = %v, want within (0, %v]", d, got, longest)
		}
		if got := s.Mean(); got <= 0 || got > longest {
			t.Errorf("%+v: mean = %v, want within (0, %v]", d, got, longest)
		}
	}
}

func TestDistributionFaultsNameTheirKey(t *testing.T) {
	for _, tc := range []struct {
		d    Distribution
		want []string
	}{
		{Distribution{Kind: "gauss"}, []string{`distribution: "gauss" is unknown: use constant`}},
		{Distribution{Value: D(time.Second)}, []string{"distribution: is missing"}},
		{Distribution{Kind: KindConstant, Value: D(-1)}, []string{"value: must not be negative"}},
		{Distribution{Kind: KindConstant, Value: D(2 * longest)}, []string{"value: must not be more than a hundred years"}},
		{Distribution{Kind: KindConstant, Mean: D(1)}, []string{`mean: is not used by the distribution "constant"`}},
		{Distribution{Kind: KindConstant, Samples: []Duration{D(1)}}, []string{"samples: are not used"}},
		{Distribution{Kind: KindLogNormal}, []string{"p50: must be greater than 0s"}},
		{LogNormal(time.Minute, time.Second), []string{"p95: must not be less than p50 (1m0s), is 1s"}},
		{Distribution{Kind: KindEmpirical}, []string{"samples: must hold at least one"}},
		{Empirical(1, -2, -3), []string{"samples[1]: must not be negative", "samples[2]: must not be negative"}},
	} {
		err := tc.d.Validate()
		if err == nil {
			t.Errorf("%+v: no fault, want %q", tc.d, tc.want)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: fault %q, want it to contain %q", tc.d, err, want)
			}
		}
		if _, err := tc.d.Sampler(); err == nil {
			t.Errorf("%+v: Sampler accepted it", tc.d)
		}
	}
}

func TestZeroDistributionIsZeroSeconds(t *testing.T) {
	var d Distribution
	if !d.IsZero() || d.Validate() != nil {
		t.Fatal("the zero Distribution must be valid, and IsZero true")
	}
	for _, v := range draws(t, d, 10) {
		if v != 0 {
			t.Fatalf("draw = %v, want 0", v)
		}
	}
	if Constant(0).IsZero() {
		t.Error("IsZero is true for a constant of 0s, which is set")
	}
}

func TestDurationText(t *testing.T) {
	var in struct{ Boot Distribution }
	if err := json.Unmarshal([]byte(`{"boot":{"distribution":"empirical","samples":["1.5s","2m"]}}`), &in); err != nil {
		t.Fatal(err)
	}
	if want := Empirical(1500*time.Millisecond, 2*time.Minute); !slices.Equal(in.Boot.Samples, want.Samples) {
		t.Errorf("samples = %v, want %v", in.Boot.Samples, want.Samples)
	}
	out, err := json.Marshal(Constant(90 * time.Second))
	if err != nil || string(out) != `{"distribution":"constant","value":"1m30s"}` {
		t.Errorf("Marshal = %s, %v", out, err)
	}
	for bad, want := range map[string]string{
		`{"boot":{"distribution":"constant","value":"5 parsecs"}}`: `boot.value: "5 parsecs" is not a duration: write one such as "1.5s"`,
		`{"boot":{"distribution":"constant","value":5}}`:           `boot.value: 5 is not a duration: write one such as "1.5s"`,
		`{"boot":{"distribution":"constant","value":""}}`:          `boot.value: "" is not a duration: write one such as "1.5s"`,
		`{"boot":{"distribution":"lognormal","p50":"soon"}}`:       `boot.p50: "soon" is not a duration: write one such as "1.5s"`,
		`{"boot":{"distribution":"empirical","samples":["1s",2]}}`: `boot.samples[1]: 2 is not a duration: write one such as "1.5s"`,
		`{"boot":{"distribution":"constant","value":null}}`:        "",
	} {
		var cfg Config
		if err := json.Unmarshal([]byte(bad), &cfg); err != nil {
			t.Errorf("%s: %v", bad, err)
		}
		err := cfg.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: fault %v, want %q", bad, err, want)
		}
	}
}

func FuzzDurationText(f *testing.F) {
	for _, s := range []string{"1.5s", "", "-1h", "1e9s", "9223372036854775807ns", "∞"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		wrong := false
		d.Check(func(string, string, ...any) { wrong = true }, "key")
		if v, err := time.ParseDuration(text); wrong != (err != nil || v < 0 || v > longest) {
			t.Fatalf("Check of %q finds a fault: %v, ParseDuration says %v, %v", text, wrong, v, err)
		}
		if wrong {
			return
		}
		out, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again Duration
		if err := again.UnmarshalText(out); err != nil || again != d {
			t.Fatalf("%q → %v → %q → %v, %v", text, d, out, again, err)
		}
	})
}
