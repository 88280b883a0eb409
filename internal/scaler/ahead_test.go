package scaler

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/fleet"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

// TestAhead: what Ahead announces happens at that time, and not earlier.
func TestAhead(t *testing.T) {
	r := newRig(t, conf(func(c *Config) {
		c.Throttle = policy.Throttle{Limit: 0.1, Burst: 1}
		c.Schedule = sched(policy.Policy{Settings: policy.Settings{IdleTime: time.Minute}},
			policy.Policy{Periods: []string{"30-59 12 * * *"}, Settings: policy.Settings{IdleTime: time.Minute}})
	}))
	if a := r.core.Ahead(); a.Grow != 0 || a.Shrink != 0 || !a.Edge.Equal(time.Date(2026, 3, 2, 12, 30, 0, 0, time.UTC)) {
		t.Errorf("at rest: %+v", a)
	}
	r.acquire("a", "b")
	grow := r.core.Ahead().Grow
	if r.want("creates", len(r.commandsOf(CmdIncrease)), 1); grow != r.now.Mono+10*sec+time.Microsecond {
		t.Fatalf("the next create is announced for %v, but happened at %v", grow, r.now.Mono)
	}
	r.run(grow - r.now.Mono - 10*time.Microsecond)
	r.want("creates before the token", len(r.commandsOf(CmdIncrease)), 1)
	r.run(10 * time.Microsecond)
	r.want("creates with it", len(r.commandsOf(CmdIncrease)), 2)
	r.run(20 * sec)
	r.release("a", "b")
	shrink := r.core.Ahead().Shrink
	if r.want("throttle", r.core.Throttle(), policy.Throttle{Limit: 0.1, Burst: 1}); shrink <= r.now.Mono || r.core.Now() != r.now {
		t.Fatalf("the idle instance may be retired at %v; now is %v", shrink, r.core.Now().Mono)
	}
	r.run(shrink - r.now.Mono - 1)
	r.want("retired before", len(r.factsOf(FactRetire)), 0)
	r.run(1)
	if gone := r.factsOf(FactRetire); len(gone) != 2 || gone[0].Peak != 0 || gone[0].Left != 1 || gone[1].Left != 0 {
		t.Errorf("retired: %+v", gone)
	}
	if r.core.Config().ForgetAfter != time.Hour {
		t.Error("Config returns a configuration without defaults")
	}
	for _, f := range r.factsOf(FactAppeared) {
		if f.Op == 0 {
			t.Errorf("%s was created by us, but its fact does not name the create", f.ID)
		}
	}
	r.cloud["x"] = &vm{word: fleet.ListedRunning}
	r.list()
	if all := r.factsOf(FactAppeared); all[len(all)-1].ID != "x" || all[len(all)-1].Op != 0 {
		t.Errorf("nobody created x, but its fact names a create: %+v", all[len(all)-1])
	}
}
