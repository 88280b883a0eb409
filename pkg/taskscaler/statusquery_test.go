package taskscaler

import (
	"reflect"
	"testing"

	"github.com/taskscaler/taskscaler/internal/scaler"
	"github.com/taskscaler/taskscaler/pkg/policy"
	"github.com/taskscaler/taskscaler/pkg/record"
)

func TestHoldAndBreakerStatus(t *testing.T) {
	none := scaler.Summary{}
	if holdStatus(&none) != nil || breakerStatus(&none) != nil {
		t.Error("a HoldStatus although nothing is held back")
	}
	s := scaler.Summary{Held: record.CauseBreaker, Breaker: true, Fruitless: 3, DiedYoung: 1, Decision: policy.Decision{Wanted: 5, Grow: 1}}
	if h := holdStatus(&s); *h != (HoldStatus{4, "breaker", "4 of 5 needed instances, because the runaway breaker is open"}) {
		t.Errorf("%+v", h)
	}
	if b := breakerStatus(&s); b.Failures != 4 {
		t.Errorf("%+v", b)
	}
}

// TestCountsAreThoseOfTheCore: each count has the number of the core that it belongs to.
func TestCountsAreThoseOfTheCore(t *testing.T) {
	var s scaler.Summary
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Int {
			v.Field(i).SetInt(int64(1000 + i))
		}
	}
	got := reflect.ValueOf(countsOf(&s))
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		core := name
		if other := map[string]string{"ReadyCount": "Ready", "Free": "OpenSlots"}[name]; other != "" {
			core = other
		}
		if want := v.FieldByName(core); !want.IsValid() || got.Field(i).Int() != want.Int() {
			t.Errorf("%s is %v, want %v from %s", name, got.Field(i), want, core)
		}
	}
}
