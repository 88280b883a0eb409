package taskscaler

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// filled returns a Config whose settings all differ from their defaults and from each other.
func filled(t *testing.T) Config {
	t.Helper()
	c := Config{Policies: idle(t, 1, time.Minute), Throttle: policy.Throttle{Limit: 2.5, Burst: 7}, AdoptPreexisting: AdoptRemove}
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(int64(1000 + i))
		}
	}
	return c
}

// TestEverySettingReachesTheCore: each setting of the core has the value of the field of Config that it belongs to, and of no other.
func TestEverySettingReachesTheCore(t *testing.T) {
	otherName := map[string]string{
		"Capacity": "CapacityPerInstance", "MaxUses": "MaxUseCount", "Schedule": "Policies", "DeletionRetry": "DeletionRetryInterval",
		"ShutdownDeletionRetry": "ShutdownDeletionInterval", "KeepAbandoned": "KeepInstanceWithAcquisitions", "Adopt": "AdoptPreexisting",
		"ForgetAfter": "RememberFor",
	}
	c := filled(t)
	ours, core := reflect.ValueOf(c), reflect.ValueOf(c.core())
	for i := range core.NumField() {
		name, got := core.Type().Field(i).Name, core.Field(i)
		if name == "ProviderMax" || name == "Heartbeat" { // only the provider knows them
			continue
		}
		field := name
		if other := otherName[name]; other != "" {
			field = other
		}
		want := ours.FieldByName(field)
		if !want.IsValid() || !want.CanConvert(got.Type()) {
			t.Errorf("Config has no %s of type %s", field, got.Type())
			continue
		}
		if !reflect.DeepEqual(got.Interface(), want.Convert(got.Type()).Interface()) {
			t.Errorf("%s of the core is %v, want %v from %s", name, got, want, field)
		}
	}
	if c.core().Adopt != scaler.AdoptRemove {
		t.Error("the modes of adoption differ between Config and the core")
	}
}

// TestDefaults: the defaults are those of the comments on Config, and a setting that is set keeps its value.
func TestDefaults(t *testing.T) {
	want := Config{
		CapacityPerInstance: 1, UpdateInterval: time.Minute, UpdateIntervalWhenExpecting: 2 * time.Second, MissingLists: 3, FailureThreshold: 3,
		RequestedDeadline: 10 * time.Minute, CreatingDeadline: 15 * time.Minute, PreparingDeadline: 20 * time.Minute, DeletingAlarm: time.Hour,
		DeletionRetryInterval: time.Minute, ShutdownDeletionInterval: 10 * time.Second, ShutdownDeletionRetries: 3,
		InitTimeout: 2 * time.Minute, UpdateTimeout: 2 * time.Minute, IncreaseTimeout: 10 * time.Minute, DecreaseTimeout: 5 * time.Minute,
		ConnectInfoTimeout: time.Minute, HeartbeatTimeout: 30 * time.Second, ShutdownTimeout: 30 * time.Second,
		ReservationDeadline: 2 * time.Minute, AcquireTimeout: 15 * time.Minute, ReattachAfterRestart: 5 * time.Minute,
		ReattachAfterDisconnect: 30 * time.Second, RememberFor: time.Hour,
	}
	if got := (Config{}).WithDefaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults are\n%+v, want\n%+v", got, want)
	}
	if c := filled(t); !reflect.DeepEqual(c.WithDefaults(), c) {
		t.Errorf("WithDefaults made\n%+v of\n%+v", c.WithDefaults(), c)
	}
}

// TestFaultsOfAConfig: Validate names every negative setting, all in one error.
func TestFaultsOfAConfig(t *testing.T) {
	if err := filled(t).Validate(); err != nil {
		t.Errorf("without a fault: %v", err)
	}
	bad := Config{Throttle: policy.Throttle{Burst: -1}, Connector: provider.ConnectorConfig{Timeout: -1, ProtocolPort: -1}, AdoptPreexisting: AdoptRemove + 1}
	names := []string{"Throttle.Burst", "Connector.Timeout", "Connector.ProtocolPort", "AdoptPreexisting"}
	v := reflect.ValueOf(&bad).Elem()
	for i := range v.NumField() {
		if v.Field(i).CanInt() {
			v.Field(i).SetInt(-1)
			names = append(names, v.Type().Field(i).Name)
		}
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault was found")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, name := range names {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, name+" is ") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d faults about %s in:\n%v", n, name, err)
		}
	}
}
