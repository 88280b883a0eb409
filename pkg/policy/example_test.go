package policy_test

import (
	"fmt"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

func ExampleCompile() {
	schedule, err := policy.Compile([]policy.Policy{
		{Settings: policy.Settings{IdleTime: 10 * time.Minute}},
		{
			Periods:  []string{"* 8-17 * * mon-fri"},
			Timezone: "Asia/Seoul",
			Settings: policy.Settings{IdleCount: 5, IdleTime: time.Hour},
		},
	}, time.UTC)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, time.March, 6, 8, 30, 0, 0, time.UTC) // a Friday, 17:30 in Seoul
	for range 3 {
		fmt.Println(now.Format("Mon 15:04"), "policy", schedule.At(now).Index)
		now, _ = schedule.NextChange(now)
	}
	// Output:
	// Fri 08:30 policy 1
	// Fri 09:00 policy 0
	// Sun 23:00 policy 1
}

func ExampleCompile_faults() {
	_, err := policy.Compile([]policy.Policy{
		{Periods: []string{"* 8-24 * * *", "* * L * *"}},
	}, time.UTC)
	fmt.Println(err)
	// Output:
	// policy 1, period 1 "* 8-24 * * *": hour 24 is out of range; write a value from 0 to 23
	// policy 1, period 2 "* * L * *": L (last) and W (nearest working day) are not supported; list the days, such as 28-31
}

func ExampleParsePeriod() {
	period, notices, err := policy.ParsePeriod("* * 22-6 * * fri-sun *")
	fmt.Println(period, err)
	for _, n := range notices {
		fmt.Println(n.Message)
	}
	// Output:
	// * 22-23,0-6 * * fri-sat,sun <nil>
	// the range "22-6" runs past the end of the hour field: it is read as 22-23,0-6
	// the range "fri-sun" runs past the end of the day of week field: it is read as fri-sat,sun
	// a period has five fields: without seconds and year it is "* 22-23,0-6 * * fri-sat,sun"
}

func ExampleSize() {
	decision := policy.Size(
		policy.Settings{IdleCount: 4},
		policy.Limits{Capacity: 1, MaxInstances: 20},
		policy.Demand{Leases: 9, Waiters: 4, Free: 0, Existing: 14},
		policy.Allowance{Throttle: -1},
	)
	fmt.Println(decision)
	// Output:
	// needed 17 = leased 9 + waiting 4 + idle target 4; supply 9; missing 8 = 8 instances of 1; max_instances leaves 6; grow 6, bound by max_instances
}
