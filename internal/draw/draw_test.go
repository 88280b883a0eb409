package draw

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// recorder is a test that notes how it failed.
type recorder struct{ failure string }

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

func failureOf(property func(*T)) string {
	var r recorder
	Check(&r, property)
	return r.failure
}

func TestFailureIsReportedAtItsSmallest(t *testing.T) {
	for name, c := range map[string]struct {
		property func(*T)
		want     []string
	}{
		"number": {func(t *T) {
			if n := Range(0, 1_000_000).Draw(t, "n"); n >= 1234 {
				t.Fatalf("%d is too much", n)
			}
		}, []string{"draw_test.go:", "1234 is too much", "n = 1234", seedVariable + "="}},
		"skips below": {func(t *T) { // a case that skips is no smaller failure
			n := Range(0, 1_000_000).Draw(t, "n")
			if n < 10 {
				t.Skip("too small")
			}
			t.Fatalf("%d fails", n)
		}, []string{"10 fails", "n = 10\n"}},
		"negative": {func(t *T) {
			if n := Range(-1_000_000, 1_000_000).Draw(t, "n"); n <= -77 {
				t.Fatal("too little")
			}
		}, []string{"too little", "n = -77\n"}},
		"slice": {func(t *T) {
			if s := Slice(Range(0, 9), 0, 40).Draw(t, "s"); slices.Contains(s, 7) {
				t.Fatal("7")
			}
		}, []string{"s = []int{7}\n"}},
		"actions": {func(t *T) {
			n := 0
			t.Repeat(map[string]func(*T){
				"": func(t *T) {
					if n >= 3 {
						t.Fatal("three")
					}
				},
				"other": func(*T) {},
				"up":    func(*T) { n++ },
				"wait":  func(t *T) { t.Skip() },
			})
		}, []string{"drew:\n  action up\n  action up\n  action up\nTo run"}},
		"panic": {func(t *T) { panic(fmt.Sprint("key ", Range(0, 5).Draw(t, "key"))) }, []string{"panic: key 0", "key = 0"}},
	} {
		got := failureOf(c.property)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, got)
			}
		}
	}
}

func TestSeedRepeats(t *testing.T) {
	t.Setenv(seedVariable, "42")
	runs := [2][]string{}
	for i := range runs {
		Check(t, func(t *T) {
			v := String().Draw(t, "s") + fmt.Sprint(Int().Draw(t, "n"), Float64().Draw(t, "f"), Permutation([]int{1, 2, 3}).Draw(t, "p"))
			runs[i] = append(runs[i], v)
		})
	}
	if len(runs[0]) < 20 || !slices.Equal(runs[0], runs[1]) || len(slices.Compact(slices.Sorted(slices.Values(runs[0])))) < 20 {
		t.Errorf("first\n%q\nthen\n%q", runs[0], runs[1])
	}
}

func TestSkippedCasesDoNotCount(t *testing.T) {
	n := 0
	Check(t, func(t *T) {
		if Bool().Draw(t, "skip") {
			t.Skip()
		}
		n++
	})
	if want := map[bool]int{true: checks / 5, false: checks}[testing.Short()]; n != want {
		t.Errorf("%d cases ran, want %d", n, want)
	}
	if got := failureOf(func(t *T) { t.Skip() }); !strings.Contains(got, "only 0 of") {
		t.Errorf("a property that skips everything: %q", got)
	}
}

func TestRangesIncludeTheirEnds(t *testing.T) {
	ends := func(name string, lo, hi int) {
		found := map[int]bool{}
		for range 20 {
			Check(t, func(t *T) {
				v := Range(lo, hi).Draw(t, "v")
				found[v] = true
				if v < lo || v > hi {
					t.Fatalf("%s: %d is not from %d to %d", name, v, lo, hi)
				}
			})
		}
		if !found[lo] || !found[hi] {
			t.Errorf("%s: an end never came", name)
		}
	}
	ends("small", 3, 5)
	ends("one", 4, 4)
	ends("wide", 0, math.MaxInt)
	ends("below zero", -9, -2)
	ends("to zero", math.MinInt, 0)
	ends("all", math.MinInt, math.MaxInt)
	ends("around zero", -1, 1)
	Check(t, func(t *T) {
		if v := Range[uint8](3, 250).Draw(t, "v"); v < 3 || v > 250 {
			t.Fatal(v)
		}
		if v := FloatRange(1e-16, 1-1e-16).Draw(t, "f"); v < 1e-16 || v > 1-1e-16 {
			t.Fatal(v)
		}
		if v := Float64().Draw(t, "f"); math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatal(v)
		}
	})
}

func TestContainers(t *testing.T) {
	lengths := map[int]bool{}
	Check(t, func(t *T) {
		s := Slice(Bool(), 1, 4).Draw(t, "slice")
		lengths[len(s)] = true
		if len(s) < 1 || len(s) > 4 {
			t.Fatal(s)
		}
		if d := Distinct(Range(0, 5), 6, func(v int) int { return v }).Draw(t, "distinct"); len(slices.Compact(slices.Sorted(slices.Values(d)))) != len(d) {
			t.Fatal(d)
		}
		if m := MapOf(Range(0, 9), Just("x"), 3).Draw(t, "map"); len(m) > 3 {
			t.Fatal(m)
		}
		values := []int{1, 2, 3, 4}
		if p := Permutation(values).Draw(t, "order"); !slices.Equal(slices.Sorted(slices.Values(p)), values) || values[0] != 1 {
			t.Fatal(p, values)
		}
		if s := String().Draw(t, "string"); !utf8.ValidString(s) || utf8.RuneCountInString(s) > 32 {
			t.Fatalf("%q", s)
		}
		if s := StringOf(Range('0', '9'), 2, 3).Draw(t, "digits"); len(s) < 2 || len(s) > 3 || strings.Trim(s, "0123456789") != "" {
			t.Fatalf("%q", s)
		}
	})
	if len(lengths) != 4 && !testing.Short() {
		t.Errorf("lengths %v", lengths)
	}
	chosen := map[rune]bool{}
	Check(t, func(t *T) { chosen[OneOf(Just('a'), Just('b')).Draw(t, "one of")] = true })
	if len(chosen) != 2 {
		t.Errorf("one of a and b: %v", chosen)
	}
}
