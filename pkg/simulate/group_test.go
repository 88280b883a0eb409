package simulate

import (
	"reflect"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/policy"
)

// TestExpectingIsNeverSlower: a list that is expected to change is not read less often than another.
func TestExpectingIsNeverSlower(t *testing.T) {
	if o := (Options{UpdateInterval: time.Second}).withDefaults(); o.UpdateIntervalWhenExpecting != time.Second {
		t.Errorf("the list is read every %s while a change is expected", o.UpdateIntervalWhenExpecting)
	}
	if o := (Options{}).withDefaults(); o.UpdateInterval != time.Minute || o.UpdateIntervalWhenExpecting != 2*time.Second {
		t.Errorf("the defaults are %s and %s", o.UpdateInterval, o.UpdateIntervalWhenExpecting)
	}
}

// TestEverySettingReachesTheCore: each setting of the group reaches the setting of the core that it belongs to, and no other.
func TestEverySettingReachesTheCore(t *testing.T) {
	coreName := map[string]string{"CapacityPerInstance": "Capacity", "MaxUseCount": "MaxUses", "Policies": "Schedule", "DeletionRetryInterval": "DeletionRetry",
		"RememberFor": "ForgetAfter"}
	g := Group{Policies: schedule(t, policy.Settings{IdleTime: time.Minute}), Throttle: policy.Throttle{Limit: 2.5, Burst: 7}}
	v := reflect.ValueOf(&g).Elem()
	for i := range v.NumField() {
		if v.Field(i).CanInt() {
			v.Field(i).SetInt(int64(1000 + i))
		}
	}
	core := reflect.ValueOf(g.core(time.Hour))
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		other := coreName[name]
		if other == "" {
			other = name
		}
		got := core.FieldByName(other)
		if !got.IsValid() || !reflect.DeepEqual(got.Interface(), v.Field(i).Interface()) {
			t.Errorf("%s of the core is %v, want %v from %s", other, got, v.Field(i), name)
		}
	}
	if got := g.core(time.Hour).UpdateInterval; got != time.Hour {
		t.Errorf("the interval of the lists is %s", got)
	}
}
