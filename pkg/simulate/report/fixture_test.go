package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

const configText = `# a fleet
concurrent = 200

[[runners]]
  name = "linux <large>"
  url = "https://user:hunter2@gitlab.example.com"
  token = "glrt-verysecret" # token = "older-secret"
  [runners.autoscaler]
    max_instances = 60
    plugin = "aws"
    [runners.autoscaler.plugin_config]
      name = "group-secret"
    [[runners.autoscaler.policy]]
      idle_count = 2
      idle_time = "10m"
    [[runners.autoscaler.policy]]
      periods = ["* 7-19 * * mon-fri"]
      timezone = "Europe/Berlin"
      idle_count = 10
      scale_factor = 0.2
`

func policies() []policy.Policy {
	return []policy.Policy{
		{Settings: policy.Settings{IdleCount: 2, IdleTime: 10 * time.Minute}},
		{Periods: []string{"* 7-19 * * mon-fri"}, Timezone: "Europe/Berlin",
			Settings: policy.Settings{IdleCount: 10, IdleTime: 10 * time.Minute, ScaleFactor: 0.2}},
	}
}

// daily makes n jobs over so many days, with a peak in the afternoon and little at weekends.
func daily(seed uint64, n int, days float64) *simulate.Jobs {
	r := rand.New(rand.NewPCG(seed, 7))
	j := &simulate.Jobs{Names: []string{"linux", "docker", "lint <fast>"}}
	rate := float64(n) / (days * 86400)
	for at := 0.0; len(j.List) < n; {
		at += r.ExpFloat64() / (rate * 2.8)
		day, hour := int(at/86400)%7, math.Mod(at/3600, 24)
		keep := 0.12 + 0.88*math.Exp(-math.Pow((hour-13)/3.6, 2))
		if day >= 5 {
			keep *= 0.25
		}
		if r.Float64() > keep {
			continue
		}
		tag := min(int(r.ExpFloat64()), 2)
		mean := []float64{540, 240, 45}[tag]
		j.List = append(j.List, simulate.Job{Arrival: time.Duration(at * 1e9), Duration: time.Duration(r.ExpFloat64() * mean * 1e9), Tag: tag})
	}
	return j
}

// run plays n jobs over days against the fixture's configuration.
func run(t testing.TB, seed uint64, n int, days float64, maxInstances, points int) *Report {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	schedule, err := policy.Compile(policies(), berlin)
	if err != nil {
		t.Fatal(err)
	}
	res, err := simulate.Run(simulate.Options{
		Group: simulate.Group{CapacityPerInstance: 1, MaxInstances: maxInstances, Policies: schedule, Throttle: policy.Throttle{Limit: 0.5, Burst: 5}},
		Seed:  seed, Start: time.Date(2026, 3, 2, 0, 0, 0, 0, berlin), Timeline: points, Warmup: time.Hour,
		Cloud: cloudmodel.Config{Boot: cloudmodel.LogNormal(50*time.Second, 120*time.Second), Price: cloudmodel.Price{PerHour: 0.34}},
		Ready: cloudmodel.Constant(8 * time.Second),
	}, daily(seed, n, days))
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{
		Result: res, Runner: "linux <large>", Config: Source{Path: "config.toml", Text: configText},
		Model:    Source{Path: "cloud.toml", Text: "[boot]\ndistribution = \"lognormal\"\np50 = \"50s\"\np95 = \"2m\"\n\n[price]\nper_hour = 0.34\n"},
		Workload: Workload{Name: "jobs.csv", Format: "CSV", Read: n + 3, Jobs: n, Warmup: time.Hour, Dropped: []Dropped{{Reason: "no duration", Rows: 3}}},
	}
	for _, p := range policies() {
		r.Policies = append(r.Policies, Policy{Periods: p.Periods, Timezone: p.Timezone, Settings: p.Settings})
	}
	r.Policies[1].Label = "working hours"
	r.Intervals = &Intervals{Level: 0.95, Method: "batch means", Samples: 20, Of: map[string]Interval{
		"wait_seconds.mean": {Mean: res.Waits.Mean, Low: res.Waits.Mean - 0.4, High: res.Waits.Mean + 0.4},
	}}
	return r
}

func compared(t testing.TB) *Comparison {
	t.Helper()
	c := &Comparison{Level: 0.95, Method: "replicas", Samples: 5}
	for i, limit := range []int{30, 40, 60} {
		r := run(t, 1, 9000, 3, limit, 400)
		c.Runs = append(c.Runs, Compared{Name: fmt.Sprintf("max-%d.toml", limit), Config: Source{Path: fmt.Sprintf("max-%d.toml", limit)},
			Result: r.Result})
		if i == 0 {
			continue
		}
		first := c.Runs[0].Result
		wait, cost := r.Result.Waits.Mean-first.Waits.Mean, r.Result.Cost.Total-first.Cost.Total
		c.Runs[i].Diffs = map[string]Interval{
			"wait_seconds.mean": {Mean: wait, Low: wait * 1.1, High: wait * 0.9},
			"cost.total":        {Mean: cost, Low: cost - 100, High: cost + 100},
		}
	}
	c.Pareto = &Pareto{CostName: "cost"}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 60 {
		x := r.Float64()
		c.Pareto.Points = append(c.Pareto.Points, Point{Name: fmt.Sprintf("idle_count %d, idle_time %dm", i%12, 5+i%20),
			Cost: 80 + 160*x + 50*r.Float64(), P95Wait: math.Round(400*math.Exp(-4*x)*(1+r.Float64())*10) / 10})
	}
	c.Pareto.Points[17].Today = true
	c.Pareto.Points[c.Pareto.front()[4]].Chosen = true
	return c
}
