package observe

import (
	"testing"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

func TestSizing(t *testing.T) {
	d := policy.Size(policy.Settings{IdleCount: 4}, policy.Limits{Capacity: 1, MaxInstances: 20},
		policy.Demand{Leases: 9, Waiters: 4, Free: 5, Existing: 14}, policy.Allowance{Throttle: 3})
	all := []policy.Policy{{}, {Periods: []string{"* 8-17 * * mon-fri"}, Timezone: "Asia/Seoul"}}
	want := "needed 17 = leased 9 + waiting 4 + idle target 4 (policy 2, mon-fri 08-18 Asia/Seoul); supply 14; max_instances leaves 6; throttle allowed 3 of 3"
	if got := Sizing(&d, PolicyName(1, all), 3); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	d = policy.Size(policy.Settings{IdleCount: 2}, policy.Limits{Capacity: 4, ProviderMax: 5}, policy.Demand{Waiters: 5, Existing: 1},
		policy.Allowance{Throttle: -1, Breaker: true, Canaries: 1})
	want = "needed 7 = leased 0 + waiting 5 + idle target 2 (policy 1, always); supply 0; missing 7 = 2 instances of 4 slots; the provider's limit leaves 4; " +
		"the runaway breaker allowed 1"
	if got := Sizing(&d, PolicyName(0, all), 0); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	d = policy.Size(policy.Settings{}, policy.Limits{}, policy.Demand{Free: 2}, policy.Allowance{Throttle: 3})
	if got := Sizing(&d, PolicyName(-1, all), 3); got != "needed 0 = leased 0 + waiting 0 + idle target 0 (no policy matches); supply 2" {
		t.Errorf("nothing missing: %s", got)
	}
	if got := Wanted(&d, "policy 1", 0); got != "needed 0 = leased 0 + waiting 0 + idle target 0 (policy 1); supply 2; nothing to create" {
		t.Errorf("nothing to create: %s", got)
	}
	if got := PolicyName(7, nil); got != "policy 8" {
		t.Errorf("a policy whose periods are not known: %s", got)
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct {
		masks []string
		want  string
	}{
		{nil, "always"},
		{[]string{"* * * * *"}, "always"},
		{[]string{"* 8-17 * * mon-fri"}, "mon-fri 08-18"},
		{[]string{"* 8-17 * * 1-5"}, "mon-fri 08-18"},
		{[]string{"* * * * sat,sun"}, "sat,sun"},
		{[]string{"* * * * 0,6"}, "sun,sat"},
		{[]string{"* 22-23 * * *"}, "22-24"},
		{[]string{"* 9 * * 7"}, "sun 09-10"},
		{[]string{"* 8-17 * * MON", "* * * * SUN"}, "mon 08-18, sun"},
		{[]string{"* 8-11 * * *", "* * * * *"}, "always"},
		{[]string{"30-59 12 * * *"}, `"30-59 12 * * *"`},
		{[]string{"* */2 * * *"}, `"* */2 * * *"`},
		{[]string{"* 8-17 1 * *"}, `"* 8-17 1 * *"`},
		{[]string{"* 8-17 * * mon#1"}, `"* 8-17 * * mon#1"`},
		{[]string{"nonsense"}, `"nonsense"`},
	} {
		if got := Periods(c.masks); got != c.want {
			t.Errorf("%q: %s, want %s", c.masks, got, c.want)
		}
	}
}

func TestLatest(t *testing.T) {
	if Latest("") != "" || Latest("full") != "; the latest failure: full" {
		t.Errorf("%q, %q", Latest(""), Latest("full"))
	}
}
