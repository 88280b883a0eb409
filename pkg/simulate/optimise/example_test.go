package optimise_test

import (
	"context"
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
	"github.com/taskscaler/taskscaler/pkg/simulate/optimise"
	"github.com/taskscaler/taskscaler/pkg/simulate/workload"
)

// A group whose jobs always wait for a boot: how much must be kept idle, so that most of them start within a minute?
func ExampleRecommend() {
	start := time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)
	random, err := workload.Spec("poisson:rate=30/h,duration=exp:5m,jobs=1500", 1, start)
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := &simulate.Jobs{}
	for j, ok := random.Next(); ok; j, ok = random.Next() {
		jobs.List = append(jobs.List, j)
	}
	slo, err := optimise.ParseAssertions([]string{"p90_wait<=60s"})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := optimise.Recommend(context.Background(), optimise.Problem{
		Options: simulate.Options{
			Start: start, Seed: 1,
			Group: simulate.Group{MaxUseCount: 1},
			Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(2 * time.Minute), Price: cloudmodel.Price{PerHour: 0.5}},
		},
		Today:  []policy.Policy{{Settings: policy.DefaultSettings()}},
		Jobs:   jobs,
		SLO:    slo,
		Fixed:  []optimise.Key{optimise.KeyPeriods, optimise.KeyThrottle, optimise.KeyIdleTime, optimise.KeyScaleFactor},
		Budget: 20,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("idle_count", r.Best().Setup.Policies[0].IdleCount, "keeps the promise:", r.Met)
	for _, v := range r.Holdout.Verdicts {
		fmt.Println("on the rest of the jobs:", v)
	}
	// Output:
	// idle_count 3 keeps the promise: true
	// on the rest of the jobs: p90_wait<=60s holds: p90_wait is 0
}

func ExampleCompare() {
	start := time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)
	options := func(idle int) simulate.Options {
		schedule, _ := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: idle, IdleTime: time.Hour}}}, time.UTC)
		return simulate.Options{
			Start: start, Group: simulate.Group{Policies: schedule, MaxUseCount: 1},
			Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(2 * time.Minute)},
		}
	}
	compared, err := optimise.Compare(context.Background(),
		[]optimise.Variant{{Name: "today", Options: options(1)}, {Name: "more idle", Options: options(4)}},
		func(_ int, seed uint64) simulate.Workload {
			w, _ := workload.Spec("poisson:rate=30/h,duration=exp:5m,jobs=300", seed, start)
			return w
		}, optimise.CompareOptions{Seed: 1, Replicas: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := compared[1].Diffs["wait_seconds.mean"]
	fmt.Printf("%s: the mean wait changes by %.0f s ± %.0f s\n", compared[1].Name, d.Mean, d.Half())
	// Output:
	// more idle: the mean wait changes by -44 s ± 2 s
}
