package simulate_test

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/simulate"
)

// A job a minute meets a fleet that keeps one instance idle. A boot takes two minutes.
func ExampleRun() {
	schedule, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: 1, IdleTime: 10 * time.Minute}}}, time.UTC)
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := &simulate.Jobs{}
	for n := range 60 {
		jobs.List = append(jobs.List, simulate.Job{Arrival: time.Duration(n) * time.Minute, Duration: 90 * time.Second})
	}
	result, err := simulate.Run(simulate.Options{
		Group: simulate.Group{MaxInstances: 5, Policies: schedule},
		Start: time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC),
		Seed:  1,
		Cloud: cloudmodel.Config{Boot: cloudmodel.Constant(2 * time.Minute)},
	}, jobs)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d jobs, the longest wait %.0f s, at most %d instances\n", result.Completed, result.Waits.Max, result.Instances.Peak)
	for _, c := range result.ByCause {
		fmt.Printf("waited %.0f s for %s\n", c.Seconds, c.Cause)
	}
	// Output:
	// 60 jobs, the longest wait 120 s, at most 5 instances
	// waited 270 s for boot
}
