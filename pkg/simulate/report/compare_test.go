package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"pgregory.net/rapid"
)

func TestFrontAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Pareto{}
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			p.Points = append(p.Points, Point{Cost: float64(rapid.IntRange(0, 8).Draw(t, "cost")), P95Wait: float64(rapid.IntRange(0, 8).Draw(t, "wait"))})
		}
		var want []int
		for i, q := range p.Points {
			if !slices.ContainsFunc(p.Points, func(o Point) bool { return o.dominates(q) }) {
				want = append(want, i)
			}
		}
		got := slices.Clone(p.front())
		if !slices.IsSortedFunc(got, func(a, b int) int { return int(p.Points[a].Cost - p.Points[b].Cost) }) {
			t.Errorf("not cheapest first: %v", got)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("front %v, want %v of %v", got, want, p.Points)
		}
		for _, line := range p.plot(40, 8) {
			if len([]rune(line)) > 52 {
				t.Errorf("too wide: %q", line)
			}
		}
	})
}

func TestVerdict(t *testing.T) {
	cheap, fast := Point{Name: "cheap", Cost: 10, P95Wait: 50}, Point{Name: "fast", Cost: 15, P95Wait: 5}
	for _, c := range []struct {
		today Point
		want  string
	}{
		{Point{Cost: 20, P95Wait: 60, Today: true}, "cheap has a p95 wait of 50 s instead of 1 m 00 s " +
			"and cost of 10.00 instead of 20.00 (−50 %); for 15.00, fast brings it to 5 s."},
		{Point{Cost: 16, P95Wait: 6, Today: true}, "fast has a p95 wait of 5 s"},
		{Point{Cost: 5, P95Wait: 100, Today: true}, "is on the front"},
	} {
		p := Pareto{Points: []Point{cheap, c.today, fast}}
		if got := p.Verdict(); !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q in it", got, c.want)
		}
	}
	if got := (&Pareto{Points: []Point{cheap}}).Verdict(); got != "" {
		t.Errorf("without today's: %q", got)
	}
}

func TestDifferences(t *testing.T) {
	c := Comparison{Runs: []Compared{{Name: "a", Result: &simulate.Result{Cost: simulate.Cost{Total: 100}}}}}
	for i, d := range []Interval{{Mean: -10, Low: -12, High: -8}, {Mean: 10, Low: 8, High: 12}, {Mean: -1, Low: -3, High: 1}} {
		c.Runs = append(c.Runs, Compared{Name: fmt.Sprint(i), Result: &simulate.Result{Cost: simulate.Cost{Total: 100 + d.Mean}},
			Diffs: map[string]Interval{"cost.total": d}})
	}
	c.Runs = append(c.Runs, Compared{Name: "no interval", Result: &simulate.Result{Cost: simulate.Cost{Total: 50}}})
	rows, err := c.table()
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v: only the cost differs from 0", rows, err)
	}
	for i, want := range []cell{
		{Value: "100.00"},
		{Value: "90.00", Diff: "−10.00 (−10 %)", Range: "−12.00 … −8.00", Sense: "better"},
		{Value: "110.00", Diff: "+10.00 (+10 %)", Range: "+8.00 … +12.00", Sense: "worse"},
		{Value: "99.00", Diff: "−1.00 (−1.0 %)", Range: "−3.00 … +1.00"},
		{Value: "50.00", Diff: "−50.00 (−50 %)"},
	} {
		if rows[0].Cells[i] != want {
			t.Errorf("run %d: %+v, want %+v", i, rows[0].Cells[i], want)
		}
	}
	if i := (Interval{Mean: 2, Low: 1, High: 3}); i.half() != 1 || i.excludes(1) || !i.excludes(0) {
		t.Error("the interval does not know its ends")
	}
}

func TestComparisonWithoutIntervals(t *testing.T) {
	c := compared(t)
	for i := range c.Runs {
		c.Runs[i].Diffs = nil
	}
	var out bytes.Buffer
	if err := c.WriteText(&out, TextOptions{Color: true, Width: 140}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "they may be chance") || strings.ContainsAny(out.String(), "▼▲") {
		t.Errorf("plain differences pass for certain ones:\n%s", out.String())
	}
}
