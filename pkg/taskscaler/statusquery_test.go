package taskscaler

import (
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
