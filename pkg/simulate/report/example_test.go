package report_test

import (
	"fmt"
	"os"

	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/report"
)

// A gate for CI asks for a figure by its path in the JSON report, or by a short name.
func ExampleValueOf() {
	result := &simulate.Result{Cost: simulate.Cost{Total: 1200.5}, Instances: simulate.Instances{Peak: 40}}
	for _, path := range []string{"cost", "instances.peak", "wait_by_cause.quota", "instances.peek"} {
		value, err := report.ValueOf(result, path)
		fmt.Println(path, value, err != nil)
	}
	// Output:
	// cost 1200.5 false
	// instances.peak 40 false
	// wait_by_cause.quota 0 false
	// instances.peek 0 true
}

func ExamplePareto_Verdict() {
	p := report.Pareto{Points: []report.Point{
		{Name: "idle_count 4", Cost: 90, P95Wait: 30}, {Name: "idle_count 12", Cost: 140, P95Wait: 0},
		{Name: "config.toml", Cost: 120, P95Wait: 45, Today: true},
	}}
	fmt.Println(p.Verdict())
	// Output:
	// Today's configuration is not on the front: idle_count 4 has a p95 wait of 30 s instead of 45 s and cost of 90.00 instead of 120.00 (−25 %).
}

func ExampleComparison_WriteText() {
	run := func(cost float64, peak int) *simulate.Result {
		return &simulate.Result{Cost: simulate.Cost{Total: cost}, Instances: simulate.Instances{Peak: peak}}
	}
	c := report.Comparison{Title: "May", Level: 0.95, Method: "replicas", Samples: 5, Runs: []report.Compared{
		{Name: "today", Result: run(120, 40)},
		{Name: "new", Result: run(90, 40), Diffs: map[string]report.Interval{"cost.total": {Mean: -29, Low: -33, High: -25}}},
	}}
	_ = c.WriteText(os.Stdout, report.TextOptions{Width: 80})
	// Output:
	// May
	//
	//                      today               new
	// cost                120.00             90.00
	//                             ▼ −29.00 (−24 %)
	//                              −33.00 … −25.00
	// peak instances          40                40
	// note: differences are from today, with 95 % confidence intervals over 5 replicas
	//   with the same random numbers; ▼ and ▲ mark differences that chance does not
	//   explain
}
