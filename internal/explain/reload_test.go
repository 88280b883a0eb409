package explain

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
)

func TestReloaded(t *testing.T) {
	compile := func(idle int) *policy.Schedule {
		s, err := policy.Compile([]policy.Policy{{Settings: policy.Settings{IdleCount: idle}}}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	from := scaler.Config{MaxInstances: 1, Schedule: compile(1)}.WithDefaults()
	same := scaler.Config{MaxInstances: 1, Schedule: compile(1)}.WithDefaults()
	to := scaler.Config{MaxInstances: 3, Schedule: compile(2), Throttle: policy.Throttle{Limit: 0.5, Burst: 2}, UpdateInterval: 90 * time.Second,
		Adopt: scaler.AdoptRemove, KeepAbandoned: true}.WithDefaults()
	if got := reloaded(&from, &same); got != "no setting that affects decisions changed" {
		t.Error(got)
	}
	want := "max_instances 1 → 3, policies, scale_throttle {limit 0, burst 0} → {limit 0.5, burst 2}, update_interval 1m0s → 1m30s, " +
		"keep_instance_with_acquisitions false → true, adopt_preexisting unset → remove"
	if got := reloaded(&from, &to); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestEverySettingHasAKey fails when a field of a configuration is missing from the description of a reload.
func TestEverySettingHasAKey(t *testing.T) {
	for f := range reflect.TypeFor[scaler.Config]().Fields() {
		if !slices.ContainsFunc(keys, func(k struct{ field, key string }) bool { return k.field == f.Name }) {
			t.Errorf("scaler.Config.%s has no key", f.Name)
		}
	}
}
